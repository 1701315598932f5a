//! Reading a tar stream: names, types and sizes, and the data of what is asked for.
//!
//! Agrees with GNU tar, bsdtar and Python's tarfile, or refuses: where readers differ, an image
//! could be one thing to us and another to what unpacks it. The `tar` crate is not used here
//! because it takes extended headers apart at line ends instead of by their lengths.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read},
};

use super::header::{BLOCK_BYTES, Block, Kind, has_checksum, name, number};

/// Longest name of an entry.
const MAX_NAME_BYTES: usize = 4096;

/// Longest extended header.
const MAX_EXTENDED_BYTES: i64 = 1024 * 1024;

/// An entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
}

/// What extended headers say of the entry after them.
#[derive(Debug, Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size_bytes: Option<i64>,
    is_sparse: bool,
}

/// A tar stream.
pub(super) struct Tar<R> {
    input: R,
    /// Data and padding of the last entry that were not read yet.
    pending_bytes: u64,
    padding_bytes: u64,
}

/// An archive that is not one, or that readers would take differently.
pub(super) fn malformed(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("archive/tar: {reason}"))
}

impl<R: Read> Tar<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            pending_bytes: 0,
            padding_bytes: 0,
        }
    }

    /// What the archive is read from.
    pub(super) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The next entry; `None` at the end of the archive, whatever follows it.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extended = None;
        loop {
            self.skip()?;
            let Some(block) = self.block()? else {
                return if extended.is_none() {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            };
            if !has_checksum(&block) {
                return Err(malformed("invalid tar header"));
            }
            let size = block.get(124..136).and_then(number);
            let size = size.ok_or_else(|| malformed("invalid size"))?;
            match block.get(156).copied().unwrap_or_default() {
                b'x' | b'L' if extended.is_some() => {
                    return Err(malformed("extended header after extended header"));
                }
                b'x' => extended = Some(records(&self.extended(size)?)?),
                b'L' => extended = Some(long_name(&self.extended(size)?)),
                b'K' => drop(self.extended(size)?),
                b'g' => check_global(&self.extended(size)?)?,
                flag => {
                    return self
                        .entry(&block, flag, size, extended.unwrap_or_default())
                        .map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        block: &Block,
        flag: u8,
        size: i64,
        extended: Extended,
    ) -> io::Result<Entry> {
        let name = extended.name.unwrap_or_else(|| name(block));
        if name.len() > MAX_NAME_BYTES || name.contains(&0) {
            return Err(malformed("invalid name"));
        }
        let size = extended.size_bytes.unwrap_or(size);
        let (kind, size_bytes) = match flag {
            b'0' | 0 | b'7' if extended.is_sparse => (Kind::Sparse, size),
            // Before POSIX, a directory was a file whose name ends so.
            b'0' | 0 if name.ends_with(b"/") => (Kind::Directory, size),
            b'0' | 0 | b'7' => (Kind::Regular, size),
            b'S' => {
                self.skip_sparse_map(block)?;
                (Kind::Sparse, size)
            }
            // Readers agree that nothing follows a hard link, whatever its size says.
            b'1' => (Kind::HardLink, 0),
            b'2' => (Kind::SymbolicLink, size),
            b'3' | b'4' | b'6' => (Kind::Special, size),
            b'5' => (Kind::Directory, size),
            _ => return Err(malformed("unknown type of entry")),
        };
        let has_data = matches!(kind, Kind::Regular | Kind::Sparse);
        if size_bytes > 0 && !has_data {
            return Err(malformed("data after an entry that has none"));
        }
        self.expect(size_bytes)?;
        Ok(Entry { name, kind })
    }

    /// The data of the entry that [`Self::next`] returned last, if it is no longer than `limit`.
    pub(super) fn data(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if self.pending_bytes > limit {
            return Ok(None);
        }
        let mut data = Vec::new();
        self.input
            .by_ref()
            .take(self.pending_bytes)
            .read_to_end(&mut data)?;
        if data.len() as u64 != self.pending_bytes {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.pending_bytes = 0;
        Ok(Some(data))
    }

    /// The first bytes of the data of the entry that [`Self::next`] returned last.
    pub(super) fn beginning(&mut self, count: u64) -> io::Result<Vec<u8>> {
        let count = count.min(self.pending_bytes);
        let mut data = Vec::new();
        self.input.by_ref().take(count).read_to_end(&mut data)?;
        self.pending_bytes -= data.len() as u64;
        Ok(data)
    }

    fn extended(&mut self, size: i64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENDED_BYTES {
            return Err(malformed("extended header too long"));
        }
        self.expect(size)?;
        let data = self.data(u64::MAX)?;
        Ok(data.unwrap_or_default())
    }

    fn expect(&mut self, size: i64) -> io::Result<()> {
        let size = u64::try_from(size).map_err(|_negative| malformed("negative size"))?;
        self.pending_bytes = size;
        self.padding_bytes = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        Ok(())
    }

    /// Goes behind the data of the entry before.
    fn skip(&mut self) -> io::Result<()> {
        let rest =
            std::mem::take(&mut self.pending_bytes) + std::mem::take(&mut self.padding_bytes);
        let skipped = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink())?;
        if skipped == rest {
            Ok(())
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }

    /// The old way of GNU tar: the map goes on in blocks of its own.
    fn skip_sparse_map(&mut self, header: &Block) -> io::Result<()> {
        let mut goes_on = header.get(482).is_some_and(|flag| *flag != 0);
        let mut blocks = 0;
        while goes_on {
            blocks += 1;
            let block = self.block()?.ok_or(ErrorKind::UnexpectedEof)?;
            if blocks > MAX_EXTENDED_BYTES / 512 {
                return Err(malformed("sparse map too long"));
            }
            goes_on = block.get(504).is_some_and(|flag| *flag != 0);
        }
        Ok(())
    }

    /// A block, or `None` at the end: a block of zeros, or nothing more.
    fn block(&mut self) -> io::Result<Option<Block>> {
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while let Some(free) = block.get_mut(filled..).filter(|free| !free.is_empty()) {
            match self.input.read(free) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(block.iter().any(|byte| *byte != 0).then_some(block))
    }
}

/// GNU tar's way to write a long name: as the data of an entry, with a zero at its end.
fn long_name(data: &[u8]) -> Extended {
    let name = data
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec();
    Extended {
        name: Some(name),
        ..Extended::default()
    }
}

/// POSIX's way: records of `LENGTH KEY=VALUE\n`, where the length counts all of itself.
fn pairs(data: &[u8]) -> io::Result<BTreeMap<&[u8], &[u8]>> {
    let bad = || malformed("invalid extended header");
    let mut pairs = BTreeMap::new();
    let mut rest = data;
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
        let digits = rest
            .get(..blank)
            .and_then(|d| std::str::from_utf8(d).ok())
            .ok_or_else(bad)?;
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let length: usize = digits.parse().ok().filter(|_| is_number).ok_or_else(bad)?;
        let (record, after) = rest.split_at_checked(length).ok_or_else(bad)?;
        let record = record
            .get(blank + 1..)
            .and_then(|r| r.strip_suffix(b"\n"))
            .ok_or_else(bad)?;
        let equals = record
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or_else(bad)?;
        let (key, value) = record.split_at_checked(equals).ok_or_else(bad)?;
        pairs.insert(key, value.get(1..).unwrap_or_default());
        rest = after;
    }
    Ok(pairs)
}

fn records(data: &[u8]) -> io::Result<Extended> {
    let pairs = pairs(data)?;
    let size_bytes = match pairs.get(&b"size"[..]) {
        None => None,
        Some(text) => {
            let text = std::str::from_utf8(text)
                .ok()
                .filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
            let size = text.and_then(|text| text.parse().ok());
            Some(size.ok_or_else(|| malformed("invalid size"))?)
        }
    };
    let is_sparse = pairs.keys().any(|key| key.starts_with(b"GNU.sparse."));
    let name = pairs
        .get(&b"GNU.sparse.name"[..])
        .or_else(|| pairs.get(&b"path"[..]));
    // An empty value takes a record back.
    let name = name
        .filter(|name| !name.is_empty())
        .map(|name| name.to_vec());
    Ok(Extended {
        name,
        size_bytes,
        is_sparse,
    })
}

/// A global header may carry comments; one that changes names or sizes is taken differently by
/// every reader.
fn check_global(data: &[u8]) -> io::Result<()> {
    let risky: [&[u8]; 4] = [b"path", b"size", b"linkpath", b"GNU.sparse.name"];
    if pairs(data)?.keys().any(|key| risky.contains(key)) {
        return Err(malformed("global header that changes entries"));
    }
    Ok(())
}
