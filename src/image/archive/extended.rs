//! Extended headers: what they say of the entry after them.
//!
//! Readers differ most here, so that records are taken apart by their lengths alone, and a record
//! that one reader heeds and another does not is refused.

use std::io;

use super::{header::malformed, sparse::Described};

/// Longest name of an entry.
const MAX_NAME_BYTES: usize = 4096;

/// Most digits of a time, before and after the point.
const MAX_TIME_DIGITS: usize = 18;

/// What extended headers say of the entry after them.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size_bytes: Option<u64>,
    pub(super) sparse: Option<Described>,
}

impl Extended {
    /// POSIX's way: records of `LENGTH KEY=VALUE\n`.
    pub(super) fn records(data: &[u8]) -> io::Result<Self> {
        let mut extended = Self::default();
        for (key, value) in pairs(data)? {
            extended.take(key, value)?;
        }
        Ok(extended)
    }

    /// A global header may say what concerns no reader's idea of names, types and sizes.
    pub(super) fn check_global(data: &[u8]) -> io::Result<()> {
        let global = Self::records(data)?;
        let is_harmless = global.name.is_none()
            && global.link.is_none()
            && global.size_bytes.is_none()
            && global.sparse.is_none();
        is_harmless
            .then_some(())
            .ok_or_else(|| malformed("global header that changes entries"))
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"path" => once(&mut self.name, name(value)?),
            b"linkpath" => once(&mut self.link, name(value)?),
            b"size" => once(&mut self.size_bytes, decimal(value)?),
            // As GNU tar writes it: behind a path of its own making.
            b"GNU.sparse.name" => {
                self.name = Some(name(value)?);
                self.described().take(b"name", b"")
            }
            b"uid" | b"gid" => u32::try_from(decimal(value)?)
                .map(drop)
                .map_err(|_too_large| malformed("invalid owner")),
            b"mtime" | b"atime" | b"ctime" if is_time(value) => Ok(()),
            b"mtime" | b"atime" | b"ctime" => Err(malformed("invalid time")),
            b"hdrcharset" if matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => Ok(()),
            b"hdrcharset" | b"SCHILY.realsize" | b"SUN.holesdata" => {
                Err(malformed("extended header that readers differ about"))
            }
            _ => match key.strip_prefix(b"GNU.") {
                None => Ok(()),
                Some(rest) => match rest.strip_prefix(b"sparse.") {
                    Some(key) => self.described().take(key, value),
                    None => Err(malformed("extended header that readers differ about")),
                },
            },
        }
    }

    fn described(&mut self) -> &mut Described {
        self.sparse.get_or_insert_default()
    }
}

fn once<T>(field: &mut Option<T>, value: T) -> io::Result<()> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(malformed("extended header says something twice")),
    }
}

/// GNU tar's way to write a long name: as the data of an entry, with a zero at its end.
pub(super) fn long_name(data: &[u8]) -> io::Result<Vec<u8>> {
    let text = data.strip_suffix(b"\0");
    name(text.ok_or_else(|| malformed("invalid name"))?)
}

/// A name that means something.
pub(super) fn name(text: &[u8]) -> io::Result<Vec<u8>> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES || text.contains(&0) {
        return Err(malformed("invalid name"));
    }
    Ok(text.to_vec())
}

/// A number in digits and nothing else.
pub(super) fn decimal(text: &[u8]) -> io::Result<u64> {
    let digits = std::str::from_utf8(text)
        .ok()
        .filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok());
    number
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or_else(|| malformed("invalid number"))
}

fn is_time(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (seconds, fraction) = match text.iter().position(|byte| *byte == b'.') {
        None => (text, None),
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            Some(text.get(at + 1..).unwrap_or_default()),
        ),
    };
    let is_number = |text: &[u8]| {
        (1..=MAX_TIME_DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
    };
    is_number(seconds) && fraction.is_none_or(is_number)
}

/// The records, where the length counts all of itself.
fn pairs(data: &[u8]) -> io::Result<Vec<(&[u8], &[u8])>> {
    let bad = || malformed("invalid extended header");
    let mut pairs = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
        let digits = rest.get(..blank).unwrap_or_default();
        if digits.is_empty() || digits.starts_with(b"0") {
            return Err(bad());
        }
        let length = usize::try_from(decimal(digits)?).map_err(|_too_large| bad())?;
        let (record, after) = rest.split_at_checked(length).ok_or_else(bad)?;
        let record = record
            .get(blank + 1..)
            .and_then(|r| r.strip_suffix(b"\n"))
            .ok_or_else(bad)?;
        let equals = record
            .iter()
            .position(|byte| *byte == b'=')
            .filter(|equals| *equals > 0)
            .ok_or_else(bad)?;
        let (key, value) = record.split_at_checked(equals).ok_or_else(bad)?;
        pairs.push((key, value.get(1..).unwrap_or_default()));
        rest = after;
    }
    Ok(pairs)
}
