//! From staging into the store, in numbered steps. `docs/storage.md` tells the same from the
//! operator's side.
//!
//! | step | what | a crash after it leaves |
//! |---|---|---|
//! | 1 | files synced in staging ([`super::Received::sync`]) | staged files: swept |
//! | 2 | a marker `commit-FINGERPRINT` beside them | staged files: swept |
//! | 3 | the root file renamed to `images/FINGERPRINT.rootfs` | a marked file: swept |
//! | 4 | the first file renamed to `images/FINGERPRINT` | marked files: swept |
//! | 5 | `images/` synced | marked files: swept |
//! | 6 | the caller's database transaction | a whole image and a marker: the marker is swept |
//! | 7 | the staging directory removed ([`Undecided::keep`]) | a whole image |
//!
//! Removal goes the other way: the transaction takes the last row and marks the fingerprint as
//! removed, then the files are unlinked, then the mark goes.

use std::{fs, path::PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::{Held, Staged, Store, incoming::StagingDirectory, sync_directory};
use crate::{
    error::{Context, Result},
    image::{Fingerprint, Layout, Part},
};

/// What a marker's name begins with; the fingerprint follows.
pub(super) const MARKER: &str = "commit-";

/// Files that stand in the store but have no row yet. Dropped, they are removed again.
#[derive(Debug)]
pub(crate) struct Placed {
    files: Vec<PathBuf>,
    // The marker in it has to outlive the row's transaction.
    staging: Option<StagingDirectory>,
}

impl Store {
    /// Steps 2 to 5: puts a staged image in its place. The caller holds the fingerprint and has
    /// made sure that no row records these files yet.
    pub(crate) fn place(&self, staged: Staged, held: &Held) -> Result<Placed> {
        let fingerprint = held.fingerprint();
        let moves = self.moves(&staged, fingerprint);
        let marker = staged
            .directory
            .path()
            .join(format!("{MARKER}{fingerprint}"));
        fs::File::create_new(marker).context("Failed to commit the image")?;

        let mut placed = Placed {
            files: Vec::new(),
            staging: Some(staged.directory),
        };
        for (from, to) in moves {
            self.set_aside(&to)?;
            rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE)
                .map_err(std::io::Error::from)
                .context("Failed to commit the image")?;
            placed.files.push(to);
        }
        sync_directory(&self.images)?;
        Ok(placed)
    }

    /// The root file first: where the first file stands, the image is whole.
    fn moves(&self, staged: &Staged, fingerprint: &Fingerprint) -> Vec<(PathBuf, PathBuf)> {
        let mut moves = Vec::new();
        if let Layout::Split { .. } = staged.layout() {
            moves.push((staged.path(Part::Rootfs), self.rootfs_path(fingerprint)));
        }
        moves.push((staged.path(Part::Image), self.image_path(fingerprint)));
        moves
    }

    /// Unlinks the files of a fingerprint that has no row any more.
    pub(crate) fn remove(&self, held: &Held) -> Result<()> {
        let fingerprint = held.fingerprint();
        for path in [self.image_path(fingerprint), self.rootfs_path(fingerprint)] {
            unlink(&path)?;
        }
        sync_directory(&self.images)
    }
}

/// Unlinks a file; one that is not there is as good as unlinked.
pub(super) fn unlink(path: &std::path::Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format_args!("Failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

impl Placed {
    /// The row's transaction is about to be committed: whatever happens to the caller from now
    /// on, only the database knows whether the files are to stay.
    pub(crate) fn undecided(mut self) -> Undecided {
        let files = std::mem::take(&mut self.files);
        let staging = self.staging.take();
        Undecided { files, staging }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        take_back(&self.files);
    }
}

/// Placed files whose row is being committed. Dropped without an answer, files and marker stay
/// for the next start's sweep, which asks the database.
#[derive(Debug)]
pub(crate) struct Undecided {
    files: Vec<PathBuf>,
    staging: Option<StagingDirectory>,
}

impl Undecided {
    /// Step 7: the row is durable, the files stay.
    pub(crate) fn keep(mut self) {
        drop(self.staging.take());
    }

    /// There is no row: the files go.
    pub(crate) fn take_back(mut self) {
        take_back(&self.files);
        drop(self.staging.take());
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        if let Some(staging) = self.staging.take() {
            staging.abandon();
        }
    }
}

/// The first file goes first: without it, the root file is no image.
fn take_back(files: &[PathBuf]) {
    for path in files.iter().rev() {
        if let Err(error) = unlink(path) {
            tracing::warn!(%error, "failed to take back an image file");
        }
    }
}
