//! Extended headers: what they say of the entry after them.
//!
//! Readers differ most here, so that records are taken apart by their lengths alone, and a record
//! that one reader heeds and another does not is refused.

use std::io;

use super::{
    attributes::{Attributes, Modified, Xattr},
    header::malformed,
    sparse::Described,
};

/// Longest name of an entry.
const MAX_NAME_BYTES: usize = 4096;

/// Most digits of a time, before and after the point.
const MAX_TIME_DIGITS: usize = 18;

/// Most extended attributes of an entry, and the longest that Linux takes.
const MAX_XATTRS: usize = 256;
const MAX_XATTR_NAME_BYTES: usize = 255;
const MAX_XATTR_BYTES: usize = 65_536;

/// What extended headers say of the entry after them.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size_bytes: Option<u64>,
    pub(super) sparse: Option<Described>,
    uid: Option<u32>,
    gid: Option<u32>,
    modified: Option<Modified>,
    xattrs: Vec<Xattr>,
    acl: Option<Vec<u8>>,
    default_acl: Option<Vec<u8>>,
}

impl Extended {
    /// GNU tar's way: entries of their own.
    pub(super) fn of_names(name: Option<Vec<u8>>, link: Option<Vec<u8>>) -> Self {
        Self {
            name,
            link,
            ..Self::default()
        }
    }

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
            b"uid" => once(&mut self.uid, owner(value)?),
            b"gid" => once(&mut self.gid, owner(value)?),
            b"mtime" => once(&mut self.modified, time(value)?),
            b"atime" | b"ctime" => time(value).map(drop),
            b"SCHILY.acl.access" => once(&mut self.acl, value.to_vec()),
            b"SCHILY.acl.default" => once(&mut self.default_acl, value.to_vec()),
            b"hdrcharset" if matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => Ok(()),
            b"hdrcharset" | b"SCHILY.realsize" | b"SUN.holesdata" => {
                Err(malformed("extended header that readers differ about"))
            }
            _ => self.take_other(key, value),
        }
    }

    fn take_other(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.take_xattr(name, value);
        }
        match key.strip_prefix(b"GNU.") {
            None => Ok(()),
            Some(rest) => match rest.strip_prefix(b"sparse.") {
                Some(key) => self.described().take(key, value),
                None => Err(malformed("extended header that readers differ about")),
            },
        }
    }

    fn take_xattr(&mut self, name: &[u8], value: &[u8]) -> io::Result<()> {
        if name.is_empty() || name.len() > MAX_XATTR_NAME_BYTES || name.contains(&0) {
            return Err(malformed("invalid name of an extended attribute"));
        }
        let is_there = self.xattrs.iter().any(|xattr| xattr.name == name);
        if is_there || self.xattrs.len() >= MAX_XATTRS || value.len() > MAX_XATTR_BYTES {
            return Err(malformed("too many or too long extended attributes"));
        }
        self.xattrs.push(Xattr {
            name: name.to_vec(),
            value: value.to_vec(),
        });
        Ok(())
    }

    /// What becomes of the header's own attributes.
    pub(super) fn overlay(&mut self, own: &Attributes) -> Attributes {
        Attributes {
            uid: self.uid.unwrap_or(own.uid),
            gid: self.gid.unwrap_or(own.gid),
            modified: self.modified.unwrap_or(own.modified),
            xattrs: std::mem::take(&mut self.xattrs),
            acls: (self.acl.take(), self.default_acl.take()),
            mode: own.mode,
            device: own.device,
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

/// An owner in digits.
fn owner(text: &[u8]) -> io::Result<u32> {
    u32::try_from(decimal(text)?).map_err(|_too_large| malformed("invalid owner"))
}

/// A time in seconds, with a fraction or without.
fn time(text: &[u8]) -> io::Result<Modified> {
    let bad = || malformed("invalid time");
    let (is_negative, digits) = match text.strip_prefix(b"-") {
        None => (false, text),
        Some(digits) => (true, digits),
    };
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let whole = parts.next().and_then(digits_of).ok_or_else(bad)?;
    let nanoseconds = match parts.next() {
        None => 0,
        Some(fraction) => nanoseconds(fraction).ok_or_else(bad)?,
    };
    Ok(match (is_negative, nanoseconds) {
        (false, _) => Modified {
            seconds: whole,
            nanoseconds,
        },
        (true, 0) => Modified {
            seconds: -whole,
            nanoseconds: 0,
        },
        // Nanoseconds count forward, even before 1970.
        (true, _) => Modified {
            seconds: -whole - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}

/// The first nine digits after a point; what is finer than that is cut off.
fn nanoseconds(fraction: &[u8]) -> Option<u32> {
    digits_of(fraction)?;
    let digit = |at: usize| fraction.get(at).map_or(0, |digit| u32::from(digit - b'0'));
    Some((0..9).fold(0, |sum, at| sum * 10 + digit(at)))
}

fn digits_of(text: &[u8]) -> Option<i64> {
    let is_number =
        (1..=MAX_TIME_DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then_some(())?;
    std::str::from_utf8(text).ok()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_forward_even_before_1970() {
        let at = |text: &str| {
            let time = time(text.as_bytes()).unwrap();
            (time.seconds, time.nanoseconds)
        };
        assert_eq!(at("1234567890.123456789"), (1_234_567_890, 123_456_789));
        assert_eq!(at("1.5"), (1, 500_000_000));
        assert_eq!(at("1.00000000099"), (1, 0));
        assert_eq!(at("7"), (7, 0));
        assert_eq!(at("-1"), (-1, 0));
        assert_eq!(at("-1.25"), (-2, 750_000_000));
        for bad in ["", ".", "1.", ".5", "+1", "1e9", "--1", "1.-5"] {
            assert!(time(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
