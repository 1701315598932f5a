//! Numbers out of bytes: all of squashfs is little-endian.

use std::io;

use super::malformed;

/// Fields that follow each other.
pub(super) struct Fields<'b>(pub(super) &'b [u8]);

impl Fields<'_> {
    /// The next two bytes.
    pub(super) fn u16(&mut self) -> io::Result<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub(super) fn u32(&mut self) -> io::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    pub(super) fn u64(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// The next `N` bytes.
    pub(super) fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (bytes, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| malformed("a structure is too short"))?;
        self.0 = rest;
        Ok(*bytes)
    }
}
