//! When jobs run.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Jobs, Row};
use crate::settings::Values;

/// How much later than due a pass may begin, so that many daemons do not ask one server at once.
const MAX_JITTER: Duration = Duration::from_mins(5);

impl Jobs {
    /// Starts the timers. What is due at the start runs in the order of the table, one after the
    /// other; a job's timer begins after that.
    pub(crate) fn start(&self) {
        let this = self.clone();
        let settings = self.0.settings.changes();
        self.0.tasks.spawn("jobs", async move {
            for row in &this.0.rows {
                if row.job.at_start {
                    let first = this.begin(row);
                    let stopping = this.0.tasks.stopping();
                    if stopping
                        .run_until_cancelled(first.wait(None))
                        .await
                        .is_none()
                    {
                        return;
                    }
                }
                this.start_timer(Arc::clone(row), settings.clone());
            }
        });
    }

    fn start_timer(&self, row: Arc<Row>, settings: watch::Receiver<Arc<Values>>) {
        let this = self.clone();
        let stopping = self.0.tasks.stopping().clone();
        self.0.tasks.spawn(row.job.name, async move {
            stopping
                .run_until_cancelled(this.keep_time(row, settings))
                .await;
        });
    }

    async fn keep_time(&self, row: Arc<Row>, mut settings: watch::Receiver<Arc<Values>>) {
        let mut heeded = Arc::clone(&settings.borrow_and_update());
        loop {
            let wait = jittered((row.job.wait)());
            row.state().next = Some(self.0.clock.now() + wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed(row.job.settings, &heeded, &mut settings) => {}
                // Run by hand: the next pass is due later.
                () = row.ended.notified() => continue,
            }
            heeded = Arc::clone(&settings.borrow_and_update());
            self.begin(&row).wait(None).await;
            // That was this pass.
            drop(tokio::time::timeout(Duration::ZERO, row.ended.notified()).await);
        }
    }
}

/// Waits until one of these settings is another than it was.
async fn changed(
    names: &[&str],
    before: &Arc<Values>,
    settings: &mut watch::Receiver<Arc<Values>>,
) {
    let is_other = |now: &Arc<Values>| names.iter().any(|name| now.get(*name) != before.get(*name));
    if settings.wait_for(is_other).await.is_err() {
        // The settings are gone, and so is the daemon soon.
        std::future::pending::<()>().await;
    }
}

/// Up to a twentieth later, so that what was set apart stays in order.
fn jittered(wait: Duration) -> Duration {
    let most = (wait / 20).min(MAX_JITTER);
    let mut random = [0_u8; 4];
    if getrandom::fill(&mut random).is_err() {
        return wait;
    }
    wait + most.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_a_little_late_and_never_early() {
        for seconds in [0, 60, 3600, 86_400] {
            let wait = Duration::from_secs(seconds);
            let late = jittered(wait) - wait;
            assert!(late <= wait / 20 && late <= MAX_JITTER, "{late:?}");
        }
    }
}
