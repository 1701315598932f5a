//! Files of an image → a tree.
//!
//! Only `metadata.yaml`, `templates/` and `rootfs/` leave an image (or `root.img`, a virtual
//! machine's disk), whatever else it holds. Inspection has looked at an image's beginning when it
//! came; everything is checked again here, to the end.

#[cfg(test)]
pub(in crate::pool) mod tests;

mod archive;
mod budget;
pub(in crate::pool) mod disk;
mod feed;
mod meta;
mod place;
mod squashfs;
mod tree;
mod wording;
mod writers;

use std::{
    collections::HashMap,
    fs::File,
    os::{fd::BorrowedFd, unix::fs::FileExt},
    sync::atomic::AtomicU64,
    thread::Scope,
    time::Duration,
};

use rustix::fs::{AtFlags, Mode, mkdirat, unlinkat};

use self::{
    archive::Archive,
    budget::Budget,
    feed::{Feed, Source},
    meta::Meta,
    place::Part,
    squashfs::Squashfs,
    tree::Tree,
    writers::Writers,
};
use super::{beneath, idmap::IdMap, watch::Watch};
use crate::{
    error::{Error, Result},
    image::{
        ImageType,
        archive::{Format, SNIFF_BYTES, Seen},
    },
};

/// The name of the root file system.
const ROOT: &str = "rootfs";

/// The files of an image, open for reading.
#[derive(Debug)]
pub(crate) struct ImageFiles {
    /// A whole image, or the metadata of one.
    pub(crate) image: File,
    /// The root file system of a split image.
    pub(crate) rootfs: Option<File>,
}

/// How much an image may unpack to.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Most files, directories and everything else.
    pub(crate) entries: u64,
    /// Most bytes of data, holes not counted.
    pub(crate) bytes: u64,
    /// The same as a multiple of the files' own length, if that is more.
    pub(crate) ratio: u64,
    /// Longest file, holes and all; a disk of a virtual machine as well.
    pub(crate) file_bytes: u64,
    /// Most directories within each other.
    pub(crate) depth: usize,
    /// Most time for what is small.
    pub(crate) time: Duration,
    /// How many bytes of the files each further second needs.
    pub(crate) bytes_per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 10_000_000,
            bytes: 1 << 36,
            ratio: 1000,
            file_bytes: 1 << 43,
            depth: 512,
            time: Duration::from_mins(10),
            bytes_per_second: 256 * 1024,
        }
    }
}

/// Unpacks an image into the empty directory `target`, and says what it makes. What is half done when it fails is for the
/// caller to remove. Blocks; to be called where that is allowed.
///
/// # Errors
///
/// LXD's texts for an image that cannot be unpacked, a full disk among them, and our own for what
/// an image must not hold.
pub(crate) fn unpack(
    source: &ImageFiles,
    target: BorrowedFd<'_>,
    map: IdMap,
    limits: &Limits,
    watch: &Watch<'_>,
) -> Result<ImageType> {
    let total = AtomicU64::new(0);
    let mut budget = Budget::new(limits, watch, &total, source.length()?);
    let mut meta = Meta::new(target);
    std::thread::scope(|scope| {
        let mut unpacking = Unpacking {
            scope,
            budget: &mut budget,
            meta: &mut meta,
        };
        match &source.rootfs {
            None => unpacking.file(&source.image, Part::Whole, Some(map)),
            Some(rootfs) => {
                unpacking.file(&source.image, Part::Metadata, None)?;
                unpacking.root(rootfs, map)
            }
        }
    })?;
    meta.take_metadata()?;
    finish(&mut meta, source, limits, &budget)
}

impl ImageFiles {
    fn length(&self) -> Result<u64> {
        let length = |file: &File| file.metadata().map(|metadata| metadata.len());
        let rootfs = self.rootfs.as_ref().map_or(Ok(0), length)?;
        Ok(length(&self.image)?.saturating_add(rootfs))
    }
}

/// An image being unpacked.
struct Unpacking<'u, 'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    budget: &'u mut Budget<'env>,
    meta: &'u mut Meta<'env>,
}

impl<'env> Unpacking<'_, '_, 'env> {
    /// One file; with a map if it may have a root file system.
    fn file(&mut self, file: &'env File, part: Part, map: Option<IdMap>) -> Result<()> {
        let format = sniff(file)?;
        let mut tree = map.map(|map| self.tree(map)).transpose()?;
        match format {
            Format::Squashfs => Squashfs {
                part,
                tree: tree.as_mut(),
                meta: &mut *self.meta,
                budget: &mut *self.budget,
                seen: Seen::default(),
                names: HashMap::new(),
                names_bytes: 0,
                fragment: 0,
            }
            .run(file)?,
            Format::Qcow2 => return Err(Error::failed("Unsupported compression")),
            _ => {
                let source = Source::new(file, self.budget.pace);
                Archive {
                    part,
                    tree: tree.as_mut(),
                    meta: &mut *self.meta,
                    budget: &mut *self.budget,
                    seen: Seen::default(),
                }
                .run(Feed::start(self.scope, format, source))?;
            }
        }
        tree.map_or(Ok(()), Tree::close)
    }

    /// The root of a split image.
    fn root(&mut self, file: &'env File, map: IdMap) -> Result<()> {
        if sniff(file)? == Format::Qcow2 {
            self.meta.disk = Some(file.try_clone()?);
            return Ok(());
        }
        self.file(file, Part::Root, Some(map))
    }

    fn tree(&self, map: IdMap) -> Result<Tree> {
        let target = self.meta.target();
        let failed = |error: rustix::io::Errno| wording::failed(error, Some(ROOT));
        mkdirat(target, ROOT, Mode::RWXU).map_err(failed)?;
        let top = beneath::open_directory(target, ROOT);
        let top = top.map_err(|error| wording::failed(error, Some(ROOT)))?;
        Ok(Tree::new(top, map, Writers::start(self.scope)))
    }
}

/// Makes sure that there is one root, and of a disk what is used of it.
fn finish(
    meta: &mut Meta<'_>,
    source: &ImageFiles,
    limits: &Limits,
    budget: &Budget<'_>,
) -> Result<ImageType> {
    let target = meta.target();
    let Some(disk) = meta.disk.take() else {
        if !meta.has_root {
            return Err(Error::failed(format!("Image is missing a rootfs: {ROOT}")));
        }
        return Ok(ImageType::Container);
    };
    if meta.has_root {
        return Err(Error::failed("Invalid instance type"));
    }
    disk::convert(&disk, target, limits.file_bytes, budget)?;
    if source.rootfs.is_none() {
        disk::forget(target)?;
        // Made before it was known that there is none.
        unlinkat(target, ROOT, AtFlags::REMOVEDIR)
            .map_err(|error| wording::failed(error, Some(ROOT)))?;
    }
    Ok(ImageType::VirtualMachine)
}

fn sniff(file: &File) -> Result<Format> {
    let mut head = vec![0; SNIFF_BYTES];
    let mut filled = 0;
    while let Some(free) = head.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    head.truncate(filled);
    Format::of(&head).ok_or_else(|| Error::failed("Unsupported compression"))
}
