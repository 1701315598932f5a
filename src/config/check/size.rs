//! Numbers of bytes.

use super::Checked;

/// Suffixes and what they multiply by.
const SUFFIXES: &[(&str, i64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
];

/// The bytes that a size such as `10GiB` means; `None` when it is none or too large.
pub(crate) fn parse_size(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text.strip_prefix(digits)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let factor = match suffix {
        "" => 1,
        suffix => SUFFIXES.iter().find(|(name, _)| *name == suffix)?.1,
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}

/// A number of bytes, with or without a suffix.
pub(crate) fn size(text: &str) -> Checked {
    parse_size(text)
        .map(drop)
        .ok_or_else(|| format!("Invalid value: {text}"))
}

/// A number of bytes, or a part of what there is.
pub(crate) fn size_or_percent(text: &str) -> Checked {
    match text.strip_suffix('%') {
        Some(number) if number.parse::<i64>().is_ok() => Ok(()),
        _ => size(text),
    }
}
