//! Stopping, freezing, and what follows the end of a container.

use std::time::Duration;

use tokio::time::timeout;

use super::{Ending, Limits, Running, Runtime, limits::Layout, program, running::ending};
use crate::error::{Error, Result};

/// How long liblxc's programs may take.
const TELL_WITHIN: Duration = Duration::from_secs(30);

/// How long a killed container may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(30);

impl Runtime {
    /// Asks the container's first process to shut down, in the way it understands, and waits for
    /// the end.
    ///
    /// # Errors
    ///
    /// When it has not ended within `patience`.
    pub(crate) async fn stop(&self, running: &Running, patience: Duration) -> Result<()> {
        self.tell(running, "lxc-stop", &["--nowait", "--nokill"])
            .await?;
        let waited = timeout(patience, running.wait()).await;
        waited.unwrap_or_else(|_| {
            Err(Error::failed(
                "Failed shutting down instance, status is \"Running\": context deadline exceeded",
            ))
        })
    }

    /// Ends the container at once.
    ///
    /// # Errors
    ///
    /// When even the kernel cannot end it.
    pub(crate) async fn kill(&self, running: &Running) -> Result<()> {
        let told = self.tell(running, "lxc-stop", &["-k", "--nolock"]).await;
        if let Err(error) = told {
            tracing::debug!(%error, container = running.name(), "killing it ourselves");
            running.kill()?;
        }
        let waited = timeout(KILLED_WITHIN, running.wait()).await;
        waited.unwrap_or_else(|_| Err(Error::failed("The container does not end")))
    }

    /// Stops its processes where they are.
    pub(crate) async fn freeze(&self, running: &Running) -> Result<()> {
        self.tell(running, "lxc-freeze", &[]).await
    }

    /// Lets them go on.
    pub(crate) async fn unfreeze(&self, running: &Running) -> Result<()> {
        self.tell(running, "lxc-unfreeze", &[]).await
    }

    /// Puts other limits on a container that runs.
    pub(crate) async fn limit(&self, running: &Running, limits: Limits) -> Result<()> {
        let running = running.clone();
        let set = move || running.group().limit(&limits, &Layout::find());
        self.0.tasks.run_blocking(set).await
    }

    /// Waits for the end of a container, removes what belonged to this run of it, and tells how
    /// it ended. Whoever starts a container, or finds it, waits here once, and forgets it when
    /// nothing of it is in use any more.
    pub(crate) async fn ended(&self, running: &Running) -> Result<Ending> {
        running.wait().await?;
        let how = ending(running.place());
        self.clear_away(running.name()).await;
        Ok(how)
    }

    /// From now on the container does not run, and may be started again.
    pub(crate) fn forget(&self, running: &Running) {
        let is_this = |found: &Running| found.is(running);
        let mut set = self.set();
        if set.get(running.name()).is_some_and(is_this) {
            set.remove(running.name());
        }
    }

    async fn tell(&self, running: &Running, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = program::for_container(program, self.lxcpath(), running.name());
        command.args(arguments);
        let said = program::run(&mut command, TELL_WITHIN).await?;
        if said.is_success() {
            return Ok(());
        }
        let reason = said.err.lines().rfind(|line| !line.trim().is_empty());
        let reason = reason.unwrap_or("no reason given").trim();
        Err(Error::failed(format!("{program} failed: {reason}")))
    }
}
