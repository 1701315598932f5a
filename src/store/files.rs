//! Opening committed files.

use std::{fs::File, path::Path};

use rustix::fs::{CWD, Mode, OFlags};

use super::Store;
use crate::{
    error::{Error, Result},
    image::{Fingerprint, Layout},
};

/// The open files of an image. They stay readable when the image is removed meanwhile.
#[derive(Debug)]
pub(crate) struct Files {
    /// The unified tarball, or the metadata tarball of a split image.
    pub(crate) image: File,
    /// The root file of a split image.
    pub(crate) rootfs: Option<File>,
}

impl Store {
    /// Opens an image's files.
    pub(crate) fn files(&self, fingerprint: &Fingerprint, layout: Layout) -> Result<Files> {
        let image = open(&self.image_path(fingerprint))?;
        let rootfs = match layout {
            Layout::Unified { .. } => None,
            Layout::Split { .. } => Some(open(&self.rootfs_path(fingerprint))?),
        };
        Ok(Files { image, rootfs })
    }
}

fn open(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map(File::from)
        .map_err(|error| Error::internal("Failed to open the image file", error))
}
