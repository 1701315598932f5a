//! A running instance stands still while its files are copied.

use super::{Instance, Instances, Status};
use crate::error::Result;

impl Instances {
    /// Does `work` while nothing in the instance writes.
    pub(super) async fn while_still<T>(
        &self,
        instance: &Instance,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let running = match self.status(instance) {
            Status::Running => self.find_running(instance),
            Status::Stopped | Status::Frozen => None,
        };
        let Some(running) = running else {
            return work.await;
        };
        self.runtime.freeze(&running).await?;
        let done = work.await;
        if let Err(error) = self.runtime.unfreeze(&running).await {
            let name = instance.name();
            tracing::error!(%error, instance.name = name, "the container stays frozen");
        }
        done
    }
}
