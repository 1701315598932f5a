//! Files of an image → a tree.
//!
//! Only `metadata.yaml`, `templates/` and `rootfs/` leave an image (or `root.img`, a virtual
//! machine's disk), whatever else it holds. Inspection has looked at an image's beginning when it
//! came; everything is checked again here, to the end.

use std::{fs::File, os::fd::BorrowedFd, time::Duration};

use super::{idmap::IdMap, watch::Watch};
use crate::{
    error::{Error, Result},
    image::{ImageType, Metadata},
};

/// The files of an image, open for reading.
#[derive(Debug)]
pub(crate) struct ImageFiles {
    /// A whole image, or the metadata of one.
    pub(crate) image: File,
    /// The root file system of a split image.
    pub(crate) rootfs: Option<File>,
}

/// How much an image may unpack to.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Most files, directories and everything else.
    pub(crate) entries: u64,
    /// Most bytes of data, holes not counted.
    pub(crate) bytes: u64,
    /// Longest file, holes and all; a disk of a virtual machine as well.
    pub(crate) file_bytes: u64,
    /// Most directories within each other.
    pub(crate) depth: usize,
    /// Most time for what is small.
    pub(crate) time: Duration,
    /// How many bytes of the files each further second needs.
    pub(crate) bytes_per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 10_000_000,
            bytes: 1 << 40,
            file_bytes: 1 << 43,
            depth: 512,
            time: Duration::from_mins(10),
            bytes_per_second: 256 * 1024,
        }
    }
}

/// What came out of an image.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// Container or virtual machine.
    pub(crate) kind: ImageType,
    /// Its metadata.
    pub(crate) metadata: Metadata,
    /// How many bytes of data were written.
    pub(crate) bytes: u64,
    /// How many files, directories and everything else.
    pub(crate) entries: u64,
}

/// Unpacks an image into the empty directory `target`. What is half done when it fails is for the
/// caller to remove. Blocks; to be called where that is allowed.
///
/// # Errors
///
/// LXD's texts for an image that cannot be unpacked, a full disk among them, and our own for what
/// an image must not hold.
pub(crate) fn unpack(
    source: &ImageFiles,
    target: BorrowedFd<'_>,
    map: IdMap,
    limits: &Limits,
    watch: &Watch<'_>,
) -> Result<Unpacked> {
    watch.check()?;
    let _ = (source, target, map, limits);
    Err(Error::failed("Unpack failed: not yet"))
}
