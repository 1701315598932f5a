//! Inodes: what an entry is, and where its data are.

use std::io;

use super::{
    Squashfs, cursor::Cursor, directory::Directory, fields::Fields, file::File, malformed,
};
use crate::image::archive::header::{Kind, Special};

/// The number of a fragment that is none.
const NO_FRAGMENT: u32 = u32::MAX;

/// Longest target of a link.
const MAX_LINK_BYTES: u32 = 4096;

/// Says that there are no extended attributes.
const NO_XATTRS: u32 = u32::MAX;

/// Something in a directory.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) mode: u32,
    /// Owners, by their places in the table of those.
    pub(super) uid: u16,
    pub(super) gid: u16,
    /// In seconds since 1970.
    pub(super) modified: u32,
    /// How many names it has, as it says itself.
    pub(super) names: u32,
    /// Extended attributes, by their place in the table of those.
    pub(super) xattrs: Option<u32>,
    pub(super) body: Body,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Body {
    Directory(Directory),
    Regular(File),
    /// A link and where it leads.
    SymbolicLink(Vec<u8>),
    /// With the numbers of a device.
    Special(Special, (u32, u32)),
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
        let mut fields = Fields(&header);
        let kind = fields.u16()?;
        let mode = u32::from(fields.u16()?) & 0o7777;
        let (uid, gid) = (fields.u16()?, fields.u16()?);
        let modified = fields.u32()?;
        let (names, xattrs, body) = match kind {
            1 => directory(image, &mut cursor)?,
            2 => file(image, cursor)?,
            8 => extended_directory(image, &mut cursor)?,
            9 => extended_file(image, cursor)?,
            3 | 10 => link(image, &mut cursor, kind == 10)?,
            4 | 11 => special(image, &mut cursor, (Special::BlockDevice, kind == 11))?,
            5 | 12 => special(image, &mut cursor, (Special::CharacterDevice, kind == 12))?,
            6 | 13 => special(image, &mut cursor, (Special::Fifo, kind == 13))?,
            7 | 14 => special(image, &mut cursor, (Special::Socket, kind == 14))?,
            _ => return Err(malformed("unknown type of inode")),
        };
        Ok(Self {
            mode,
            uid,
            gid,
            modified,
            names,
            xattrs: xattrs.filter(|place| *place != NO_XATTRS),
            body,
        })
    }

    /// What it is, in the words of archives.
    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::Directory(_) => Kind::Directory,
            Body::Regular(_) => Kind::Regular,
            Body::SymbolicLink(_) => Kind::SymbolicLink,
            Body::Special(special, _) => Kind::Special(special),
        }
    }
}

/// How many names it has, its extended attributes, and what it is.
type Parts = (u32, Option<u32>, Body);

fn directory(image: &mut Squashfs<'_>, cursor: &mut Cursor) -> io::Result<Parts> {
    let body: [u8; 16] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let block = fields.u32()?;
    let names = fields.u32()?;
    let size_bytes = fields.u16()?;
    let offset = fields.u16()?;
    let directory = Directory {
        block,
        offset,
        size_bytes: u32::from(size_bytes),
    };
    Ok((names, None, Body::Directory(directory)))
}

fn extended_directory(image: &mut Squashfs<'_>, cursor: &mut Cursor) -> io::Result<Parts> {
    let body: [u8; 24] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let names = fields.u32()?;
    let size_bytes = fields.u32()?;
    let block = fields.u32()?;
    let _parent = fields.u32()?;
    let _index_count = fields.u16()?;
    let offset = fields.u16()?;
    let directory = Directory {
        block,
        offset,
        size_bytes,
    };
    Ok((names, Some(fields.u32()?), Body::Directory(directory)))
}

fn file(image: &mut Squashfs<'_>, mut cursor: Cursor) -> io::Result<Parts> {
    let body: [u8; 16] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let start = u64::from(fields.u32()?);
    let fragment = fragment(&mut fields)?;
    let size_bytes = u64::from(fields.u32()?);
    let file = File::new(size_bytes, start, fragment, cursor);
    Ok((1, None, Body::Regular(file)))
}

fn extended_file(image: &mut Squashfs<'_>, mut cursor: Cursor) -> io::Result<Parts> {
    let body: [u8; 40] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let start = fields.u64()?;
    let size_bytes = fields.u64()?;
    let _sparse_bytes = fields.u64()?;
    let names = fields.u32()?;
    let fragment = fragment(&mut fields)?;
    let xattrs = fields.u32()?;
    let file = File::new(size_bytes, start, fragment, cursor);
    Ok((names, Some(xattrs), Body::Regular(file)))
}

fn link(image: &mut Squashfs<'_>, cursor: &mut Cursor, is_extended: bool) -> io::Result<Parts> {
    let body: [u8; 8] = cursor.read(&mut image.disk)?;
    let mut fields = Fields(&body);
    let names = fields.u32()?;
    let length = fields.u32()?;
    if !(1..=MAX_LINK_BYTES).contains(&length) {
        return Err(malformed("a link is too long"));
    }
    let mut target = vec![0; length as usize];
    cursor.fill(&mut image.disk, &mut target)?;
    if target.contains(&0) {
        return Err(malformed("invalid link"));
    }
    let xattrs = trailing_xattrs(image, cursor, is_extended)?;
    Ok((names, xattrs, Body::SymbolicLink(target)))
}

fn special(
    image: &mut Squashfs<'_>,
    cursor: &mut Cursor,
    (special, is_extended): (Special, bool),
) -> io::Result<Parts> {
    let names = u32::from_le_bytes(cursor.read(&mut image.disk)?);
    let is_device = matches!(special, Special::BlockDevice | Special::CharacterDevice);
    let device = if is_device {
        u32::from_le_bytes(cursor.read(&mut image.disk)?)
    } else {
        0
    };
    // The kernel's way to keep both numbers in 32 bits.
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    let xattrs = trailing_xattrs(image, cursor, is_extended)?;
    Ok((names, xattrs, Body::Special(special, (major, minor))))
}

fn trailing_xattrs(
    image: &mut Squashfs<'_>,
    cursor: &mut Cursor,
    is_extended: bool,
) -> io::Result<Option<u32>> {
    if !is_extended {
        return Ok(None);
    }
    Ok(Some(u32::from_le_bytes(cursor.read(&mut image.disk)?)))
}

/// The fragment that holds the end of a file, and where in it.
fn fragment(fields: &mut Fields<'_>) -> io::Result<Option<(u32, u32)>> {
    let (number, offset) = (fields.u32()?, fields.u32()?);
    Ok(Some((number, offset)).filter(|_| number != NO_FRAGMENT))
}
