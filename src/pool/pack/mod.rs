//! A tree → the tar stream of an image: `metadata.yaml`, `rootfs/`, `templates/`, as LXD has them.
//!
//! The tree belongs to somebody else, who may change it meanwhile. It is walked by handles of
//! directories, and nothing but what a handle turns out to be is written. Names come in order, so
//! that the same tree gives the same bytes.

use std::{io::Write, os::fd::BorrowedFd};

use super::{idmap::IdMap, watch::Watch};
use crate::error::{Error, Result};

/// The parts of an image to be.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    /// What `metadata.yaml` is to hold.
    pub(crate) metadata: &'t [u8],
    /// When it was made, in seconds since 1970. Part of the bytes, hence of the fingerprint.
    pub(crate) metadata_modified: i64,
    /// What the instance runs.
    pub(crate) root: Root<'t>,
    /// The directory of templates.
    pub(crate) templates: Option<BorrowedFd<'t>>,
}

/// What an instance runs.
#[derive(Debug)]
pub(crate) enum Root<'t> {
    /// A container's directory.
    Directory(BorrowedFd<'t>),
    /// A virtual machine's disk, raw, which is packed as `rootfs.img` in qcow2; and a directory
    /// for what that takes meanwhile.
    Disk {
        /// The disk.
        disk: BorrowedFd<'t>,
        /// A directory on a disk with room for it.
        scratch: BorrowedFd<'t>,
    },
}

/// Writes a tree to `sink` as a tar stream, with the owners that it has inside of the container.
/// Blocks; to be called where that is allowed.
///
/// # Errors
///
/// What cannot be read or written, or changed too much while it was read.
pub(crate) fn pack(
    tree: &Tree<'_>,
    map: IdMap,
    sink: &mut (dyn Write + Send),
    watch: &Watch<'_>,
) -> Result<()> {
    watch.check()?;
    let _ = (tree, map, sink);
    Err(Error::failed("not yet"))
}
