//! Directories: lists of names, in order.

use std::io;

use super::{Squashfs, cursor::Cursor, fields::Fields, malformed};
use crate::image::archive::header::{Kind, Special};

/// Longest directory that is read.
const MAX_LISTING_BYTES: u32 = 16 * 1024 * 1024;

/// Most names after one header.
const MAX_RUN: u32 = 256;

/// What the size of a directory is too large by.
const EXTRA_BYTES: u32 = 3;

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Its inode, as [`super::inode::Inode::read`] takes it.
    pub(super) inode: u64,
}

/// Where a directory is.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) block: u32,
    pub(super) offset: u16,
    pub(super) size_bytes: u32,
}

/// A directory being read.
#[derive(Debug)]
pub(super) struct Listing {
    /// Where it goes on; nowhere if it is empty.
    cursor: Option<Cursor>,
    rest_bytes: u32,
    /// How many names still follow the last header, and in which block their inodes are.
    run: u32,
    inode_block: u32,
    last_name: Vec<u8>,
}

impl Listing {
    /// The beginning of a directory.
    pub(super) fn new(image: &mut Squashfs<'_>, directory: &Directory) -> io::Result<Self> {
        let rest_bytes = directory.size_bytes.saturating_sub(EXTRA_BYTES);
        if rest_bytes > MAX_LISTING_BYTES {
            return Err(malformed("a directory is too long"));
        }
        let table = &image.superblock.directory_table;
        let cursor = match rest_bytes {
            0 => None,
            _ => Some(Cursor::new(
                &mut image.disk,
                table,
                u64::from(directory.block),
                directory.offset,
            )?),
        };
        Ok(Self {
            cursor,
            rest_bytes,
            run: 0,
            inode_block: 0,
            last_name: Vec::new(),
        })
    }

    /// The next entry.
    pub(super) fn next(&mut self, image: &mut Squashfs<'_>) -> io::Result<Option<Entry>> {
        if self.run == 0 {
            if self.rest_bytes == 0 {
                return Ok(None);
            }
            self.read_header(image)?;
        }
        self.run -= 1;
        self.read_entry(image).map(Some)
    }

    fn read_header(&mut self, image: &mut Squashfs<'_>) -> io::Result<()> {
        let mut header = [0; 12];
        self.fill(image, &mut header)?;
        let mut fields = Fields(&header);
        self.run = fields.u32()?.saturating_add(1);
        self.inode_block = fields.u32()?;
        if self.run > MAX_RUN {
            return Err(malformed("too many names after a header"));
        }
        Ok(())
    }

    fn read_entry(&mut self, image: &mut Squashfs<'_>) -> io::Result<Entry> {
        let mut header = [0; 8];
        self.fill(image, &mut header)?;
        let mut fields = Fields(&header);
        let offset = fields.u16()?;
        let _number = fields.u16()?;
        let kind = kind(fields.u16()?)?;
        let mut name = vec![0; usize::from(fields.u16()?) + 1];
        if name.len() > 256 {
            return Err(malformed("a name is too long"));
        }
        self.fill(image, &mut name)?;
        self.check_name(&name)?;
        self.last_name.clone_from(&name);
        let inode = u64::from(self.inode_block) << 16 | u64::from(offset);
        if inode == image.superblock.root_inode {
            return Err(malformed("the root is in a directory"));
        }
        Ok(Entry { name, kind, inode })
    }

    /// Names are in order, because the kernel relies on it; so none is there twice.
    fn check_name(&self, name: &[u8]) -> io::Result<()> {
        if matches!(name, b"." | b"..") || name.contains(&b'/') || name.contains(&0) {
            return Err(malformed("invalid name"));
        }
        if *self.last_name >= *name {
            return Err(malformed("names are not in order"));
        }
        Ok(())
    }

    fn fill(&mut self, image: &mut Squashfs<'_>, room: &mut [u8]) -> io::Result<()> {
        let rest = u32::try_from(room.len())
            .ok()
            .and_then(|length| self.rest_bytes.checked_sub(length));
        let (Some(rest), Some(cursor)) = (rest, &mut self.cursor) else {
            return Err(malformed("a directory ends within an entry"));
        };
        self.rest_bytes = rest;
        cursor.fill(&mut image.disk, room)
    }
}

fn kind(number: u16) -> io::Result<Kind> {
    match number {
        1 => Ok(Kind::Directory),
        2 => Ok(Kind::Regular),
        3 => Ok(Kind::SymbolicLink),
        4 => Ok(Kind::Special(Special::BlockDevice)),
        5 => Ok(Kind::Special(Special::CharacterDevice)),
        6 => Ok(Kind::Special(Special::Fifo)),
        7 => Ok(Kind::Special(Special::Socket)),
        _ => Err(malformed("unknown type of entry")),
    }
}
