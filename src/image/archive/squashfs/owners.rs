//! The numbers of owners, which inodes name by their places in one table.

use std::io;

use super::{Squashfs, cursor::Cursor, fields::Fields, malformed};

/// How many are in a block of metadata.
const PER_BLOCK: usize = 2048;

/// All of them: no more than a few hundred KiB.
pub(super) fn owners(image: &mut Squashfs<'_>) -> io::Result<Vec<u32>> {
    let count = usize::from(image.superblock.id_count);
    let blocks = count.div_ceil(PER_BLOCK);
    let places = image.disk.bytes(image.superblock.id_table, blocks * 8)?;
    let mut places = Fields(&places);
    let mut owners = Vec::with_capacity(count);
    let table = 0..image.superblock.bytes_used;
    while owners.len() < count {
        let mut cursor = Cursor::new(&mut image.disk, &table, places.u64()?, 0)?;
        for _ in 0..PER_BLOCK.min(count - owners.len()) {
            owners.push(u32::from_le_bytes(cursor.read(&mut image.disk)?));
        }
    }
    Ok(owners)
}

/// The owner at a place in the table.
pub(super) fn owner(owners: &[u32], place: u16) -> io::Result<u32> {
    let owner = owners.get(usize::from(place)).copied();
    owner.ok_or_else(|| malformed("there is no such owner"))
}
