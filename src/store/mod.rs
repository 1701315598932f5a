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
mod incoming;
mod lock;
mod sweep;

pub(crate) use commit::{Placed, Undecided};
pub(crate) use files::Files;
pub(crate) use incoming::{Incoming, Part, Staged};
pub(crate) use lock::Held;
pub(crate) use sweep::Swept;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

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

/// Makes the entries of a directory durable.
fn sync_directory(path: &Path) -> Result<()> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .context("Failed to sync the image directory")
}

#[cfg(test)]
mod tests;
