//! Space kept back, so that images can be deleted while the disk is full: the row goes before the
//! files do, and recording that needs a few pages.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::FallocateFlags;

/// More than a deletion writes to the database's log.
const RESERVE_BYTES: u64 = 1024 * 1024;

/// A file beside the database that holds nothing but space. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reserve(PathBuf);

impl Reserve {
    pub(super) fn beside(database: &Path) -> Self {
        Self(database.with_extension("reserve"))
    }

    /// Takes the space; on a disk that is full already there is none to be had.
    pub(crate) fn fill(&self) {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.0);
        let filled = file.and_then(|file| {
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES)
                .map_err(std::io::Error::from)
        });
        if let Err(error) = filled {
            tracing::warn!(%error, "no space is kept back for deletions");
        }
    }

    /// Gives the space back to the disk, for what has to be written now.
    pub(crate) fn spend(&self) {
        if let Err(error) = OpenOptions::new().write(true).truncate(true).open(&self.0) {
            tracing::warn!(%error, "the space kept back is not to be had");
        }
    }
}
