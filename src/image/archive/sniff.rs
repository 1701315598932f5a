//! What a file is, by its first bytes.

use super::header::has_checksum;

/// How many bytes it takes to tell: a tar header.
pub(crate) const SNIFF_BYTES: usize = 512;

/// A format that images come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Not compressed.
    Tar,
    /// Members follow each other.
    Gzip,
    /// Streams follow each other.
    Bzip2,
    /// Streams follow each other.
    Xz,
    /// The format before xz.
    Lzma,
    /// Frames follow each other.
    Zstd,
    /// The frame format.
    Lz4,
    /// A read-only file system.
    Squashfs,
    /// A disk.
    Qcow2,
}

impl Format {
    /// What a file that begins with these bytes is, in LXD's order of tests.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        let at =
            |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|b| b.starts_with(magic));
        let tests: [(bool, Self); 10] = [
            (at(0, b"BZ"), Self::Bzip2),
            (at(0, b"\x1f\x8b"), Self::Gzip),
            (at(1, b"7zXZ") && at(0, b"\xfd"), Self::Xz),
            (at(1, b"7zXZ") || at(0, b"\x5d\0\0"), Self::Lzma),
            (at(257, b"ustar"), Self::Tar),
            (at(0, b"hsqs"), Self::Squashfs),
            (at(0, b"QFI"), Self::Qcow2),
            (at(0, b"\x28\xb5\x2f\xfd"), Self::Zstd),
            // LXD knows neither lz4 nor plain archives older than POSIX.
            (at(0, b"\x04\x22\x4d\x18"), Self::Lz4),
            (head.first_chunk().is_some_and(has_checksum), Self::Tar),
        ];
        tests
            .into_iter()
            .find(|(fits, _)| *fits)
            .map(|(_, format)| format)
    }

    /// What its files end with.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Tar => ".tar",
            Self::Gzip => ".tar.gz",
            Self::Bzip2 => ".tar.bz2",
            Self::Xz => ".tar.xz",
            Self::Lzma => ".tar.lzma",
            Self::Zstd => ".tar.zst",
            Self::Lz4 => ".tar.lz4",
            Self::Squashfs => ".squashfs",
            Self::Qcow2 => ".qcow2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn formats_are_told_by_their_magic() {
        let mut posix = vec![0; 512];
        posix.splice(257..262, *b"ustar");
        let cases: [(&[u8], Option<Format>); 9] = [
            (b"BZh9", Some(Format::Bzip2)),
            (b"\x1f\x8b\x08", Some(Format::Gzip)),
            (b"\xfd7zXZ\0", Some(Format::Xz)),
            (b"\x5d\0\0\x80", Some(Format::Lzma)),
            (b"\x28\xb5\x2f\xfd", Some(Format::Zstd)),
            (b"\x04\x22\x4d\x18", Some(Format::Lz4)),
            (b"hsqs", Some(Format::Squashfs)),
            (b"QFI\xfb", Some(Format::Qcow2)),
            (&posix, Some(Format::Tar)),
        ];
        for (head, format) in cases {
            assert_eq!(Format::of(head), format, "{head:?}");
        }
        for nothing in [&b""[..], b"B", b"x", &[0; 512], &[b'a'; 600]] {
            assert_eq!(Format::of(nothing), None);
        }
    }
}
