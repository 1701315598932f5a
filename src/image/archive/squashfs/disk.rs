//! The image as blocks: nothing is read outside of it, and only so much of it.

use std::{
    collections::HashMap,
    io::{self, SeekFrom},
    ops::Range,
    sync::Arc,
};

use super::{
    Input,
    compressor::Compressor,
    fields::Fields,
    malformed,
    superblock::{SUPERBLOCK_BYTES, Superblock},
};

/// How much is in a block of metadata.
pub(super) const METADATA_BYTES: usize = 8192;

/// Most blocks of metadata that are unpacked: the largest directory that is read, in blocks that
/// are half full.
const MAX_METADATA_BLOCKS: u32 = 4096;

/// How many of them are kept: entries that follow each other are in few.
const KEPT_BLOCKS: usize = 64;

/// Says of a block of metadata that it is not compressed.
const METADATA_IS_PLAIN: u16 = 1 << 15;

/// Says of a block of data that it is not compressed.
pub(super) const DATA_IS_PLAIN: u32 = 1 << 24;

/// An image and what may still be read of it.
pub(super) struct Disk<'i> {
    input: &'i mut dyn Input,
    compressor: Compressor,
    bytes_used: u64,
    metadata_blocks: u32,
    most_metadata_blocks: u32,
    /// Blocks of metadata by where they begin, and where the next one does.
    kept: HashMap<u64, (Arc<Vec<u8>>, u64)>,
}

impl<'i> Disk<'i> {
    /// Reads where everything is.
    pub(super) fn open(input: &'i mut dyn Input) -> io::Result<(Self, Superblock)> {
        let file_bytes = input.seek(SeekFrom::End(0))?;
        let mut bytes = [0; SUPERBLOCK_BYTES];
        input.rewind()?;
        input.read_exact(&mut bytes)?;
        let superblock = Superblock::parse(&bytes, file_bytes)?;
        let disk = Self {
            input,
            compressor: superblock.compressor,
            bytes_used: superblock.bytes_used,
            metadata_blocks: 0,
            most_metadata_blocks: MAX_METADATA_BLOCKS,
            kept: HashMap::new(),
        };
        Ok((disk, superblock))
    }

    /// The bytes from `start`, no more than a few MiB of them.
    pub(super) fn bytes(&mut self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let end = start.checked_add(length as u64);
        if start < SUPERBLOCK_BYTES as u64 || end.is_none_or(|end| end > self.bytes_used) {
            return Err(malformed("something is outside of the image"));
        }
        let mut bytes = vec![0; length];
        self.input.seek(SeekFrom::Start(start))?;
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Lets any number of blocks of metadata be unpacked: for a caller who watches the time.
    pub(super) fn unbound(&mut self) {
        self.most_metadata_blocks = u32::MAX;
    }

    /// What is in the block of metadata that begins at `space.start`. The space is cut to what
    /// follows the block.
    pub(super) fn metadata(&mut self, space: &mut Range<u64>) -> io::Result<Arc<Vec<u8>>> {
        let start = space.start;
        if let Some((block, next)) = self.kept.get(&start).filter(|(_, next)| *next <= space.end) {
            space.start = *next;
            return Ok(Arc::clone(block));
        }
        let block = Arc::new(self.unpack_metadata(space)?);
        if self.kept.len() >= KEPT_BLOCKS {
            self.kept.clear();
        }
        self.kept.insert(start, (Arc::clone(&block), space.start));
        Ok(block)
    }

    fn unpack_metadata(&mut self, space: &mut Range<u64>) -> io::Result<Vec<u8>> {
        self.metadata_blocks = self.metadata_blocks.saturating_add(1);
        if self.metadata_blocks > self.most_metadata_blocks {
            return Err(malformed("too many blocks of metadata"));
        }
        let header = self.bytes(space.start, 2)?;
        let header = Fields(&header).u16()?;
        let length = usize::from(header & !METADATA_IS_PLAIN);
        let next = space.start + 2 + length as u64;
        if !(1..=METADATA_BYTES).contains(&length) || next > space.end {
            return Err(malformed("invalid length of metadata"));
        }
        let bytes = self.bytes(space.start + 2, length)?;
        space.start = next;
        if header & METADATA_IS_PLAIN != 0 {
            return Ok(bytes);
        }
        self.compressor.unpack(&bytes, METADATA_BYTES)
    }

    /// Checks where a block of data is, for somebody else to read it.
    pub(super) fn check_data(&self, start: u64, size: u32, limit: usize) -> io::Result<()> {
        let length = data_length(size);
        let end = start.checked_add(length.into());
        if length as usize > limit || start < SUPERBLOCK_BYTES as u64 {
            return Err(malformed("invalid length of data"));
        }
        if end.is_none_or(|end| end > self.bytes_used) {
            return Err(malformed("something is outside of the image"));
        }
        Ok(())
    }

    /// What is in the block of data at `start`, whose length is `size` as squashfs writes it, and
    /// which holds `limit` bytes at most.
    pub(super) fn data(&mut self, start: u64, size: u32, limit: usize) -> io::Result<Vec<u8>> {
        let length = data_length(size);
        if length as usize > limit {
            return Err(malformed("invalid length of data"));
        }
        let bytes = self.bytes(start, length as usize)?;
        if size & DATA_IS_PLAIN != 0 {
            return Ok(bytes);
        }
        self.compressor.unpack(&bytes, limit)
    }
}

/// How many bytes a block of data takes in the image.
pub(super) fn data_length(size: u32) -> u32 {
    size & !DATA_IS_PLAIN
}
