//! Looking into an image: its metadata, what kind of root it has, and whether it is what it seems.
//!
//! One pass in order. Beyond LXD, which stops as soon as it has seen metadata and a root, it goes
//! on to the end, because a later entry could take the place of what was looked at.

use std::{
    io::{self, ErrorKind, Read, Seek},
    time::{Duration, Instant},
};

use super::{
    Format, SNIFF_BYTES,
    decode::decoder,
    header::Kind,
    qcow2::{HEADER_BYTES, check_header},
    seen::{Seen, Trouble, Wanted, check_metadata, find_top, metadata_too_large, too_many_entries},
    squashfs,
    tar::{Entry, Tar},
    top::{Links, check_name},
};
use crate::{
    error::{Error, Result},
    image::{ImageType, Metadata},
};

/// How far inspection goes.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Longest `metadata.yaml`.
    pub(crate) metadata_bytes: u64,
    /// Most entries.
    pub(crate) entries: u64,
    /// Most bytes out of the decompressor until metadata and root are found.
    pub(crate) search_bytes: u64,
    /// The same as a multiple of the file's own length, if that is more.
    pub(crate) search_ratio: u64,
    /// Most time until then, for what is small.
    pub(crate) search_time: Duration,
    /// How many bytes of the file each further second needs.
    pub(crate) search_bytes_per_second: u64,
    /// Bytes after which the rest is left to whoever unpacks it, once both are found: also within
    /// an entry.
    pub(crate) scan_bytes: u64,
    /// The same in time.
    pub(crate) scan_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            metadata_bytes: 1024 * 1024,
            entries: 10_000_000,
            search_bytes: 4 * 1024 * 1024 * 1024,
            search_ratio: 1000,
            search_time: Duration::from_secs(30),
            search_bytes_per_second: 1024 * 1024,
            scan_bytes: 16 * 1024 * 1024,
            scan_time: Duration::from_secs(5),
        }
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// Container or virtual machine.
    pub(crate) kind: ImageType,
    /// The metadata.
    pub(crate) metadata: Metadata,
}

/// Looks into a unified image of `size_bytes`.
///
/// # Errors
///
/// LXD's texts for what is no image; our own for what only pretends to be one.
pub(crate) fn inspect_unified(
    input: impl Read + Seek,
    size_bytes: u64,
    limits: &Limits,
) -> Result<Inspected> {
    let seen = scan(input, size_bytes, limits, Wanted::MetadataAndRoot)?;
    let metadata = Metadata::parse(&seen.metadata.ok_or_else(missing_metadata)?)?;
    let kind = seen
        .root
        .ok_or_else(|| Error::failed("Invalid instance type"))?;
    Ok(Inspected { kind, metadata })
}

/// Looks into the metadata tarball of a split image.
///
/// # Errors
///
/// As [`inspect_unified`].
pub(crate) fn inspect_metadata(
    input: impl Read + Seek,
    size_bytes: u64,
    limits: &Limits,
) -> Result<Metadata> {
    let seen = scan(input, size_bytes, limits, Wanted::Metadata)?;
    Metadata::parse(&seen.metadata.ok_or_else(missing_metadata)?)
}

fn missing_metadata() -> Error {
    Error::failed("Metadata tarball is missing metadata.yaml")
}

fn scan(
    mut input: impl Read + Seek,
    size_bytes: u64,
    limits: &Limits,
    wanted: Wanted,
) -> Result<Seen> {
    let mut head = Vec::new();
    input
        .by_ref()
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut head)?;
    if head.is_empty() {
        return Err(Error::failed("EOF"));
    }
    let format = Format::of(&head).ok_or_else(|| Error::failed("Unsupported compression"))?;
    let mut scan = Scan {
        limits,
        wanted,
        size_bytes,
        seen: Seen::default(),
        links: Links::default(),
        began: Instant::now(),
    };
    let outcome = if format == Format::Squashfs {
        squashfs::scan(input, limits, &mut scan.seen)
    } else {
        scan.unpack(format, io::Cursor::new(head).chain(input))
    };
    match outcome {
        Ok(()) => Ok(scan.seen),
        Err(Trouble::Refused(error)) => Err(error),
        Err(Trouble::Read(error)) => Err(scan.damaged(format, &error)),
    }
}

struct Scan<'l> {
    limits: &'l Limits,
    wanted: Wanted,
    size_bytes: u64,
    seen: Seen,
    links: Links,
    began: Instant,
}

impl Scan<'_> {
    fn unpack(&mut self, format: Format, input: impl Read) -> Result<(), Trouble> {
        let input = decoder(format, input).map_err(Error::from)?;
        let input = input.ok_or_else(missing_metadata)?;
        self.run(&mut Counted { input, count: 0 })
    }

    fn run(&mut self, counted: &mut Counted<impl Read>) -> Result<(), Trouble> {
        match self.entries(counted) {
            Err(Trouble::Read(error)) if is_too_far(&error) && self.seen.has_all(self.wanted) => {
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn entries(&mut self, counted: &mut Counted<impl Read>) -> Result<(), Trouble> {
        let mut tar = Tar::new(Bounded {
            input: counted,
            limit: self.search_limit(),
            deadline: Some(self.began + self.search_time()),
        });
        let mut entries = 0_u64;
        while let Some(entry) = tar.next()? {
            entries += 1;
            if entries > self.limits.entries {
                return Err(too_many_entries(self.limits.entries).into());
            }
            self.look_at(&entry, &mut tar)?;
            if self.seen.has_all(self.wanted) && self.has_looked_long_enough(&mut tar) {
                return Ok(());
            }
        }
        self.check_ending(tar.input_mut())
    }

    /// Behind the archive's end, only whether the compressed file is whole matters.
    fn check_ending<R: Read>(&self, bounded: &mut Bounded<'_, R>) -> Result<(), Trouble> {
        (bounded.limit, bounded.deadline) = (self.limits.scan_bytes, None);
        let mut ignored = vec![0; 64 * 1024];
        loop {
            match bounded.read(&mut ignored) {
                Ok(0) => return Ok(()),
                Ok(_) if self.began.elapsed() > self.limits.scan_time => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(error.into()),
                // Something else follows, as it may.
                Err(_) => return Ok(()),
            }
        }
    }

    /// The more there is of a file, the more may come out of it.
    fn search_limit(&self) -> u64 {
        let by_ratio = self.size_bytes.saturating_mul(self.limits.search_ratio);
        self.limits.search_bytes.max(by_ratio)
    }

    fn search_time(&self) -> Duration {
        let seconds = self.size_bytes / self.limits.search_bytes_per_second.max(1);
        // A year, for files that no disk holds.
        self.limits.search_time + Duration::from_secs(seconds.min(31_536_000))
    }

    fn has_looked_long_enough<R: Read>(&self, tar: &mut Tar<Bounded<'_, R>>) -> bool {
        let bounded = tar.input_mut();
        // One entry may be as long as it likes.
        bounded.limit = self.limits.scan_bytes;
        bounded.deadline = Some(self.began + self.limits.scan_time);
        bounded.is_over()
    }

    fn look_at<R: Read>(&mut self, entry: &Entry, tar: &mut Tar<R>) -> Result<(), Trouble> {
        check_name(&entry.name, entry.kind)?;
        self.links.check(&entry.name, entry.kind)?;
        let Some(place) = Place::of(&entry.name) else {
            return Ok(());
        };
        let kind = if place.is_top {
            entry.kind
        } else {
            Kind::Directory
        };
        self.seen.remember(place.top, kind)?;
        match place.top {
            "metadata.yaml" if place.is_top && place.is_plain => {
                self.read_metadata(entry, tar)?;
            }
            "rootfs" if place.is_plain => {
                self.seen.root.get_or_insert(ImageType::Container);
            }
            "rootfs.img" if place.is_top && place.is_plain => {
                check_header(&tar.beginning(HEADER_BYTES as u64)?)?;
                self.seen.root.get_or_insert(ImageType::VirtualMachine);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_metadata<R: Read>(&mut self, entry: &Entry, tar: &mut Tar<R>) -> Result<(), Trouble> {
        check_metadata(entry.kind)?;
        let limit = self.limits.metadata_bytes;
        let data = tar.data(limit).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                Trouble::Refused(Error::failed("yaml: input error: unexpected EOF"))
            }
            _ => Trouble::Read(error),
        })?;
        self.seen.metadata = Some(data.ok_or_else(|| metadata_too_large(limit))?);
        Ok(())
    }

    /// What to say of an archive that cannot be read to its end: LXD's words for as long as LXD
    /// would have looked.
    fn damaged(&self, format: Format, error: &io::Error) -> Error {
        let is_cut = error.kind() == ErrorKind::UnexpectedEof;
        if is_too_far(error) {
            return Error::failed(SearchedTooFar.to_string());
        }
        let reason = if is_cut {
            "unexpected EOF".to_owned()
        } else {
            error.to_string()
        };
        if self.seen.has_all(Wanted::MetadataAndRoot) {
            return Error::failed(format!("Image archive is damaged: {reason}"));
        }
        let is_said = match format {
            Format::Tar | Format::Gzip | Format::Xz | Format::Lzma => is_cut,
            _ => self.seen.metadata.is_some(),
        };
        if is_said || reason.starts_with("archive/tar: ") {
            return Error::failed(reason);
        }
        missing_metadata()
    }
}

/// Where an entry goes, as far as it matters.
struct Place {
    /// The first part of its name that means something.
    top: &'static str,
    /// Whether it is that itself, not something below.
    is_top: bool,
    /// Whether it is spelled as LXD looks for it, with at most a `./` in front.
    is_plain: bool,
}

impl Place {
    fn of(name: &[u8]) -> Option<Self> {
        let mut parts = name
            .split(|byte| *byte == b'/')
            .filter(|p| !p.is_empty() && *p != b".");
        let first = parts.next()?;
        let top = find_top(first)?;
        let plain = name.strip_prefix(b"./").unwrap_or(name);
        let is_plain = plain.starts_with(first);
        Some(Self {
            top,
            is_top: parts.next().is_none(),
            is_plain,
        })
    }
}

/// Counts what comes out of the decompressor.
struct Counted<R> {
    input: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// Ends a search that goes on for too long.
struct Bounded<'c, R> {
    input: &'c mut Counted<R>,
    limit: u64,
    deadline: Option<Instant>,
}

impl<R> Bounded<'_, R> {
    fn is_over(&self) -> bool {
        let is_late = |deadline| Instant::now() > deadline;
        self.deadline.is_some_and(is_late) || self.input.count > self.limit
    }
}

fn is_too_far(error: &io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(<dyn std::error::Error + Send + Sync>::is::<SearchedTooFar>)
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_over() {
            return Err(io::Error::other(SearchedTooFar));
        }
        self.input.read(buffer)
    }
}

/// The archive unpacks to far more than its size, and metadata or root have not come up.
#[derive(Debug)]
struct SearchedTooFar;

impl std::fmt::Display for SearchedTooFar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Image unpacks to too much before its metadata and root are found")
    }
}

impl std::error::Error for SearchedTooFar {}
