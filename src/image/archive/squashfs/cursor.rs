//! Reading on through metadata, from one block into the next.

use std::{
    io::{self, Read},
    ops::Range,
    sync::Arc,
};

use super::{disk::Disk, malformed};

/// A place in a table of metadata.
#[derive(Debug)]
pub(super) struct Cursor {
    /// What of the table is behind the block.
    space: Range<u64>,
    block: Arc<Vec<u8>>,
    /// How much of the block was read.
    offset: usize,
}

impl Cursor {
    /// The place `offset` bytes into what is in the block at `block` of a table.
    pub(super) fn new(
        disk: &mut Disk<'_>,
        table: &Range<u64>,
        block: u64,
        offset: u16,
    ) -> io::Result<Self> {
        let start = table.start.checked_add(block);
        let start = start.filter(|start| table.contains(start));
        let start = start.ok_or_else(|| malformed("a block is outside of its table"))?;
        let mut space = start..table.end;
        let block = disk.metadata(&mut space)?;
        let offset = usize::from(offset);
        if offset >= block.len() {
            return Err(malformed("a place is outside of its block"));
        }
        Ok(Self {
            space,
            block,
            offset,
        })
    }

    /// The next `N` bytes.
    pub(super) fn read<const N: usize>(&mut self, disk: &mut Disk<'_>) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(disk, &mut bytes)?;
        Ok(bytes)
    }

    /// The next bytes, as many as there is room for.
    pub(super) fn fill(&mut self, disk: &mut Disk<'_>, mut room: &mut [u8]) -> io::Result<()> {
        while !room.is_empty() {
            let mut rest = self.block.get(self.offset..).unwrap_or_default();
            let count = rest.read(room)?;
            self.offset += count;
            room = room.get_mut(count..).unwrap_or_default();
            if count == 0 {
                self.block = disk.metadata(&mut self.space)?;
                self.offset = 0;
            }
        }
        Ok(())
    }
}
