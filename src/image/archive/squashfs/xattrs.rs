//! Extended attributes: lists that inodes name by their places in a table, so that many inodes
//! share one.

use std::{io, ops::Range};

use super::{Squashfs, cursor::Cursor, fields::Fields, malformed};
use crate::image::archive::attributes::Xattr;

/// How many lists a block of metadata tells of, and in how many bytes each.
const LISTS_PER_BLOCK: u32 = 512;
const LIST_BYTES: u32 = 16;

/// Most attributes of an inode, and the longest value, that Linux has.
const MAX_XATTRS: u32 = 256;
const MAX_VALUE_BYTES: u32 = 65_536;

/// Most bytes of names and values in a list, as in a tar archive: values can be shared, so that a
/// small image could have any number of them.
const MAX_LIST_BYTES: usize = 1024 * 1024;

/// Says of a value that it is somewhere else.
const IS_ELSEWHERE: u16 = 0x100;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    /// Where names and values are.
    space: Range<u64>,
    count: u32,
    /// Where it is written where lists are.
    places: u64,
}

impl Table {
    /// An image's table, if it has one.
    pub(super) fn open(image: &mut Squashfs<'_>) -> io::Result<Option<Self>> {
        let Some(start) = image.superblock.xattr_table else {
            return Ok(None);
        };
        let header = image.disk.bytes(start, 16)?;
        let mut fields = Fields(&header);
        let names = fields.u64()?;
        let count = fields.u32()?;
        if names >= start {
            return Err(malformed("invalid table of extended attributes"));
        }
        Ok(Some(Self {
            space: names..start,
            count,
            places: start + 16,
        }))
    }

    /// The list at a place in the table.
    pub(super) fn list(&self, image: &mut Squashfs<'_>, place: u32) -> io::Result<Vec<Xattr>> {
        if place >= self.count {
            return Err(malformed("there is no such list of extended attributes"));
        }
        let index = u64::from(place / LISTS_PER_BLOCK) * 8;
        let block = Fields(&image.disk.bytes(self.places + index, 8)?).u64()?;
        let table = 0..image.superblock.bytes_used;
        let offset = u16::try_from(place % LISTS_PER_BLOCK * LIST_BYTES).unwrap_or_default();
        let mut cursor = Cursor::new(&mut image.disk, &table, block, offset)?;
        let list: [u8; LIST_BYTES as usize] = cursor.read(&mut image.disk)?;
        let mut fields = Fields(&list);
        let reference = fields.u64()?;
        let count = fields.u32()?;
        if count > MAX_XATTRS {
            return Err(malformed("too many extended attributes"));
        }
        let mut cursor = self.cursor(image, reference)?;
        let (mut xattrs, mut bytes) = (Vec::new(), 0);
        for _ in 0..count {
            let xattr = self.xattr(image, &mut cursor)?;
            bytes += xattr.name.len() + xattr.value.len();
            if bytes > MAX_LIST_BYTES {
                return Err(malformed("too many extended attributes"));
            }
            xattrs.push(xattr);
        }
        Ok(xattrs)
    }

    fn cursor(&self, image: &mut Squashfs<'_>, reference: u64) -> io::Result<Cursor> {
        let offset = u16::try_from(reference & 0xffff).unwrap_or_default();
        Cursor::new(&mut image.disk, &self.space, reference >> 16, offset)
    }

    fn xattr(&self, image: &mut Squashfs<'_>, cursor: &mut Cursor) -> io::Result<Xattr> {
        let kind = u16::from_le_bytes(cursor.read(&mut image.disk)?);
        let length = u16::from_le_bytes(cursor.read(&mut image.disk)?);
        let mut name = match kind & 0xff {
            0 => b"user.".to_vec(),
            1 => b"trusted.".to_vec(),
            2 => b"security.".to_vec(),
            _ => return Err(malformed("unknown kind of extended attribute")),
        };
        let prefix = name.len();
        name.resize(prefix + usize::from(length), 0);
        cursor.fill(&mut image.disk, name.get_mut(prefix..).unwrap_or_default())?;
        if length == 0 || name.len() > 255 || name.contains(&0) {
            return Err(malformed("invalid name of an extended attribute"));
        }
        let mut value = value(image, cursor)?;
        if kind & IS_ELSEWHERE != 0 {
            let reference = value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            let reference = reference.ok_or_else(|| malformed("invalid extended attribute"))?;
            let mut elsewhere = self.cursor(image, reference)?;
            value = self::value(image, &mut elsewhere)?;
        }
        Ok(Xattr { name, value })
    }
}

fn value(image: &mut Squashfs<'_>, cursor: &mut Cursor) -> io::Result<Vec<u8>> {
    let length = u32::from_le_bytes(cursor.read(&mut image.disk)?);
    if length > MAX_VALUE_BYTES {
        return Err(malformed("an extended attribute is too long"));
    }
    let mut value = vec![0; length as usize];
    cursor.fill(&mut image.disk, &mut value)?;
    Ok(value)
}
