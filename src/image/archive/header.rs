//! One header block of a tar archive.

/// Size of a block.
pub(super) const BLOCK_BYTES: usize = 512;

/// A block.
pub(super) type Block = [u8; BLOCK_BYTES];

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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
    /// A device or a pipe.
    Special,
}

/// Whether a block carries the right checksum, summed either way that was ever used.
pub(super) fn has_checksum(block: &Block) -> bool {
    let Some(stored) = block.get(148..156).and_then(number) else {
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

/// A number in octal digits, or in base 256. `None` when it is neither, or negative.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let is_negative = first & 0x40 != 0;
        let value = rest
            .iter()
            .try_fold(i64::from(first & 0x3f), |value, byte| {
                value.checked_mul(256)?.checked_add(i64::from(*byte))
            });
        return value.filter(|_| !is_negative);
    }
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_start_matches(' ');
    let digits = digits.split(['\0', ' ']).next().unwrap_or_default();
    if digits.is_empty() {
        return Some(0);
    }
    let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    is_octal.then(|| i64::from_str_radix(digits, 8).ok())?
}

/// The name of an entry: the prefix of POSIX archives, where there is one, and the name.
pub(super) fn name(block: &Block) -> Vec<u8> {
    let text = |from: usize, to: usize| {
        let field = block.get(from..to).unwrap_or_default();
        field.split(|byte| *byte == 0).next().unwrap_or_default()
    };
    let is_posix = block.get(257..263) == Some(b"ustar\0");
    let is_star = block.get(508..512) == Some(b"tar\0");
    let prefix = match (is_posix, is_star) {
        (true, true) => text(345, 476),
        (true, false) => text(345, 500),
        (false, _) => &[],
    };
    if prefix.is_empty() {
        return text(0, 100).to_vec();
    }
    [prefix, b"/", text(0, 100)].concat()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_octal_or_base_256_and_never_negative() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   17 \0\0"), Some(0o17));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\x01\0"), Some(65536 / 256));
        assert_eq!(number(b"\xff\xff\xff\xff"), None);
        assert_eq!(number(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(number(b"-1\0"), None);
        assert_eq!(number(b"8\0"), None);
    }
}
