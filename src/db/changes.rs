//! How many times the database was changed.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::error::{Context, Result};

/// Counts changes: those of this process in memory, those of others by the length of a file, to
/// which each adds a byte. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    own: Arc<AtomicU64>,
    others: PathBuf,
}

impl Changes {
    /// For the database file at `path`.
    pub(super) fn beside(path: &Path) -> Self {
        Self {
            own: Arc::default(),
            others: path.with_extension("changes"),
        }
    }

    /// This process has changed something.
    pub(super) fn count(&self) {
        self.own.fetch_add(1, Ordering::SeqCst);
    }

    /// The number of changes by this process and by others.
    pub(super) fn version(&self) -> (u64, u64) {
        let others = fs::metadata(&self.others).map_or(0, |file| file.len());
        (self.own.load(Ordering::SeqCst), others)
    }

    /// This process has changed what another has open.
    pub(super) fn tell_others(&self) -> Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.others);
        let mut file = file.context("Failed to tell the daemon of the change")?;
        file.write_all(b".")
            .context("Failed to tell the daemon of the change")
    }
}
