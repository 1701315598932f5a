//! The data of files: whole blocks, and an end that may share a block with others.

use std::io;

use super::{Squashfs, cursor::Cursor, disk::data_length, fields::Fields, malformed};

/// How many fragments a block of metadata tells of, and in how many bytes each.
const FRAGMENTS_PER_BLOCK: u32 = 512;
const FRAGMENT_BYTES: u32 = 16;

/// Some of a file, at most a block of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    /// Where in the file.
    pub(crate) offset: u64,
    /// How much.
    pub(crate) length: u32,
    /// Where in the image.
    pub(crate) place: Place,
}

impl Stretch {
    /// How much of the image it takes of its own.
    pub(crate) fn packed_bytes(&self) -> u64 {
        match self.place {
            Place::Block { size, .. } => data_length(size).into(),
            Place::Hole | Place::Fragment { .. } => 0,
        }
    }
}

/// Where data are in an image.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Nowhere: they are zeros.
    Hole,
    /// In a block of their own.
    Block {
        /// Where it begins.
        start: u64,
        /// Its length as squashfs writes it.
        size: u32,
    },
    /// In a block with other files' ends.
    Fragment {
        /// Where it begins.
        start: u64,
        /// Its length as squashfs writes it.
        size: u32,
        /// Where in what it unpacks to.
        within: u32,
    },
}

/// A regular file being read.
#[derive(Debug)]
pub(super) struct File {
    /// Its length.
    pub(super) size_bytes: u64,
    /// How much of it was read.
    offset: u64,
    /// Where its next block is.
    position: u64,
    /// The fragment with its end, and where in there.
    fragment: Option<(u32, u32)>,
    /// The lengths of its blocks, one after the other.
    sizes: Cursor,
}

impl File {
    /// A file whose blocks follow each other from `start`.
    pub(super) fn new(
        size_bytes: u64,
        start: u64,
        fragment: Option<(u32, u32)>,
        sizes: Cursor,
    ) -> Self {
        Self {
            size_bytes,
            offset: 0,
            position: start,
            fragment,
            sizes,
        }
    }

    /// All of it, or its first `limit` bytes if it is longer. To be called once.
    pub(super) fn read(&mut self, image: &mut Squashfs<'_>, limit: u64) -> io::Result<Vec<u8>> {
        let wanted = self.size_bytes.min(limit);
        let mut data = Vec::new();
        while self.offset < wanted {
            let piece = self.next(image)?;
            self.offset += piece.len() as u64;
            data.extend(piece);
        }
        data.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        Ok(data)
    }

    /// The next block of a file that has not ended; it is never empty.
    fn next(&mut self, image: &mut Squashfs<'_>) -> io::Result<Vec<u8>> {
        let block_size = image.superblock.block_size;
        let rest = self.size_bytes - self.offset;
        let length = u32::try_from(rest).map_or(block_size, |rest| rest.min(block_size));
        match self.fragment {
            Some((number, offset)) if length < block_size => tail(image, number, offset, length),
            _ => self.block(image, length as usize),
        }
    }

    /// Where the next bytes of the file are; none at its end. To be called until then, and not
    /// after [`Self::read`].
    pub(super) fn next_stretch(&mut self, image: &mut Squashfs<'_>) -> io::Result<Option<Stretch>> {
        let offset = self.offset;
        let rest = self.size_bytes - offset;
        if rest == 0 {
            return Ok(None);
        }
        let block_size = image.superblock.block_size;
        let length = u32::try_from(rest).map_or(block_size, |rest| rest.min(block_size));
        self.offset += u64::from(length);
        let limit = block_size as usize;
        let place = match self.fragment {
            Some((number, within)) if length < block_size => {
                let (start, size) = find_fragment(image, number)?;
                image.disk.check_data(start, size, limit)?;
                Place::Fragment {
                    start,
                    size,
                    within,
                }
            }
            _ => match u32::from_le_bytes(self.sizes.read(&mut image.disk)?) {
                0 => Place::Hole,
                size => {
                    let start = self.position;
                    image.disk.check_data(start, size, limit)?;
                    self.position += u64::from(data_length(size));
                    Place::Block { start, size }
                }
            },
        };
        Ok(Some(Stretch {
            offset,
            length,
            place,
        }))
    }

    fn block(&mut self, image: &mut Squashfs<'_>, length: usize) -> io::Result<Vec<u8>> {
        let size = u32::from_le_bytes(self.sizes.read(&mut image.disk)?);
        if size == 0 {
            return Ok(vec![0; length]);
        }
        let limit = image.superblock.block_size as usize;
        let data = image.disk.data(self.position, size, limit)?;
        self.position += u64::from(data_length(size));
        if data.len() != length {
            return Err(malformed("a block of data has another length"));
        }
        Ok(data)
    }
}

/// The `length` bytes at `offset` of a fragment.
fn tail(image: &mut Squashfs<'_>, number: u32, offset: u32, length: u32) -> io::Result<Vec<u8>> {
    let (start, size) = find_fragment(image, number)?;
    let limit = image.superblock.block_size as usize;
    let data = image.disk.data(start, size, limit)?;
    let tail = data
        .get(offset as usize..)
        .and_then(|tail| tail.get(..length as usize));
    tail.map(<[u8]>::to_vec)
        .ok_or_else(|| malformed("a file is outside of its fragment"))
}

/// Where a fragment is, and its length as squashfs writes it.
fn find_fragment(image: &mut Squashfs<'_>, number: u32) -> io::Result<(u64, u32)> {
    if number >= image.superblock.fragment_count {
        return Err(malformed("there is no such fragment"));
    }
    let index = u64::from(number / FRAGMENTS_PER_BLOCK) * 8;
    let place = image.superblock.fragment_table.saturating_add(index);
    let block = Fields(&image.disk.bytes(place, 8)?).u64()?;
    let table = 0..image.superblock.bytes_used;
    let offset = u16::try_from(number % FRAGMENTS_PER_BLOCK * FRAGMENT_BYTES).unwrap_or_default();
    let mut cursor = Cursor::new(&mut image.disk, &table, block, offset)?;
    let entry: [u8; FRAGMENT_BYTES as usize] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&entry);
    Ok((fields.u64()?, fields.u32()?))
}
