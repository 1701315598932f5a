//! The name of an image: the SHA-256 of its bytes.

use std::{fmt, str::FromStr};

/// 64 lower-case hexadecimal digits. There is no other way to make one, so a value of this type
/// can safely become part of a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(String);

/// The text is not a whole fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAFingerprint;

impl NotAFingerprint {
    /// LXD's words for it.
    pub(crate) const TEXT: &str = "Image fingerprint must contain 64 characters";
}

impl fmt::Display for NotAFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a fingerprint")
    }
}

impl std::error::Error for NotAFingerprint {}

impl Fingerprint {
    /// The fingerprint of a finished SHA-256.
    pub(crate) fn from_digest(digest: &[u8; 32]) -> Self {
        Self(hex::encode(digest))
    }

    /// The 64 digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(is_digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAFingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The beginning of a fingerprint as a client types it: hexadecimal digits, folded to lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FingerprintPrefix(String);

impl FingerprintPrefix {
    /// The digits typed so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The first text that sorts after every fingerprint with this prefix.
    pub(crate) fn end(&self) -> String {
        // 'g' follows 'f', the greatest digit.
        format!("{}g", self.0)
    }
}

impl FromStr for FingerprintPrefix {
    type Err = NotAFingerprint;

    // LXD takes any SQL LIKE pattern here; only hexadecimal digits can ever match.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotAFingerprint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_lower_case_digits_are_a_fingerprint() {
        let whole = "0123456789abcdef".repeat(4);
        assert_eq!(whole.parse::<Fingerprint>().unwrap().as_str(), whole);
        for wrong in [
            "",
            "../x",
            whole.strip_prefix('0').unwrap(),
            &format!("{whole}0"),
            &whole.to_uppercase(),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_digits_of_either_case_and_bounds_its_range() {
        let prefix: FingerprintPrefix = "ABff".parse().unwrap();
        assert_eq!((prefix.as_str(), prefix.end().as_str()), ("abff", "abffg"));
        for wrong in ["", "%", "a_", "g", &"a".repeat(65)] {
            assert!(wrong.parse::<FingerprintPrefix>().is_err(), "{wrong}");
        }
    }
}
