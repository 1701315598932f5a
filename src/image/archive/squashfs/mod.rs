//! Reading squashfs images, version 4.0.
//!
//! Everything is read from where it is asked for, a block at a time; no table is ever in memory.
//! What is read, out of which bounds and how often, is in [`disk`]. Inspection looks at nothing below
//! the root directory; whoever unpacks an image goes through all of it with [`Walk`], and gets the
//! data of files with [`Blocks`] from as many threads as they like.

mod blocks;
mod compressor;
mod cursor;
mod directory;
mod disk;
mod fields;
mod file;
mod inode;
mod owners;
mod scan;
mod superblock;
mod walk;
mod xattrs;

use std::io::{self, ErrorKind, Read, Seek};

pub(crate) use blocks::Blocks;
pub(crate) use file::{Place, Stretch};
pub(super) use scan::scan;
pub(crate) use walk::{Content, Node, Walk};

use self::{
    directory::Listing,
    disk::Disk,
    inode::{Body, Inode},
    superblock::Superblock,
};

/// An image, open for reading.
struct Squashfs<'i> {
    disk: Disk<'i>,
    superblock: Superblock,
}

impl<'i> Squashfs<'i> {
    /// Opens an image. [`ErrorKind::Unsupported`] says that it may be a good one, but not for us.
    fn open(input: &'i mut dyn Input) -> io::Result<Self> {
        let (disk, superblock) = Disk::open(input)?;
        Ok(Self { disk, superblock })
    }

    /// The root directory.
    fn root(&mut self) -> io::Result<Listing> {
        let root = self.superblock.root_inode;
        match Inode::read(self, root)?.body {
            Body::Directory(directory) => Listing::new(self, &directory),
            _ => Err(malformed("the root is no directory")),
        }
    }
}

/// What an image is read from.
pub(crate) trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// An image that is none.
fn malformed(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("squashfs: {reason}"))
}

#[cfg(test)]
mod tests;
