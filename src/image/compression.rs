//! How an image is compressed when it is made: an algorithm and a few harmless arguments, read
//! from what LXD takes for a command line. No program is run with them.

/// Compressors that squashfs can use.
const SQUASHFS_COMPRESSORS: &[&str] = &["gzip", "lzo", "lz4", "lzma", "xz", "zstd"];

/// What squashfs blocks may hold, in bytes.
const SQUASHFS_BLOCKS: std::ops::RangeInclusive<u64> = 4096..=1024 * 1024;

/// An algorithm and how hard it tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compression {
    /// A plain tar archive.
    None,
    /// Levels 1 to 9.
    Gzip(u32),
    /// Levels 1 to 9.
    Bzip2(u32),
    /// Levels 0 to 9.
    Xz(Preset),
    /// The same in the format before xz.
    Lzma(Preset),
    /// Levels -1 to 22.
    Zstd(i32),
    /// A read-only file system instead of a tar archive.
    Squashfs(Squashfs),
}

/// How hard xz and lzma try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Preset {
    /// 0 to 9.
    pub(crate) level: u32,
    /// Much slower for a little less.
    pub(crate) extreme: bool,
}

/// How a squashfs is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Squashfs {
    /// One of its compressors.
    pub(crate) compressor: &'static str,
    /// How much its blocks hold.
    pub(crate) block_bytes: Option<u64>,
}

impl Compression {
    /// Reads what settings and requests say.
    ///
    /// # Errors
    ///
    /// LXD's texts; ours for arguments that are more than a level or a number of threads.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let Some((algorithm, arguments)) = words.split_first() else {
            return Err("No compression algorithm specified".to_owned());
        };
        // Beyond LXD, which takes any arguments: some write files or run programs.
        let harmful = || format!("Invalid compression algorithm {text:?}");
        let options = || Options::parse(arguments).ok_or_else(harmful);
        let parsed = match algorithm.as_str() {
            "none" => arguments.is_empty().then_some(Self::None),
            "gzip" | "pigz" => options()?.level(1..=9, 6).map(Self::Gzip),
            "bzip2" => options()?.level(1..=9, 9).map(Self::Bzip2),
            "xz" => options()?.preset().map(Self::Xz),
            "lzma" => options()?.preset().map(Self::Lzma),
            "zstd" => options()?.zstd().map(Self::Zstd),
            "squashfs" => Squashfs::parse(arguments).map(Self::Squashfs),
            unknown => return Err(format!("Invalid compression algorithm {unknown:?}")),
        };
        parsed.ok_or_else(harmful)
    }
}

/// The arguments that do no harm.
#[derive(Debug, Default)]
struct Options {
    level: Option<u32>,
    is_fast: bool,
    is_extreme: bool,
    is_ultra: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--best" => options.level = Some(9),
                "--fast" => options.is_fast = true,
                "--ultra" => options.is_ultra = true,
                "-e" | "--extreme" => options.is_extreme = true,
                // How many threads there are is for the server to say, and its blocks are cut so
                // that small changes stay small anyway.
                "-p" | "-T" => drop(number(arguments.next()?)?),
                "--long" | "--rsyncable" => {}
                other => options.flag(other)?,
            }
        }
        Some(options)
    }

    /// A level, or a number of threads.
    fn flag(&mut self, argument: &str) -> Option<()> {
        let flag = argument.strip_prefix('-')?;
        if let Some(threads) = flag.strip_prefix(['T', 'p']) {
            return number(threads).map(drop);
        }
        self.level = Some(number(flag)?);
        Some(())
    }

    fn level(&self, levels: std::ops::RangeInclusive<u32>, default: u32) -> Option<u32> {
        let fast = self.is_fast.then_some(*levels.start());
        let level = self.level.or(fast).unwrap_or(default);
        levels.contains(&level).then_some(level)
    }

    fn preset(&self) -> Option<Preset> {
        Some(Preset {
            level: self.level(0..=9, 6)?,
            extreme: self.is_extreme,
        })
    }

    fn zstd(&self) -> Option<i32> {
        if self.is_fast && self.level.is_none() {
            return Some(-1);
        }
        let most = if self.is_ultra { 22 } else { 19 };
        i32::try_from(self.level(1..=most, 3)?).ok()
    }
}

/// Up to three digits.
fn number(text: &str) -> Option<u32> {
    let are_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (are_digits && text.len() <= 3)
        .then(|| text.parse().ok())
        .flatten()
}

impl Squashfs {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut squashfs = Self {
            // LXD: its own choice, not the program's.
            compressor: "xz",
            block_bytes: None,
        };
        for pair in arguments.chunks(2) {
            match pair {
                [option, value] if option == "-c" => {
                    let known = SQUASHFS_COMPRESSORS.iter().find(|known| *known == value)?;
                    squashfs.compressor = known;
                }
                [option, value] if option == "-b" => {
                    squashfs.block_bytes = Some(block_bytes(value)?);
                }
                _ => return None,
            }
        }
        Some(squashfs)
    }
}

/// `131072`, `128k` or `1m`: a power of two.
fn block_bytes(text: &str) -> Option<u64> {
    let unit = |suffixes: [char; 2], bytes: u64| {
        let digits = text.strip_suffix(suffixes)?;
        digits.parse::<u64>().ok()?.checked_mul(bytes)
    };
    let bytes = unit(['k', 'K'], 1024)
        .or_else(|| unit(['m', 'M'], 1024 * 1024))
        .or_else(|| text.parse().ok())?;
    (bytes.is_power_of_two() && SQUASHFS_BLOCKS.contains(&bytes)).then_some(bytes)
}

/// The words of a command line, as a shell would split it.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                if !text.ends_with('\'') && chars.as_str().is_empty() {
                    return Err("Unterminated single-quoted string".to_owned());
                }
                word.push_str(&quoted);
            }
            '"' => {
                let quoted: String = chars.by_ref().take_while(|c| *c != '"').collect();
                if !text.ends_with('"') && chars.as_str().is_empty() {
                    return Err("Unterminated double-quoted string".to_owned());
                }
                word.get_or_insert_default().push_str(&quoted);
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_threads_are_for_the_server_to_say() {
        let cases = [
            ("none", Compression::None),
            ("gzip", Compression::Gzip(6)),
            ("pigz -p 4 -9", Compression::Gzip(9)),
            ("gzip --fast", Compression::Gzip(1)),
            ("bzip2", Compression::Bzip2(9)),
            ("zstd", Compression::Zstd(3)),
            ("zstd --fast", Compression::Zstd(-1)),
            ("zstd -T0 --long --ultra -22", Compression::Zstd(22)),
        ];
        for (text, expected) in cases {
            assert_eq!(Compression::parse(text), Ok(expected), "{text}");
        }
        let preset = |level, extreme| Preset { level, extreme };
        let (xz, lzma) = (
            Compression::parse("xz -T0 -9 -e"),
            Compression::parse("lzma"),
        );
        assert_eq!(xz, Ok(Compression::Xz(preset(9, true))));
        assert_eq!(lzma, Ok(Compression::Lzma(preset(6, false))));
    }

    #[test]
    fn a_squashfs_is_compressed_with_xz_unless_told_otherwise() {
        let squashfs = |compressor, block_bytes| {
            Ok(Compression::Squashfs(Squashfs {
                compressor,
                block_bytes,
            }))
        };
        assert_eq!(Compression::parse("squashfs"), squashfs("xz", None));
        let asked = Compression::parse("squashfs -c zstd -b 1M");
        assert_eq!(asked, squashfs("zstd", Some(1024 * 1024)));
    }

    #[test]
    fn levels_that_no_program_knows_are_refused() {
        for text in [
            "gzip -0",
            "gzip -10",
            "bzip2 -0",
            "xz -10",
            "zstd -20",
            "zstd --ultra -23",
            "squashfs -b 100",
            "squashfs -b 2M",
            "squashfs -c",
        ] {
            let refused = Err(format!("Invalid compression algorithm {text:?}"));
            assert_eq!(Compression::parse(text), refused);
        }
    }
}
