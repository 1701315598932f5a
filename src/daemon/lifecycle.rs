//! Signals, systemd, and the orderly end.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    error::{Context, Result},
    operations::Operations,
    tasks::Tasks,
};

/// How long operations and requests may go on after the first signal.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long what was told to stop may take to tell its listeners.
const FAREWELL: Duration = Duration::from_millis(500);

/// The signals the daemon acts on.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Begins to listen, so that no signal ends the process before it is ready for it.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("Failed to listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            quit: listen(SignalKind::quit())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to end; on SIGHUP, `reload` runs.
    pub(super) async fn end(&mut self, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.quit.recv() => return,
                _ = self.hang_up.recv() => reload(),
            }
        }
    }
}

/// Tells systemd something; without systemd there is nobody to tell.
pub(super) fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Tells systemd at half its patience that the daemon lives.
pub(super) fn feed_watchdog(tasks: &Tasks) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let stopping = tasks.stopping().clone();
    tasks.spawn("watchdog", async move {
        let mut ticks = tokio::time::interval(within / 2);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            tell_systemd(&[NotifyState::Watchdog]);
        }
    });
}

/// Stops accepting, lets what is under way finish, and cuts the rest off after a while or at a
/// second signal. Operations that were cut off end as cancelled.
pub(super) async fn wind_down(tasks: &Tasks, operations: &Operations, signals: &mut Signals) {
    tell_systemd(&[
        NotifyState::Stopping,
        NotifyState::Status("Finishing what is under way"),
    ]);
    tracing::info!("shutting down");
    let drained = tokio::select! {
        drained = tasks.drain(PATIENCE) => drained,
        () = signals.end(|| {}) => false,
    };
    if !drained {
        tracing::warn!("ending what is still under way");
        tell_systemd(&[NotifyState::Status("Ending what is still under way")]);
        operations.cancel_all();
        tasks.drain(FAREWELL).await;
    }
    tasks.cut().cancel();
}
