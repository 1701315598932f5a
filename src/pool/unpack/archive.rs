//! A tar archive → a tree.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    os::unix::fs::FileExt,
};

use super::{
    budget::Budget,
    disk,
    feed::Feed,
    meta::{self, Meta},
    place::{Name, Part, Place},
    tree::Tree,
    wording,
};
use crate::{
    error::{Error, Result},
    image::archive::{Entry, Kind, Part as Stretch, Seen, Tar},
};

/// Files up to this length are handed to other threads as a whole.
const SMALL_BYTES: u64 = 256 * 1024;

/// How much of a longer file is written at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// How much may follow the end of an archive.
const MAX_TRAILING_BYTES: u64 = 16 * 1024 * 1024;

/// An archive being unpacked.
pub(super) struct Archive<'a, 'l> {
    pub(super) part: Part,
    pub(super) tree: Option<&'a mut Tree>,
    pub(super) meta: &'a mut Meta<'l>,
    pub(super) budget: &'a mut Budget<'l>,
    pub(super) seen: Seen,
}

impl Archive<'_, '_> {
    /// Unpacks all of it.
    pub(super) fn run(&mut self, feed: Feed<'_>) -> Result<()> {
        let outcome = self.entries(Tar::new(feed));
        if outcome.is_err() {
            // What was given up in the middle of a read has its reason here.
            self.budget.check()?;
        }
        outcome
    }

    fn entries(&mut self, mut tar: Tar<Feed<'_>>) -> Result<()> {
        while let Some(entry) = tar.next().map_err(read)? {
            self.budget.data(entry.attributes.extended_bytes() as u64)?;
            self.entry(entry, &mut tar)?;
            // What nobody wants is unpacked all the same.
            self.budget.data(tar.unread_bytes())?;
        }
        self.check_ending(tar.input_mut())
    }

    fn entry(&mut self, entry: Entry, tar: &mut Tar<Feed<'_>>) -> Result<()> {
        let name = Name::parse(&entry.name)?;
        self.budget.entry(name.depth)?;
        match self.part.place(name, entry.kind, &mut self.seen)? {
            Place::Nowhere => Ok(()),
            Place::Metadata => {
                let data = tar.data(meta::MAX_METADATA_BYTES).map_err(read)?;
                self.meta.metadata(entry.kind, data)
            }
            Place::Template(path) => self.template(&path, entry.kind, tar),
            Place::Disk => self.disk(&entry, tar),
            Place::Root(path) => self.below_root(&path, entry, tar),
        }
    }

    fn template(&mut self, path: &[u8], kind: Kind, tar: &mut Tar<Feed<'_>>) -> Result<()> {
        match kind {
            Kind::Directory => self.meta.template_directory(path),
            Kind::Regular => {
                let data = tar.data(meta::MAX_TEMPLATE_BYTES).map_err(read)?;
                self.meta.template(path, data)
            }
            _ => Err(meta::not_a_template(path)),
        }
    }

    fn disk(&mut self, entry: &Entry, tar: &mut Tar<Feed<'_>>) -> Result<()> {
        self.budget.length(entry.size_bytes)?;
        let file = disk::begin(self.meta.target())?;
        let parts = tar.parts();
        self.write(b"rootfs.img", &file, &parts, tar)?;
        file.set_len(entry.size_bytes)
            .map_err(|error| wording::failed(error, None))?;
        self.meta.disk = Some(file);
        Ok(())
    }

    fn below_root(&mut self, path: &[u8], entry: Entry, tar: &mut Tar<Feed<'_>>) -> Result<()> {
        let Some(tree) = self.tree.as_deref_mut() else {
            return Ok(());
        };
        self.meta.has_root = true;
        let attributes = tree.usable(path, entry.attributes);
        match entry.kind {
            Kind::Directory => tree.directory(path, attributes),
            Kind::SymbolicLink => tree.symlink(path, entry.link, attributes),
            Kind::Special(special) => tree.special(path, special, &attributes),
            Kind::HardLink => tree.hard_link(path, &self.part.linked(&entry.link)?),
            Kind::Regular if entry.size_bytes <= SMALL_BYTES => {
                self.budget.data(entry.size_bytes)?;
                let data = tar.data(SMALL_BYTES).map_err(read)?;
                let data = data.unwrap_or_default();
                tree.small(path, attributes, data.len(), move |mut file| {
                    std::io::Write::write_all(&mut file, &data)
                })
            }
            Kind::Regular | Kind::Sparse => {
                self.budget.length(entry.size_bytes)?;
                let file = tree.begin(path)?;
                let parts = tar.parts();
                if entry.kind == Kind::Sparse {
                    let outcome = file.set_len(entry.size_bytes);
                    outcome.map_err(|error| wording::entry(path, error))?;
                }
                self.write(path, &file, &parts, tar)?;
                match self.tree.as_deref() {
                    Some(tree) => tree.finish(path, &file, &attributes),
                    None => Ok(()),
                }
            }
        }
    }

    /// Writes the parts of a file, which follow each other in the archive.
    fn write(
        &mut self,
        path: &[u8],
        file: &File,
        parts: &[Stretch],
        tar: &mut Tar<Feed<'_>>,
    ) -> Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        for part in parts {
            let mut offset = part.offset;
            let mut rest = part.size_bytes;
            while rest > 0 {
                let count = rest.min(CHUNK_BYTES as u64);
                let length = usize::try_from(count).unwrap_or(CHUNK_BYTES);
                let chunk = buffer.get_mut(..length).unwrap_or_default();
                self.budget.data(count)?;
                tar.read_exact(chunk).map_err(read)?;
                file.write_all_at(chunk, offset)
                    .map_err(|error| wording::entry(path, error))?;
                offset += count;
                rest -= count;
            }
        }
        Ok(())
    }

    /// Behind the archive's end, only whether the compressed file is whole matters.
    fn check_ending(&self, feed: &mut Feed<'_>) -> Result<()> {
        let mut ignored = vec![0; 64 * 1024];
        let mut rest = feed.take(MAX_TRAILING_BYTES);
        loop {
            self.budget.check()?;
            match rest.read(&mut ignored) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(read(error)),
                // Something else follows, as it may; or nobody waits any more.
                Err(_) => return self.budget.check(),
            }
        }
    }
}

fn read(error: std::io::Error) -> Error {
    wording::failed(error, None)
}
