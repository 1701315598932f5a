//! Inodes: what an entry is, and where its data are.

use std::io;

use super::{
    Squashfs, cursor::Cursor, directory::Directory, fields::Fields, file::File, malformed,
};
use crate::image::archive::header::{Kind, Special};

/// The number of a fragment that is none.
const NO_FRAGMENT: u32 = u32::MAX;

/// Something in a directory.
#[derive(Debug)]
pub(super) enum Inode {
    Directory(Directory),
    Regular(File),
    SymbolicLink,
    Special(Special),
}

impl Inode {
    /// Reads an inode by its reference: its block in 32 bits, and 16 for its place in there.
    pub(super) fn read(image: &mut Squashfs<'_>, reference: u64) -> io::Result<Self> {
        // Some readers would cut it off.
        if reference >> 48 != 0 {
            return Err(malformed("invalid reference to an inode"));
        }
        let table = &image.superblock.inode_table;
        let offset = u16::try_from(reference & 0xffff).unwrap_or_default();
        let mut cursor = Cursor::new(&mut image.disk, table, reference >> 16, offset)?;
        let header: [u8; 16] = cursor.read(&mut image.disk)?;
        match Fields(&header).u16()? {
            1 => directory(image, &mut cursor).map(Self::Directory),
            2 => file(image, cursor).map(Self::Regular),
            8 => extended_directory(image, &mut cursor).map(Self::Directory),
            9 => extended_file(image, cursor).map(Self::Regular),
            3 | 10 => Ok(Self::SymbolicLink),
            4 | 11 => Ok(Self::Special(Special::BlockDevice)),
            5 | 12 => Ok(Self::Special(Special::CharacterDevice)),
            6 | 13 => Ok(Self::Special(Special::Fifo)),
            7 | 14 => Ok(Self::Special(Special::Socket)),
            _ => Err(malformed("unknown type of inode")),
        }
    }

    /// What it is, in the words of archives.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::Regular(_) => Kind::Regular,
            Self::SymbolicLink => Kind::SymbolicLink,
            Self::Special(special) => Kind::Special(*special),
        }
    }
}

fn directory(image: &mut Squashfs<'_>, cursor: &mut Cursor) -> io::Result<Directory> {
    let body: [u8; 16] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let block = fields.u32()?;
    let _links = fields.u32()?;
    let size_bytes = fields.u16()?;
    let offset = fields.u16()?;
    Ok(Directory {
        block,
        offset,
        size_bytes: u32::from(size_bytes),
    })
}

fn extended_directory(image: &mut Squashfs<'_>, cursor: &mut Cursor) -> io::Result<Directory> {
    let body: [u8; 24] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let _links = fields.u32()?;
    let size_bytes = fields.u32()?;
    let block = fields.u32()?;
    let _parent = fields.u32()?;
    let _index_count = fields.u16()?;
    let offset = fields.u16()?;
    Ok(Directory {
        block,
        offset,
        size_bytes,
    })
}

fn file(image: &mut Squashfs<'_>, mut cursor: Cursor) -> io::Result<File> {
    let body: [u8; 16] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let start = u64::from(fields.u32()?);
    let fragment = fragment(&mut fields)?;
    let size_bytes = u64::from(fields.u32()?);
    Ok(File::new(size_bytes, start, fragment, cursor))
}

fn extended_file(image: &mut Squashfs<'_>, mut cursor: Cursor) -> io::Result<File> {
    let body: [u8; 40] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let start = fields.u64()?;
    let size_bytes = fields.u64()?;
    let _sparse_bytes = fields.u64()?;
    let _links = fields.u32()?;
    let fragment = fragment(&mut fields)?;
    Ok(File::new(size_bytes, start, fragment, cursor))
}

/// The fragment that holds the end of a file, and where in it.
fn fragment(fields: &mut Fields<'_>) -> io::Result<Option<(u32, u32)>> {
    let (number, offset) = (fields.u32()?, fields.u32()?);
    Ok(Some((number, offset)).filter(|_| number != NO_FRAGMENT))
}
