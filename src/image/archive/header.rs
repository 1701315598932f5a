//! One header block of a tar archive, and what every reader makes of it alike.

use std::io::{self, ErrorKind};

use super::attributes::{Attributes, Modified};

/// Size of a block.
pub(super) const BLOCK_BYTES: usize = 512;

/// A block.
pub(super) type Block = [u8; BLOCK_BYTES];

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file with its data.
    Regular,
    /// A file of which only the parts that are not empty follow.
    Sparse,
    /// Another name of an entry before it.
    HardLink,
    /// A symbolic link.
    SymbolicLink,
    /// A directory.
    Directory,
    /// Neither data nor names.
    Special(Special),
}

/// What is neither a file nor a directory nor a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    /// A device of characters.
    CharacterDevice,
    /// A device of blocks.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket, which means nothing without the one who listened.
    Socket,
}

/// An archive that is not one, or that readers would take differently.
pub(super) fn malformed(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("archive/tar: {reason}"))
}

/// A header that carries the right checksum, and numbers that no two readers take differently.
pub(super) struct Header<'b> {
    block: &'b Block,
    dialect: Dialect,
}

/// Who wrote a header, by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Before there was a magic.
    Old,
    /// POSIX, with a prefix for long names.
    Posix,
    /// GNU tar, with other things in the place of the prefix.
    Gnu,
}

impl<'b> Header<'b> {
    pub(super) fn parse(block: &'b Block) -> io::Result<Self> {
        let dialect = match block.get(257..265) {
            Some(b"ustar  \0") => Dialect::Gnu,
            Some(magic) if magic.starts_with(b"ustar\0") => Dialect::Posix,
            Some(magic) if !magic.starts_with(b"ustar") => Dialect::Old,
            _ => return Err(malformed("invalid tar header")),
        };
        let header = Self { block, dialect };
        if !has_checksum(block) || !header.has_numbers() || header.has_leftovers() {
            return Err(malformed("invalid tar header"));
        }
        Ok(header)
    }

    /// Owners, mode, time and device, as the header itself has them.
    pub(super) fn attributes(&self) -> io::Result<Attributes> {
        let field = |at| {
            let number = self
                .number(at)
                .and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| malformed("invalid tar header"))
        };
        let is_device = matches!(self.flag(), b'3' | b'4');
        let device = if is_device {
            (field(329..337)?, field(337..345)?)
        } else {
            (0, 0)
        };
        Ok(Attributes {
            mode: field(100..108)? & 0o7777,
            uid: field(108..116)?,
            gid: field(116..124)?,
            modified: self.modified()?,
            device,
            ..Attributes::default()
        })
    }

    fn modified(&self) -> io::Result<Modified> {
        let field = self.block.get(136..148).unwrap_or_default();
        let seconds = match number(field) {
            Some(number) => i64::try_from(number).ok(),
            None if is_negative(field) => field.last_chunk().map(|b| i64::from_be_bytes(*b)),
            None => None,
        };
        Ok(Modified {
            seconds: seconds.ok_or_else(|| malformed("invalid tar header"))?,
            nanoseconds: 0,
        })
    }

    /// What kind of entry it says it is.
    pub(super) fn flag(&self) -> u8 {
        self.block.get(156).copied().unwrap_or_default()
    }

    /// How many bytes follow it.
    pub(super) fn size(&self) -> io::Result<u64> {
        self.number(124..136)
            .ok_or_else(|| malformed("invalid size"))
    }

    /// Its own name, with the prefix where there is one.
    pub(super) fn name(&self) -> io::Result<Vec<u8>> {
        let prefix = self.text(345..500);
        let is_star = self.block.get(508..512) == Some(b"tar\0");
        if prefix.is_empty() {
            return Ok(self.text(0..100).to_vec());
        }
        // Some readers look for a prefix in every header; star's is shorter, with times after it.
        let is_odd = prefix.ends_with(b"/") || (is_star && prefix.len() > 130);
        if self.dialect != Dialect::Posix || is_odd {
            return Err(malformed("invalid prefix"));
        }
        Ok([prefix, b"/", self.text(0..100)].concat())
    }

    /// Its name as far as it stands in the first field.
    pub(super) fn short_name(&self) -> &'b [u8] {
        self.text(0..100)
    }

    /// What it links to.
    pub(super) fn link(&self) -> &'b [u8] {
        self.text(157..257)
    }

    pub(super) fn is_posix(&self) -> bool {
        self.dialect == Dialect::Posix
    }

    pub(super) fn is_gnu(&self) -> bool {
        self.dialect == Dialect::Gnu
    }

    /// A field of text, up to the first zero.
    fn text(&self, at: std::ops::Range<usize>) -> &'b [u8] {
        let field = self.block.get(at).unwrap_or_default();
        field.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn number(&self, at: std::ops::Range<usize>) -> Option<u64> {
        self.block.get(at).and_then(number)
    }

    /// Whether GNU tar's own fields are in use where only some readers look at them.
    fn has_leftovers(&self) -> bool {
        let own = self.block.get(345..).unwrap_or_default();
        self.is_gnu() && self.flag() != b'S' && own.iter().any(|byte| *byte != 0)
    }

    /// Whether the fields that some readers insist on are numbers: mode, owners, time, device.
    fn has_numbers(&self) -> bool {
        let fits = |at| self.number(at).is_some_and(|n| u32::try_from(n).is_ok());
        let time = self.block.get(136..148).unwrap_or_default();
        let is_device = matches!(self.flag(), b'3' | b'4');
        let is_blank = |at| {
            let field: &[u8] = self.block.get(at).unwrap_or_default();
            !is_device && field.iter().all(|byte| matches!(byte, 0 | b' '))
        };
        [100..108, 108..116, 116..124].into_iter().all(fits)
            && (number(time).is_some() || is_negative(time))
            && [329..337, 337..345]
                .into_iter()
                .all(|at| is_blank(at.clone()) || fits(at))
    }
}

/// Whether a block carries the right checksum, summed either way that was ever used.
pub(super) fn has_checksum(block: &Block) -> bool {
    let Some(stored) = block.get(148..156).and_then(number) else {
        return false;
    };
    let Ok(stored) = i64::try_from(stored) else {
        return false;
    };
    let bytes = || {
        let in_checksum = |index| (148..156).contains(&index);
        block
            .iter()
            .enumerate()
            .map(move |(i, b)| if in_checksum(i) { b' ' } else { *b })
    };
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    // A block of nothing is an end, not a header.
    unsigned != 256 && (stored == unsigned || stored == signed)
}

/// A number in octal digits between blanks and zeros, or in base 256. `None` when it is neither,
/// is negative, or has 64 bits and more.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    if let Some((0x80, rest)) = field.split_first() {
        let value = rest.iter().try_fold(0_i64, |value, byte| {
            value.checked_mul(256)?.checked_add(i64::from(*byte))
        });
        return value.and_then(|value| u64::try_from(value).ok());
    }
    if field.iter().all(|byte| *byte == 0) {
        return Some(0);
    }
    let digits = field.trim_ascii_start();
    let length = digits.iter().take_while(|byte| is_octal(**byte)).count();
    let (digits, rest) = digits.split_at_checked(length)?;
    let leading = field.len() - digits.len() - rest.len();
    let is_blank = |byte: &u8| matches!(byte, 0 | b' ');
    let is_plain = field.iter().take(leading).all(|byte| *byte == b' ');
    if digits.is_empty() || !is_plain || !rest.iter().all(is_blank) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

fn is_octal(byte: u8) -> bool {
    (b'0'..=b'7').contains(&byte)
}

/// Whether a field is a negative number in base 256 that fits into 64 bits.
fn is_negative(field: &[u8]) -> bool {
    let Some((high, low)) = field.split_at_checked(field.len().saturating_sub(8)) else {
        return false;
    };
    high.iter().all(|byte| *byte == 0xff) && low.first().is_some_and(|byte| *byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::{is_negative, number};

    #[test]
    fn numbers_are_octal_or_base_256_and_never_negative() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   17 \0\0"), Some(0o17));
        assert_eq!(number(b"77777777"), Some(0o77_777_777));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\x01\0"), Some(65536 / 256));
        for bad in [
            &b"\xff\xff\xff\xff"[..],
            b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x81\0\0\0",
            b"-1\0",
            b"8\0",
            b"    ",
            b"\x0017\0",
            b"17\0x",
            b"17x",
            b"\t17\0",
            b"+7\0",
            b"1_7\0",
        ] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_a_time_may_be_negative() {
        assert!(is_negative(
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"
        ));
        assert!(!is_negative(
            b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xfe"
        ));
        assert!(!is_negative(b"00000000001\0"));
    }
}
