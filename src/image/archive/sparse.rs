//! Files with holes: where their parts go. GNU tar has had four ways to write that down.

use std::io::{self, Read};

use super::{
    extended::decimal,
    header::{BLOCK_BYTES, Block, malformed, number},
};

/// Most parts of a file.
const MAX_PARTS: usize = 65_536;

/// Digits of the longest number in a map.
const MAX_DIGITS: usize = 20;

/// A part of a file that is not a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it begins.
    pub(crate) offset: u64,
    /// How long it is.
    pub(crate) size_bytes: u64,
}

/// The parts of a file with holes.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) parts: Vec<Part>,
    /// How long the file is, holes and all.
    pub(super) size_bytes: u64,
}

impl Map {
    fn push(&mut self, offset: u64, size_bytes: u64) -> io::Result<()> {
        if self.parts.len() >= MAX_PARTS {
            return Err(malformed("sparse map too long"));
        }
        self.parts.push(Part { offset, size_bytes });
        Ok(())
    }

    /// Refuses parts that overlap, leave the file, or are not what is stored.
    fn check(&self, stored_bytes: u64) -> io::Result<()> {
        let bad = || malformed("invalid sparse map");
        let (mut end, mut stored) = (0_u64, 0_u64);
        for part in &self.parts {
            // Some readers round each part up to whole blocks, so only the last may be odd.
            if part.offset < end || (part.size_bytes > 0 && stored % BLOCK_BYTES as u64 != 0) {
                return Err(bad());
            }
            end = part.offset.checked_add(part.size_bytes).ok_or_else(bad)?;
            stored += part.size_bytes;
        }
        if end > self.size_bytes || stored != stored_bytes {
            return Err(bad());
        }
        Ok(())
    }

    /// How many stored bytes it takes to know the first `count` of the file.
    pub(super) fn stored_within(&self, count: u64) -> u64 {
        let inside = |part: &Part| count.saturating_sub(part.offset).min(part.size_bytes);
        self.parts.iter().map(inside).sum()
    }

    /// The first `count` bytes of the file, from what is stored of them.
    pub(super) fn spread(&self, mut stored: &[u8], count: u64) -> Vec<u8> {
        let count = count.min(self.size_bytes);
        let mut spread = vec![0; usize::try_from(count).unwrap_or_default()];
        for part in &self.parts {
            let at = usize::try_from(part.offset).unwrap_or(usize::MAX);
            let Some(free) = spread.get_mut(at..) else {
                break;
            };
            let length = usize::try_from(part.size_bytes).unwrap_or(usize::MAX);
            let length = length.min(free.len()).min(stored.len());
            let (now, later) = stored.split_at(length);
            for (into, from) in free.iter_mut().zip(now) {
                *into = *from;
            }
            stored = later;
        }
        spread
    }

    /// The oldest way: four parts in the header, and more in blocks of their own.
    pub(super) fn old(
        header: &Block,
        stored_bytes: u64,
        mut next_block: impl FnMut() -> io::Result<Block>,
    ) -> io::Result<Self> {
        let size_bytes = header.get(483..495).and_then(number);
        let mut map = Self {
            size_bytes: size_bytes.ok_or_else(|| malformed("invalid sparse map"))?,
            ..Self::default()
        };
        let mut is_open = map.take_old(header.get(386..482).unwrap_or_default())?;
        let mut goes_on = header.get(482).is_some_and(|flag| *flag != 0);
        while goes_on {
            let block = next_block()?;
            if !is_open {
                return Err(malformed("invalid sparse map"));
            }
            is_open = map.take_old(block.get(..504).unwrap_or_default())?;
            goes_on = block.get(504).is_some_and(|flag| *flag != 0);
        }
        map.check(stored_bytes)?;
        Ok(map)
    }

    /// Takes parts until one is empty; tells whether there may be more.
    fn take_old(&mut self, fields: &[u8]) -> io::Result<bool> {
        for (index, field) in fields.chunks_exact(24).enumerate() {
            if field.iter().all(|byte| *byte == 0) {
                let rest = fields.get(index * 24..).unwrap_or_default();
                let is_end = rest.iter().all(|byte| *byte == 0);
                return if is_end {
                    Ok(false)
                } else {
                    Err(malformed("invalid sparse map"))
                };
            }
            let (offset, size) = field.split_at(12);
            let part = number(offset).zip(number(size));
            let (offset, size) = part.ok_or_else(|| malformed("invalid sparse map"))?;
            self.push(offset, size)?;
        }
        Ok(true)
    }
}

/// What extended headers say of a file with holes.
#[derive(Debug, Default)]
pub(super) struct Described {
    version: (Option<u64>, Option<u64>),
    has_name: bool,
    size_bytes: Option<u64>,
    real_size_bytes: Option<u64>,
    part_count: Option<u64>,
    offset: Option<u64>,
    map: Map,
    has_map: bool,
}

impl Described {
    /// Takes the record `GNU.sparse.KEY`.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let twice = match key {
            b"major" => self.version.0.replace(decimal(value)?).is_some(),
            b"minor" => self.version.1.replace(decimal(value)?).is_some(),
            b"name" => std::mem::replace(&mut self.has_name, true),
            b"size" => self.size_bytes.replace(decimal(value)?).is_some(),
            b"realsize" => self.real_size_bytes.replace(decimal(value)?).is_some(),
            b"numblocks" => self.part_count.replace(decimal(value)?).is_some(),
            b"map" => {
                self.take_map(value)?;
                std::mem::replace(&mut self.has_map, true)
            }
            b"offset" => self.offset.replace(decimal(value)?).is_some(),
            b"numbytes" => {
                let offset = self.offset.take();
                let offset = offset.ok_or_else(|| malformed("invalid sparse map"))?;
                self.map.push(offset, decimal(value)?)?;
                false
            }
            _ => true,
        };
        if twice {
            return Err(malformed("invalid sparse map"));
        }
        Ok(())
    }

    fn take_map(&mut self, value: &[u8]) -> io::Result<()> {
        let numbers: io::Result<Vec<u64>> = value
            .split(|byte| *byte == b',')
            .map(|digits| match digits {
                [] => Err(malformed("invalid sparse map")),
                _ => decimal(digits),
            })
            .collect();
        let numbers = numbers?;
        for pair in numbers.chunks(2) {
            let [offset, size_bytes] = pair else {
                return Err(malformed("invalid sparse map"));
            };
            self.map.push(*offset, *size_bytes)?;
        }
        Ok(())
    }

    /// The map of a file of which `stored_bytes` follow in `data`, where the newest way has it;
    /// and how many bytes of data it took.
    pub(super) fn map(self, stored_bytes: u64, data: &mut impl Read) -> io::Result<(Map, u64)> {
        let bad = || malformed("invalid sparse map");
        let parts = self.map.parts.len() as u64;
        let mut map = self.map;
        let counts = self.part_count == Some(parts) && self.offset.is_none();
        let is_newest = self.version == (Some(1), Some(0));
        let mut taken = 0;
        match (self.size_bytes, self.real_size_bytes) {
            (None, Some(size)) if is_newest && self.has_name && self.part_count.is_none() => {
                if parts > 0 || self.has_map || self.offset.is_some() {
                    return Err(bad());
                }
                map.size_bytes = size;
                taken = read_map(&mut map, &mut data.take(stored_bytes))?;
            }
            // Version 0.1 has the map in one record and a name of its own, 0.0 has neither.
            (Some(size), None) if counts && self.has_name == self.has_map => {
                if self.version != (None, None) || parts == 0 {
                    return Err(bad());
                }
                map.size_bytes = size;
            }
            _ => return Err(bad()),
        }
        map.check(stored_bytes.checked_sub(taken).ok_or_else(bad)?)?;
        Ok((map, taken))
    }
}

/// Reads a map in front of the data: lines of numbers, padded to whole blocks. Gives its length.
fn read_map(map: &mut Map, data: &mut impl Read) -> io::Result<u64> {
    let mut lines = Lines {
        data,
        block: [0; BLOCK_BYTES],
        at: BLOCK_BYTES,
        taken: 0,
    };
    for _ in 0..lines.number()? {
        let offset = lines.number()?;
        map.push(offset, lines.number()?)?;
    }
    Ok(lines.taken)
}

struct Lines<'d, R> {
    data: &'d mut R,
    block: Block,
    at: usize,
    taken: u64,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> io::Result<u64> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK_BYTES {
                self.data.read_exact(&mut self.block)?;
                self.taken += BLOCK_BYTES as u64;
                self.at = 0;
            }
            let byte = self.block.get(self.at).copied().unwrap_or_default();
            self.at += 1;
            match byte {
                b'\n' if !digits.is_empty() => return decimal(&digits),
                b'0'..=b'9' if digits.len() < MAX_DIGITS => digits.push(byte),
                _ => return Err(malformed("invalid sparse map")),
            }
        }
    }
}
