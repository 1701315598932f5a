//! Opening committed files.

use std::{fs::File, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};

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
    /// Opens an image's files; `None` when one is not there, as it may be when somebody removes
    /// the image meanwhile.
    pub(crate) fn files(&self, fingerprint: &Fingerprint, layout: Layout) -> Result<Option<Files>> {
        let Some(image) = open(&self.image_path(fingerprint))? else {
            return Ok(None);
        };
        let rootfs = match layout {
            Layout::Unified { .. } => None,
            Layout::Split { .. } => match open(&self.rootfs_path(fingerprint))? {
                None => return Ok(None),
                rootfs => rootfs,
            },
        };
        Ok(Some(Files { image, rootfs }))
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(Error::internal("Failed to open the image file", error)),
    }
}
