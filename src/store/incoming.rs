//! Bytes on their way into the store: written, hashed and counted in one pass.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{Store, digest::Digest, flush::Flusher, private_directory};
use crate::{
    error::{Context, Error, Result},
    image::{Fingerprint, Layout, Part},
};

/// What a file of an image is called in staging.
fn file_name(part: Part) -> &'static str {
    match part {
        Part::Image => "image",
        Part::Rootfs => "rootfs",
    }
}

/// A directory of its own on the store's file system, gone with everything in it when dropped.
#[derive(Debug)]
pub(super) struct StagingDirectory {
    path: PathBuf,
    is_abandoned: bool,
}

impl StagingDirectory {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory to the next start's sweep.
    pub(super) fn abandon(mut self) {
        self.is_abandoned = true;
    }

    fn part(&self, part: Part) -> PathBuf {
        self.path.join(file_name(part))
    }
}

impl Drop for StagingDirectory {
    fn drop(&mut self) {
        if self.is_abandoned {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "failed to remove staged files");
        }
    }
}

/// An image being received.
#[derive(Debug)]
pub(crate) struct Incoming {
    directory: StagingDirectory,
    digest: Digest,
    files: Vec<Growing>,
}

/// One file of it.
#[derive(Debug)]
struct Growing {
    part: Part,
    file: File,
    size_bytes: u64,
    flusher: Flusher,
}

impl Store {
    /// Begins to receive an image.
    pub(crate) fn receive(&self) -> Result<Incoming> {
        let path = self.staging.join(uuid::Uuid::new_v4().to_string());
        private_directory(&path)?;
        Ok(Incoming {
            directory: StagingDirectory {
                path,
                is_abandoned: false,
            },
            digest: Digest::start()?,
            files: Vec::new(),
        })
    }
}

impl Incoming {
    /// Where its files are. What else is put there goes with it, and is never part of it.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Begins the next file. The fingerprint is over the files in the order they were begun.
    pub(crate) fn begin(&mut self, part: Part) -> Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.directory.part(part))
            .context("Failed to stage the image")?;
        self.files.push(Growing {
            part,
            file,
            size_bytes: 0,
            flusher: Flusher::default(),
        });
        Ok(())
    }

    /// Appends to the file begun last.
    ///
    /// # Errors
    ///
    /// The system's reason when writing fails.
    pub(crate) fn write(&mut self, bytes: Bytes) -> Result<()> {
        let length = bytes.len() as u64;
        let Some(growing) = self.files.last_mut() else {
            return Err(Error::failed("No image file was begun"));
        };
        growing
            .file
            .write_all(&bytes)
            .context("Failed to write the image")?;
        growing.size_bytes += length;
        growing.flusher.grown(&growing.file, growing.size_bytes)?;
        self.digest.update(bytes)
    }

    /// Everything has arrived.
    pub(crate) fn finish(self) -> Result<Received> {
        let size_of = |part| {
            let file = self.files.iter().find(|file| file.part == part);
            file.map(|file| i64::try_from(file.size_bytes)).transpose()
        };
        let sizes = size_of(Part::Image).and_then(|image| Ok((image, size_of(Part::Rootfs)?)));
        let (image, rootfs) =
            sizes.map_err(|error| Error::internal("The image is too large", error))?;
        Ok(Received {
            files: self.files,
            staged: Staged {
                directory: self.directory,
                fingerprint: self.digest.finish()?,
                layout: Layout::from_sizes(image.unwrap_or(0), rootfs),
            },
        })
    }
}

/// A whole image in staging, hashed and counted, but not synced: it may be looked at, not kept.
#[derive(Debug)]
pub(crate) struct Received {
    // Closed before the directory goes.
    files: Vec<Growing>,
    staged: Staged,
}

impl Received {
    /// SHA-256 over its files in order.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.staged.fingerprint
    }

    /// One file or two, and their sizes.
    pub(crate) fn layout(&self) -> Layout {
        self.staged.layout
    }

    /// Opens one of its files for inspection.
    pub(crate) fn open(&self, part: Part) -> Result<File> {
        self.staged.open(part)
    }

    /// Makes its files durable, and immutable.
    ///
    /// # Errors
    ///
    /// The system's reason. It may not be tried again: what failed to reach the disk once is
    /// forgotten then.
    pub(crate) fn sync(mut self) -> Result<Staged> {
        for growing in &mut self.files {
            growing.flusher.finish()?;
            let file = &growing.file;
            file.sync_all().context("Failed to sync the image")?;
            file.set_permissions(fs::Permissions::from_mode(0o400))
                .context("Failed to protect the image")?;
        }
        Ok(self.staged)
    }
}

/// A whole image in staging: hashed, counted, synced, not yet in the store.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(super) directory: StagingDirectory,
    fingerprint: Fingerprint,
    layout: Layout,
}

impl Staged {
    /// SHA-256 over its files in order.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// One file or two, and their sizes.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Opens one of its files for inspection.
    fn open(&self, part: Part) -> Result<File> {
        File::open(self.directory.part(part)).context("Failed to read the staged image")
    }

    pub(super) fn path(&self, part: Part) -> PathBuf {
        self.directory.part(part)
    }
}
