//! What long work tells of itself, and how it is told to end.

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// Somebody who waits for work on a tree.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'w> {
    /// Is told how many bytes were read so far, from any thread.
    pub(crate) progress: &'w (dyn Fn(u64) + Sync),
    /// Ends the work between two pieces of it.
    pub(crate) cancel: &'w CancellationToken,
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch<'_> {
    /// Refuses to go on with what was cancelled.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        Ok(())
    }
}

/// What to say of work that was ended.
pub(crate) fn cancelled() -> Error {
    Error::failed("Operation was cancelled")
}
