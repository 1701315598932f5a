//! Image files: `images/FINGERPRINT`, and `images/FINGERPRINT.rootfs` for the second file of a
//! split image.
//!
//! Committed files are immutable, never overwritten, and named by nothing but a [`Fingerprint`].
//! A reader holds an open descriptor, so removal never cuts a download short. Everything here
//! blocks; callers run it on a blocking thread.
//!
//! Start at [`Incoming`] (bytes on their way in), then [`Store::place`] (the numbered steps of a
//! commit) and [`sweep`] (what each crash leaves, and what the next start does about it).

mod commit;
mod digest;
mod files;
mod flush;
mod incoming;
mod lock;
mod sweep;

pub(crate) use commit::Placed;
pub(crate) use files::Files;
pub(crate) use incoming::{Incoming, Received, Staged};
pub(crate) use lock::Held;

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::CWD;

use crate::{
    error::{Context, Result},
    image::Fingerprint,
};

/// The directories that hold image files. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    images: PathBuf,
    staging: PathBuf,
    quarantine: PathBuf,
    locks: lock::Locks,
}

impl Store {
    /// Opens the store below the state directory `dir`, making its directories when needed.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let store = Self {
            images: dir.join("images"),
            staging: dir.join("staging"),
            quarantine: dir.join("quarantine"),
            locks: lock::Locks::default(),
        };
        for path in [&store.images, &store.staging] {
            private_directory(path)?;
        }
        Ok(store)
    }

    /// Waits until nobody else changes the files of this fingerprint, and keeps others out until
    /// the answer is dropped.
    pub(crate) async fn lock(&self, fingerprint: &Fingerprint) -> Held {
        self.locks.lock(fingerprint).await
    }

    /// The same for two at once, of which the second is optional; it is not held twice when both
    /// are the same.
    pub(crate) async fn lock_both(
        &self,
        fingerprint: &Fingerprint,
        other: Option<&Fingerprint>,
    ) -> (Held, Option<Held>) {
        // Always in the same order, so that nobody waits for somebody who waits.
        match other {
            Some(other) if other < fingerprint => {
                let other = self.lock(other).await;
                (self.lock(fingerprint).await, Some(other))
            }
            Some(other) if other > fingerprint => {
                let held = self.lock(fingerprint).await;
                (held, Some(self.lock(other).await))
            }
            _ => (self.lock(fingerprint).await, None),
        }
    }

    /// Where the root file of a split image is, or would be.
    pub(crate) fn rootfs(&self, fingerprint: &Fingerprint) -> PathBuf {
        self.rootfs_path(fingerprint)
    }

    fn image_path(&self, fingerprint: &Fingerprint) -> PathBuf {
        self.images.join(fingerprint.as_str())
    }

    fn rootfs_path(&self, fingerprint: &Fingerprint) -> PathBuf {
        self.images.join(format!("{fingerprint}.rootfs"))
    }
}

/// Makes a directory that only the daemon's user can enter, whatever the umask.
pub(crate) fn private_directory(path: &Path) -> Result<()> {
    directory(path, 0o700)
}

/// Makes a directory with this mode, or gives an existing one this mode.
pub(crate) fn directory(path: &Path, mode: u32) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path);
    made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .context(format_args!(
            "Failed to prepare the directory {}",
            path.display()
        ))
}

/// Writes a small file durably: whole or not at all, with this mode whatever the umask.
pub(crate) fn write_durably(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let hidden = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&hidden)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.sync_all()
        });
    let renamed = written
        .and_then(|()| rustix::fs::renameat(CWD, &hidden, CWD, path).map_err(std::io::Error::from));
    renamed.context(format_args!("Failed to write {}", path.display()))?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Gives a file another name, durably; what had that name is gone.
pub(crate) fn move_durably(from: &Path, to: &Path) -> Result<()> {
    rustix::fs::renameat(CWD, from, CWD, to)
        .map_err(std::io::Error::from)
        .context(format_args!("Failed to write {}", to.display()))?;
    sync_directory(to.parent().unwrap_or(Path::new(".")))
}

/// Removes a file; one that is not there is as good as removed.
pub(crate) fn discard(path: &Path) -> Result<()> {
    commit::unlink(path)
}

/// Makes the entries of a directory durable.
fn sync_directory(path: &Path) -> Result<()> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .context(format_args!("Failed to sync {}", path.display()))
}

#[cfg(test)]
mod tests;
