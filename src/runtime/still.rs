//! Containers that stand still while their files are copied.
//!
//! Not by liblxc's programs: whoever drops what keeps a container still cannot wait for one, and
//! liblxc would go on taking the container for frozen, and freeze it no more.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::OnceCell,
    time::{sleep, timeout},
};

use super::{Running, Runtime};
use crate::error::{Context, Error, Result};

/// How long processes may take to stand still.
const STILL_WITHIN: Duration = Duration::from_secs(30);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// The file beside the configuration of a container that is to go on when nobody copies it any
/// more: an instance that somebody has frozen does not have it.
const MARK: &str = "frozen";

/// A container stands still as long as one of these is there for it.
#[derive(Debug)]
pub(crate) struct Still {
    runtime: Runtime,
    running: Running,
}

/// How many there are for one container.
#[derive(Debug, Default)]
pub(super) struct Standing {
    count: usize,
    frozen: Arc<OnceCell<()>>,
}

impl Runtime {
    /// Has a container stand still until the last answer of this is dropped, also when the daemon
    /// is cut off; the next one lets it go on if this one cannot. None for a container that
    /// somebody has frozen.
    ///
    /// # Errors
    ///
    /// When its processes do not stand still in time; then they go on.
    pub(crate) async fn hold_still(&self, running: &Running) -> Result<Option<Still>> {
        let Some((still, frozen)) = self.enter_still(running) else {
            return Ok(None);
        };
        // Whoever comes second waits for the first one's freeze.
        frozen
            .get_or_try_init(|| self.freeze_marked(running))
            .await?;
        Ok(Some(still))
    }

    fn enter_still(&self, running: &Running) -> Option<(Still, Arc<OnceCell<()>>)> {
        let mut still = self.still();
        if !still.contains_key(running.name()) && running.group().is_to_freeze() {
            return None;
        }
        let standing = still.entry(running.name().to_owned()).or_default();
        standing.count += 1;
        let entered = Still {
            runtime: self.clone(),
            running: running.clone(),
        };
        Some((entered, Arc::clone(&standing.frozen)))
    }

    async fn freeze_marked(&self, running: &Running) -> Result<()> {
        let frozen = running.clone();
        let freezing = self.0.tasks.run_blocking(move || {
            fs::write(frozen.place().join(MARK), "").context("Failed to mark the container")?;
            frozen.group().freeze()
        });
        freezing.await?;
        let until_still = async {
            while !running.is_frozen() && !running.is_ending() {
                sleep(LOOK).await;
            }
        };
        let waited = timeout(STILL_WITHIN, until_still).await;
        waited.map_err(|_late| Error::failed("The container does not stand still"))
    }

    /// Lets a container go on that an earlier daemon has left standing still.
    pub(super) fn let_go_on(running: &Running) {
        if running.place().join(MARK).exists() {
            tracing::warn!(
                container = running.name(),
                "goes on after a copy that was cut off"
            );
            thaw(running);
        }
    }

    fn still(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        let still = &self.0.still;
        still.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let mut still = self.runtime.still();
        let Some(standing) = still.get_mut(self.running.name()) else {
            return;
        };
        standing.count -= 1;
        if standing.count == 0 {
            still.remove(self.running.name());
            // Under the lock: whoever freezes it next does so after this.
            thaw(&self.running);
        }
    }
}

fn thaw(running: &Running) {
    let thawed = running.group().thaw();
    match thawed.and_then(|()| unmark(running.place())) {
        Err(error) if !running.is_ending() => {
            let container = running.name();
            tracing::error!(%error, container, "the container stays frozen");
        }
        _ => {}
    }
}

fn unmark(place: &Path) -> Result<()> {
    fs::remove_file(place.join(MARK)).context("Failed to unmark the container")
}
