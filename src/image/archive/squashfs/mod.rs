//! Reading squashfs images, version 4.0: the names in the root directory, what each is, and the
//! data of a file there.
//!
//! Everything is read from where it is asked for, a block at a time; no table is ever in memory.
//! What is read, out of which bounds and how often, is in [`disk`]. Nothing below the root
//! directory is looked at, and neither are owners, times, links' targets and extended attributes.

mod compressor;
mod cursor;
mod directory;
mod disk;
mod fields;
mod file;
mod inode;
mod scan;
mod superblock;

use std::io::{self, ErrorKind, Read, Seek};

pub(super) use scan::scan;

use self::{directory::Listing, disk::Disk, inode::Inode, superblock::Superblock};

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
        match Inode::read(self, root)? {
            Inode::Directory(directory) => Listing::new(self, &directory),
            _ => Err(malformed("the root is no directory")),
        }
    }
}

/// What an image is read from.
trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// An image that is none.
fn malformed(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("squashfs: {reason}"))
}

#[cfg(test)]
mod tests;
