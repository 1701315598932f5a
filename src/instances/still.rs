//! A running instance stands still while its files are copied.

use super::{Instance, Instances};
use crate::error::Result;

impl Instances {
    /// Does `work` while nothing in the instance writes.
    pub(super) async fn while_still<T>(
        &self,
        instance: &Instance,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let _still = match self.find_running(instance) {
            Some(running) => self.runtime.hold_still(&running).await?,
            None => None,
        };
        work.await
    }
}
