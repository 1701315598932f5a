//! The superblock: where everything is.

use std::{io, ops::Range};

use super::{compressor::Compressor, fields::Fields, malformed};

/// Its size.
pub(super) const SUPERBLOCK_BYTES: usize = 96;

/// Where a table is that is not there.
const NOWHERE: u64 = u64::MAX;

/// What of it matters.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) compressor: Compressor,
    /// How much of a file is in a block: a power of two from 4 KiB to 1 MiB.
    pub(super) block_size: u32,
    /// How long the image is, without padding.
    pub(super) bytes_used: u64,
    /// Which inode is the root, as [`super::inode::Inode::read`] takes it.
    pub(super) root_inode: u64,
    /// Where inodes are.
    pub(super) inode_table: Range<u64>,
    /// Where directories are, and other things behind them.
    pub(super) directory_table: Range<u64>,
    /// How many owners there are, and where it is written where they are.
    pub(super) id_count: u16,
    pub(super) id_table: u64,
    /// Where extended attributes are, if there are any.
    pub(super) xattr_table: Option<u64>,
    /// How many fragments there are.
    pub(super) fragment_count: u32,
    /// Where it is written where fragments are.
    pub(super) fragment_table: u64,
}

impl Superblock {
    /// The superblock of a file of `file_bytes`.
    pub(super) fn parse(bytes: &[u8], file_bytes: u64) -> io::Result<Self> {
        let mut fields = Fields(bytes);
        let is_ours = fields.take()? == *b"hsqs";
        let _inode_count = fields.u32()?;
        let _modified = fields.u32()?;
        let block_size = fields.u32()?;
        let fragment_count = fields.u32()?;
        let compressor = fields.u16()?;
        let block_log = fields.u16()?;
        let _flags = fields.u16()?;
        let id_count = fields.u16()?;
        let version = (fields.u16()?, fields.u16()?);
        if !is_ours || version != (4, 0) {
            return Err(malformed("unknown version"));
        }
        let is_size = (4096..=1024 * 1024).contains(&block_size) && block_size.is_power_of_two();
        if !is_size || block_size.trailing_zeros() != u32::from(block_log) {
            return Err(malformed("invalid block size"));
        }
        let root_inode = fields.u64()?;
        let bytes_used = fields.u64()?;
        let tables = Tables::parse(&mut fields)?;
        if bytes_used > file_bytes || id_count == 0 || !tables.are_within(bytes_used) {
            return Err(malformed("tables are outside of the image"));
        }
        Ok(Self {
            compressor: Compressor::of(compressor)?,
            block_size,
            bytes_used,
            root_inode,
            inode_table: tables.inodes..tables.directories,
            directory_table: tables.directories..bytes_used,
            id_count,
            id_table: tables.ids,
            xattr_table: Some(tables.attributes).filter(|start| *start != NOWHERE),
            fragment_count,
            fragment_table: tables.fragments,
        })
    }
}

/// Where each table begins.
struct Tables {
    ids: u64,
    attributes: u64,
    inodes: u64,
    directories: u64,
    fragments: u64,
    exports: u64,
}

impl Tables {
    fn parse(fields: &mut Fields<'_>) -> io::Result<Self> {
        Ok(Self {
            ids: fields.u64()?,
            attributes: fields.u64()?,
            inodes: fields.u64()?,
            directories: fields.u64()?,
            fragments: fields.u64()?,
            exports: fields.u64()?,
        })
    }

    /// Whether all that must be there is, and in order, as far as there is one.
    fn are_within(&self, bytes_used: u64) -> bool {
        let space = SUPERBLOCK_BYTES as u64..bytes_used;
        let needed = [self.inodes, self.directories, self.ids];
        let others = [self.attributes, self.fragments, self.exports];
        needed.iter().all(|start| space.contains(start))
            && others
                .iter()
                .all(|start| *start == NOWHERE || space.contains(start))
            && self.inodes < self.directories
    }
}
