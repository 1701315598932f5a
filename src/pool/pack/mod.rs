//! A tree → the tar stream of an image: `metadata.yaml`, `rootfs/`, `templates/`, as LXD has them.
//!
//! The tree belongs to somebody else, who may change it meanwhile. It is walked by handles of
//! directories, and nothing but what a handle turns out to be is written. Names come in order, so
//! that the same tree gives the same bytes.

mod disk;
mod entry;
mod header;
mod sparse;
mod stream;
mod templates;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    io::Write,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU64, Ordering},
};

use self::{
    entry::Reader,
    header::{BLOCK_BYTES, Header, pad},
    stream::Stream,
};

use super::{beneath, idmap::IdMap, watch::Watch};
use crate::{error::Result, image::archive::Modified};

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
    /// What it is packed for.
    pub(crate) format: Format,
}

/// What has room for which extended attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// An archive: for all.
    Tar,
    /// What a squashfs is made of: for those of users, `trusted` and `security`. The programs that
    /// make one fail, or complain of each of the others.
    Squashfs,
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
/// Returns how many extended attributes the format has no room for. Blocks; to be called where
/// that is allowed.
///
/// # Errors
///
/// What cannot be read or written, or changed too much while it was read.
pub(crate) fn pack(
    tree: &Tree<'_>,
    map: IdMap,
    sink: &mut (dyn Write + Send),
    watch: &Watch<'_>,
) -> Result<u64> {
    let left_out = AtomicU64::new(0);
    let mut stream = Stream {
        sink,
        watch,
        written_bytes: 0,
    };
    let modified = Modified {
        seconds: tree.metadata_modified,
        nanoseconds: 0,
    };
    file(&mut stream, b"metadata.yaml", tree.metadata, modified)?;
    match tree.root {
        Root::Directory(directory) => {
            let directory = beneath::open_directory(directory, ".")?;
            let reader = Reader {
                map,
                format: tree.format,
                left_out: &left_out,
            };
            stream.directory(directory, b"rootfs", reader)?;
        }
        Root::Disk { disk, scratch } => disk::write(&mut stream, disk, scratch, modified)?,
    }
    if let Some(directory) = tree.templates {
        templates::write(&mut stream, directory, modified)?;
    }
    // The end of an archive.
    stream.write(&[0; 2 * BLOCK_BYTES])?;
    stream.sink.flush()?;
    Ok(left_out.load(Ordering::Relaxed))
}

/// Writes a file of root's that is no instance owner's business.
fn file(stream: &mut Stream<'_, '_>, name: &[u8], data: &[u8], modified: Modified) -> Result<()> {
    let header = Header {
        name,
        flag: b'0',
        mode: 0o644,
        size_bytes: data.len() as u64,
        modified,
        ..Header::default()
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    bytes.extend_from_slice(data);
    pad(&mut bytes, data.len() as u64);
    stream.write(&bytes)
}
