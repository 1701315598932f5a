//! Trees that are being made, or taken apart: nobody knows them by a name.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use super::{Pool, disk, remove};
use crate::error::{Context, Result};

/// A directory of its own in staging. Dropped, it is removed with all in it.
#[derive(Debug)]
pub(super) struct Staging(PathBuf);

impl Pool {
    /// A new empty directory in staging.
    pub(super) fn stage(&self) -> Result<Staging> {
        let staging = self.path(super::STAGING);
        disk::private_directory(&staging)?;
        let path = staging.join(uuid::Uuid::new_v4().simple().to_string());
        disk::private_directory(&path)?;
        Ok(Staging(path))
    }

    /// Takes a directory out of its place and removes it. Nothing there is as good as removed.
    pub(super) fn discard(&self, path: &Path) -> Result<()> {
        let trash = self.stage()?;
        if disk::exists(path) {
            disk::move_to(path, &trash.path().join("removed"))?;
        }
        remove::directory(trash.path())
    }
}

impl Staging {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes an empty directory in it.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::create_dir(&path).context(format_args!("Failed to make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What was moved to its place is not here any more.
        if let Err(error) = remove::directory(&self.0) {
            tracing::warn!(%error, "failed to remove what was staged");
        }
    }
}

/// Opens a directory of the pool for reading.
pub(super) fn open(path: &Path) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(std::io::Error::from);
    opened.context(format_args!("Failed to open {}", path.display()))
}
