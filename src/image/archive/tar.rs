//! Reading a tar stream: names, types and sizes, and the data of what is asked for.
//!
//! Agrees with GNU tar, bsdtar and Python's tarfile, or refuses: where readers differ, an image
//! could be one thing to us and another to what unpacks it. The `tar` crate is not used here
//! because it takes extended headers apart at line ends instead of by their lengths.

use std::io::{self, ErrorKind, Read};

use super::{
    attributes::Attributes,
    extended::{Extended, long_name, name},
    header::{BLOCK_BYTES, Block, Header, Kind, Special, malformed},
    sparse::{Map, Part},
};

/// Longest extended header.
const MAX_EXTENDED_BYTES: u64 = 1024 * 1024;

/// Sizes from here on do not fit into the octal digits of a header, so that an extended header has
/// to say them.
const LARGE_BYTES: u64 = 1 << 33;

/// An entry.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name as the archive spells it.
    pub(crate) name: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
    /// How long the file is, holes and all; 0 for what is no file.
    pub(crate) size_bytes: u64,
    /// What it links to; empty for what is no link.
    pub(crate) link: Vec<u8>,
    /// What else there is of it.
    pub(crate) attributes: Attributes,
}

/// What was read in front of an entry.
#[derive(Debug, Default)]
struct Before {
    extended: Option<Extended>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    has_global: bool,
}

impl Before {
    fn is_empty(&self) -> bool {
        self.extended.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }

    /// GNU's and POSIX's ways do not go together, and none of them twice.
    fn into_extended(self, header: &Header<'_>) -> io::Result<Extended> {
        match self.extended {
            Some(_) if !header.is_posix() => Err(malformed("extended header of another dialect")),
            Some(extended) => Ok(extended),
            None => Ok(Extended::of_names(self.long_name, self.long_link)),
        }
    }
}

/// A tar stream.
pub(crate) struct Tar<R> {
    input: R,
    /// Data and padding of the last entry that were not read yet.
    pending_bytes: u64,
    padding_bytes: u64,
    /// The holes of the last entry.
    map: Option<Map>,
}

impl<R: Read> Tar<R> {
    /// The archive at the beginning of `input`.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            pending_bytes: 0,
            padding_bytes: 0,
            map: None,
        }
    }

    /// What the archive is read from.
    pub(crate) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The next entry; `None` at the end of the archive, whatever follows it.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut before = Before::default();
        loop {
            self.skip()?;
            let Some(block) = self.header_block()? else {
                return if before.is_empty() && !before.has_global {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            };
            let header = Header::parse(&block)?;
            if !self.comes_before(&header, &mut before)? {
                let extended = before.into_extended(&header)?;
                return self.entry(&block, &header, extended).map(Some);
            }
        }
    }

    /// Takes a header that only says something of the entry after it.
    fn comes_before(&mut self, header: &Header<'_>, before: &mut Before) -> io::Result<bool> {
        let flag = header.flag();
        let is_free = match flag {
            b'x' | b'g' => before.is_empty(),
            b'L' => before.extended.is_none() && before.long_name.is_none(),
            b'K' => before.extended.is_none() && before.long_link.is_none(),
            _ => return Ok(false),
        };
        if !is_free {
            return Err(malformed("extended header after extended header"));
        }
        let data = self.extended(header.size()?)?;
        match flag {
            b'x' => before.extended = Some(Extended::records(&data)?),
            b'g' => {
                Extended::check_global(&data)?;
                before.has_global = true;
            }
            b'L' => before.long_name = Some(long_name(&data)?),
            _ => before.long_link = Some(long_name(&data)?),
        }
        Ok(true)
    }

    fn entry(
        &mut self,
        block: &Block,
        header: &Header<'_>,
        mut extended: Extended,
    ) -> io::Result<Entry> {
        let size_bytes = size(header.size()?, &extended)?;
        let kind = kind(header, &extended)?;
        // Its own name has to be in order even when another one counts.
        let own_name = header.name()?;
        let name = name(extended.name.as_ref().unwrap_or(&own_name))?;
        if name.ends_with(b"/") && kind != Kind::Directory {
            return Err(malformed("name of a directory"));
        }
        if size_bytes > 0 && !matches!(kind, Kind::Regular | Kind::Sparse) {
            return Err(malformed("data after an entry that has none"));
        }
        let link = link(header, kind, &extended)?;
        let mut entry = Entry {
            name,
            kind,
            size_bytes,
            link,
            attributes: extended.overlay(&header.attributes()?),
        };
        self.map = None;
        if kind == Kind::Sparse && header.flag() == b'S' {
            let next_block = || self.block()?.ok_or(ErrorKind::UnexpectedEof.into());
            self.map = Some(Map::old(block, size_bytes, next_block)?);
        }
        self.expect(size_bytes);
        if let Some(described) = extended.sparse {
            let (map, taken) = described.map(size_bytes, &mut self.input)?;
            self.pending_bytes -= taken;
            self.map = Some(map);
        }
        if let Some(map) = &self.map {
            entry.size_bytes = map.size_bytes;
        }
        Ok(entry)
    }

    /// The data of the entry that [`Self::next`] returned last, if it is no longer than `limit`.
    pub(crate) fn data(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if self.pending_bytes > limit {
            return Ok(None);
        }
        let data = self.take(self.pending_bytes)?;
        if self.pending_bytes > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(data))
    }

    /// How much of its data was not read, and will be passed over.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// The parts of the file that [`Self::next`] returned last, whose data follow each other.
    pub(crate) fn parts(&mut self) -> Vec<Part> {
        match self.map.take() {
            Some(map) => map.parts,
            None => vec![Part {
                offset: 0,
                size_bytes: self.pending_bytes,
            }],
        }
    }

    /// The next of its data, as many as there is room for.
    pub(crate) fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
        let rest = self.pending_bytes.checked_sub(into.len() as u64);
        let rest = rest.ok_or_else(|| malformed("data that an entry does not have"))?;
        self.input.read_exact(into)?;
        self.pending_bytes = rest;
        Ok(())
    }

    /// The first bytes of the file that [`Self::next`] returned last, with its holes as zeros.
    pub(super) fn beginning(&mut self, count: u64) -> io::Result<Vec<u8>> {
        let Some(map) = self.map.take() else {
            return self.take(count.min(self.pending_bytes));
        };
        let stored = self.take(map.stored_within(count).min(self.pending_bytes))?;
        Ok(map.spread(&stored, count))
    }

    /// Reads so much of the pending data, or what there is of it.
    fn take(&mut self, count: u64) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        self.input.by_ref().take(count).read_to_end(&mut data)?;
        self.pending_bytes -= data.len() as u64;
        Ok(data)
    }

    fn extended(&mut self, size_bytes: u64) -> io::Result<Vec<u8>> {
        if size_bytes > MAX_EXTENDED_BYTES {
            return Err(malformed("extended header too long"));
        }
        self.expect(size_bytes);
        let data = self.data(u64::MAX)?;
        Ok(data.unwrap_or_default())
    }

    fn expect(&mut self, size_bytes: u64) {
        self.pending_bytes = size_bytes;
        self.padding_bytes = size_bytes.next_multiple_of(BLOCK_BYTES as u64) - size_bytes;
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

    /// The block of a header, or `None` at the end: two blocks of zeros, one, or nothing more.
    fn header_block(&mut self) -> io::Result<Option<Block>> {
        let is_zero = |block: &Block| block.iter().all(|byte| *byte == 0);
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if !is_zero(&block) {
            return Ok(Some(block));
        }
        // Some readers look at what follows a single one.
        match self.block()? {
            Some(second) if !is_zero(&second) => Err(malformed("invalid tar header")),
            _ => Ok(None),
        }
    }

    /// A block, or `None` when there is nothing more.
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
        Ok(Some(block))
    }
}

/// How many bytes follow a header. An extended header may only say what the header cannot:
/// otherwise some readers would go by the one, and some by the other.
fn size(own: u64, extended: &Extended) -> io::Result<u64> {
    match extended.size_bytes {
        None => Ok(own),
        Some(_) if extended.sparse.is_some() => Err(malformed("two sizes")),
        Some(size) if size == own || (own == 0 && size >= LARGE_BYTES) => Ok(size),
        Some(_) => Err(malformed("two sizes")),
    }
}

/// What a link leads to.
fn link(header: &Header<'_>, kind: Kind, extended: &Extended) -> io::Result<Vec<u8>> {
    let own = header.link();
    match (kind, extended.link.as_deref()) {
        // Some readers tell a hard link by its own field.
        (Kind::HardLink, _) if own.is_empty() => Err(malformed("link to nothing")),
        (Kind::HardLink | Kind::SymbolicLink, link) => name(link.unwrap_or(own)),
        _ => Ok(Vec::new()),
    }
}

fn kind(header: &Header<'_>, extended: &Extended) -> io::Result<Kind> {
    let flag = header.flag();
    let is_file = matches!(flag, b'0' | 0 | b'7');
    if extended.sparse.is_some() && !is_file {
        return Err(malformed("holes in what is no file"));
    }
    Ok(match flag {
        // Before POSIX, a directory was a file whose name ends so.
        0 if header.short_name().ends_with(b"/") => {
            if extended.name.is_some() || extended.sparse.is_some() {
                return Err(malformed("name of a directory"));
            }
            Kind::Directory
        }
        _ if extended.sparse.is_some() => Kind::Sparse,
        b'0' | 0 | b'7' => Kind::Regular,
        b'S' if header.is_gnu() => Kind::Sparse,
        b'1' => Kind::HardLink,
        b'2' => Kind::SymbolicLink,
        b'3' => Kind::Special(Special::CharacterDevice),
        b'4' => Kind::Special(Special::BlockDevice),
        b'6' => Kind::Special(Special::Fifo),
        b'5' => Kind::Directory,
        _ => return Err(malformed("unknown type of entry")),
    })
}
