//! Headers of entries: POSIX's, with extended records for what they have no room for.

use crate::image::archive::Modified;

/// Size of a block.
pub(super) const BLOCK_BYTES: usize = 512;

/// The first number that the octal digits of an owner or a device, and of a size or time, have no
/// room for.
const LARGE_OWNER: u32 = 1 << 21;
const LARGE: u64 = 1 << 33;

/// Longest name in the field for it.
const NAME_BYTES: usize = 100;

/// What the records of an entry are named by: as Go's library does, without a process's number.
const RECORDS: &[u8] = b"PaxHeaders.0/";

/// An entry's header to be.
#[derive(Debug, Default)]
pub(super) struct Header<'h> {
    pub(super) name: &'h [u8],
    pub(super) flag: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// How many bytes follow.
    pub(super) size_bytes: u64,
    pub(super) modified: Modified,
    pub(super) link: &'h [u8],
    pub(super) device: (u32, u32),
    /// Other extended records, in their order.
    pub(super) records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Stands in the field for the name when `name` is in a record of another kind.
    pub(super) stand_in: Option<&'h [u8]>,
}

impl Header<'_> {
    /// Writes it, with what has to come in front of it.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        let records = self.all_records();
        if !records.is_empty() {
            let name = [RECORDS, base(self.name)].concat();
            Block::new(&plain(&name), b'x')
                .number(100..108, 0o644)
                .size(records.len() as u64)
                .write(into);
            into.extend_from_slice(&records);
            pad(into, records.len() as u64);
        }
        let fits = |owner: u32| if owner < LARGE_OWNER { owner } else { 0 };
        let seconds = u64::try_from(self.modified.seconds).unwrap_or(0);
        Block::new(&plain(self.stand_in.unwrap_or(self.name)), self.flag)
            .number(100..108, self.mode)
            .number(108..116, fits(self.uid))
            .number(116..124, fits(self.gid))
            .size(if self.has_size_record() {
                0
            } else {
                self.size_bytes
            })
            .digits(136..148, if seconds < LARGE { seconds } else { 0 })
            .text(157..257, &plain_link(self.link))
            .number(329..337, self.device.0)
            .number(337..345, self.device.1)
            .write(into);
    }

    /// Readers differ about a record of the size where there are records of holes; there it is in
    /// base 256 in its field, which all of them take.
    fn has_size_record(&self) -> bool {
        self.size_bytes >= LARGE && self.stand_in.is_none()
    }

    fn all_records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        if self.stand_in.is_none() && !fits(self.name) {
            record(&mut records, b"path", self.name);
        }
        if !fits(self.link) {
            record(&mut records, b"linkpath", self.link);
        }
        for (key, owner) in [(&b"uid"[..], self.uid), (b"gid", self.gid)] {
            if owner >= LARGE_OWNER {
                record(&mut records, key, owner.to_string().as_bytes());
            }
        }
        if self.has_size_record() {
            record(
                &mut records,
                b"size",
                self.size_bytes.to_string().as_bytes(),
            );
        }
        if let Some(time) = time(self.modified) {
            record(&mut records, b"mtime", time.as_bytes());
        }
        for (key, value) in &self.records {
            record(&mut records, key, value);
        }
        records
    }
}

/// Fills up to a whole block behind so many bytes.
pub(super) fn pad(into: &mut Vec<u8>, bytes: u64) {
    into.resize(into.len() + padding(bytes), 0);
}

/// How many zeros follow so many bytes.
pub(super) fn padding(bytes: u64) -> usize {
    let rest = bytes.next_multiple_of(BLOCK_BYTES as u64) - bytes;
    usize::try_from(rest).unwrap_or_default()
}

/// The last part of a name.
pub(super) fn base(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn fits(name: &[u8]) -> bool {
    name.len() <= NAME_BYTES && name.is_ascii()
}

/// A name for a field that has no room for it or not for all of its letters. Never one of a
/// directory, which some readers would take it for.
fn plain(name: &[u8]) -> Vec<u8> {
    let letters = name.iter().take(NAME_BYTES);
    let mut plain: Vec<u8> = letters
        .map(|byte| if byte.is_ascii() { *byte } else { b'_' })
        .collect();
    while plain.ends_with(b"/") {
        plain.pop();
    }
    plain
}

/// The same for what a link leads to, which may end as it likes.
fn plain_link(link: &[u8]) -> Vec<u8> {
    let letters = link.iter().take(NAME_BYTES);
    letters
        .map(|byte| if byte.is_ascii() { *byte } else { b'_' })
        .collect()
}

/// A time that the field for it has no room for.
fn time(modified: Modified) -> Option<String> {
    let Modified {
        seconds,
        nanoseconds,
    } = modified;
    let is_small = u64::try_from(seconds).is_ok_and(|seconds| seconds < LARGE);
    if is_small && nanoseconds == 0 {
        return None;
    }
    if nanoseconds == 0 {
        return Some(seconds.to_string());
    }
    // Nanoseconds count forward, but digits behind the point away from zero.
    let (sign, seconds, nanoseconds) = match seconds {
        0.. => ("", seconds.unsigned_abs(), nanoseconds),
        _ => (
            "-",
            (seconds + 1).unsigned_abs(),
            1_000_000_000 - nanoseconds,
        ),
    };
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    Some(text.trim_end_matches('0').to_owned())
}

/// Adds `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(into: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    into.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        into.extend_from_slice(part);
    }
}

/// One block.
struct Block([u8; BLOCK_BYTES]);

impl Block {
    fn new(name: &[u8], flag: u8) -> Self {
        Self([0; BLOCK_BYTES])
            .text(0..100, name)
            .text(156..157, &[flag])
            .text(257..265, b"ustar\x0000")
            .number(108..116, 0)
            .number(116..124, 0)
            .digits(136..148, 0)
            .number(329..337, 0)
            .number(337..345, 0)
    }

    fn text(mut self, at: std::ops::Range<usize>, text: &[u8]) -> Self {
        let field = self.0.get_mut(at).unwrap_or_default();
        for (to, from) in field.iter_mut().zip(text) {
            *to = *from;
        }
        self
    }

    fn number(self, at: std::ops::Range<usize>, number: u32) -> Self {
        self.digits(at, number.into())
    }

    /// Octal digits with a zero at their end.
    fn digits(mut self, at: std::ops::Range<usize>, mut number: u64) -> Self {
        let field = self.0.get_mut(at).unwrap_or_default();
        let Some((end, digits)) = field.split_last_mut() else {
            return self;
        };
        *end = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 8).to_le_bytes()[0];
            number /= 8;
        }
        self
    }

    /// In base 256 what digits have no room for.
    fn size(self, size_bytes: u64) -> Self {
        if size_bytes < LARGE {
            return self.digits(124..136, size_bytes);
        }
        self.text(124..125, &[0x80])
            .text(128..136, &size_bytes.to_be_bytes())
    }

    fn write(self, into: &mut Vec<u8>) {
        let block = self.text(148..156, b"        ");
        let sum: u32 = block.0.iter().map(|byte| u32::from(*byte)).sum();
        let block = block.text(148..156, format!("{sum:06o}\0 ").as_bytes());
        into.extend_from_slice(&block.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_themselves() {
        for length in 0..1200 {
            let mut into = Vec::new();
            record(&mut into, b"k", &vec![b'v'; length]);
            let text = String::from_utf8(into.clone()).unwrap();
            let said: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, into.len());
        }
    }

    #[test]
    fn times_are_written_away_from_zero() {
        let written = |seconds, nanoseconds| {
            time(Modified {
                seconds,
                nanoseconds,
            })
        };
        assert_eq!(written(1, 0), None);
        assert_eq!(written(1, 500_000_000).unwrap(), "1.5");
        assert_eq!(written(1, 1).unwrap(), "1.000000001");
        assert_eq!(written(-1, 0).unwrap(), "-1");
        assert_eq!(written(-2, 750_000_000).unwrap(), "-1.25");
        assert_eq!(written(-1, 750_000_000).unwrap(), "-0.25");
        assert_eq!(written(1 << 33, 0).unwrap(), "8589934592");
    }
}
