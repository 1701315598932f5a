//! A squashfs image → a tree.
//!
//! One thread goes through the image; others unpack its data, which is what takes the time.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    sync::Arc,
};

use super::{
    budget::Budget,
    disk,
    meta::{self, Meta},
    place::{Name, Part, Place},
    tree::Tree,
    wording,
};
use crate::{
    error::{Error, Result},
    image::archive::{
        Attributes, Kind, Seen,
        squashfs::{Blocks, Content, Node, Place as At, Stretch, Walk},
    },
};

/// Files up to this length are made by one thread as a whole.
const SMALL_BYTES: u64 = 1024 * 1024;

/// How much of a longer file is one thread's.
const PIECE_BYTES: u64 = 1024 * 1024;

/// Memory that a piece of work holds, about, besides what it unpacks.
const JOB_BYTES: usize = 4096;

/// Most memory for files with more names than one.
const MAX_NAMES_BYTES: usize = 256 * 1024 * 1024;

/// An image being unpacked.
pub(super) struct Squashfs<'a, 'l> {
    pub(super) part: Part,
    pub(super) tree: Option<&'a mut Tree>,
    pub(super) meta: &'a mut Meta<'l>,
    pub(super) budget: &'a mut Budget<'l>,
    pub(super) seen: Seen,
    /// The first names of what has more.
    pub(super) names: HashMap<u64, Vec<u8>>,
    pub(super) names_bytes: usize,
    /// Where the fragment begins that the last file ended in.
    pub(super) fragment: u64,
}

impl Squashfs<'_, '_> {
    /// Unpacks all of it. Nobody else may move the file's position meanwhile.
    pub(super) fn run(&mut self, file: &File) -> Result<()> {
        let mut input = file;
        let mut walk = Walk::open(&mut input).map_err(opened)?;
        let blocks = Arc::new(walk.blocks(file.try_clone()?));
        while let Some(node) = walk.next().map_err(read)? {
            self.node(node, &mut walk, &blocks)?;
        }
        Ok(())
    }

    fn node(&mut self, mut node: Node, walk: &mut Walk<'_>, blocks: &Arc<Blocks>) -> Result<()> {
        let name = Name::parse(&node.path)?;
        self.budget.entry(name.depth)?;
        self.budget.data(node.attributes.extended_bytes() as u64)?;
        match self.part.place(name, node.kind, &mut self.seen)? {
            Place::Nowhere => Ok(()),
            Place::Metadata => {
                let limit = meta::MAX_METADATA_BYTES;
                let data = Self::data(&mut node, walk, limit)?;
                self.meta.metadata(node.kind, data)
            }
            Place::Template(path) => match node.kind {
                Kind::Directory => self.meta.template_directory(&path),
                Kind::Regular => {
                    let limit = meta::MAX_TEMPLATE_BYTES;
                    let data = Self::data(&mut node, walk, limit)?;
                    self.meta.template(&path, data)
                }
                _ => Err(meta::not_a_template(&path)),
            },
            Place::Disk => self.disk(node, walk, blocks),
            Place::Root(path) => self.below_root(&path, node, walk, blocks),
        }
    }

    fn data(node: &mut Node, walk: &mut Walk<'_>, limit: u64) -> Result<Option<Vec<u8>>> {
        match &mut node.content {
            Some(content) => walk.data(content, limit).map_err(read),
            None => Ok(None),
        }
    }

    fn disk(&mut self, node: Node, walk: &mut Walk<'_>, blocks: &Blocks) -> Result<()> {
        let Some(mut content) = node.content else {
            return Ok(());
        };
        self.budget.length(content.size_bytes)?;
        let file = disk::begin(self.meta.target())?;
        while let Some(stretch) = walk.next_stretch(&mut content).map_err(read)? {
            self.budget.data(stretch.length.into())?;
            write(blocks, &stretch, &file).map_err(read)?;
        }
        file.set_len(content.size_bytes).map_err(read)?;
        self.meta.disk = Some(file);
        Ok(())
    }

    fn below_root(
        &mut self,
        path: &[u8],
        node: Node,
        walk: &mut Walk<'_>,
        blocks: &Arc<Blocks>,
    ) -> Result<()> {
        self.meta.has_root = true;
        let first = self.first_name(path, node.same)?;
        let Some(tree) = self.tree.as_deref_mut() else {
            return Ok(());
        };
        if let Some(first) = first {
            return tree.hard_link(path, &first);
        }
        match (node.kind, node.content) {
            (Kind::Directory, _) => tree.directory(path, node.attributes),
            (Kind::SymbolicLink, _) => tree.symlink(path, node.link, node.attributes),
            (Kind::Special(special), _) => tree.special(path, special, &node.attributes),
            (_, Some(content)) => {
                self.budget.length(content.size_bytes)?;
                let file = Filled {
                    path,
                    content,
                    blocks,
                };
                if file.content.size_bytes <= SMALL_BYTES {
                    let fragment = &mut self.fragment;
                    file.small(walk, node.attributes, (tree, fragment), self.budget)
                } else {
                    file.large(walk, node.attributes, tree, self.budget)
                }
            }
            (_, None) => Ok(()),
        }
    }

    /// The name that the same thing had before, if it had one.
    fn first_name(&mut self, path: &[u8], same: Option<u64>) -> Result<Option<Vec<u8>>> {
        let Some(same) = same else {
            return Ok(None);
        };
        if let Some(first) = self.names.get(&same) {
            return Ok(Some(first.clone()));
        }
        self.names_bytes += path.len() + 64;
        if self.names_bytes > MAX_NAMES_BYTES {
            return Err(Error::failed("Image has too many files of several names"));
        }
        self.names.insert(same, path.to_vec());
        Ok(None)
    }
}

/// A file to be filled.
struct Filled<'f> {
    path: &'f [u8],
    content: Content,
    blocks: &'f Arc<Blocks>,
}

impl Filled<'_> {
    fn small(
        mut self,
        walk: &mut Walk<'_>,
        attributes: Attributes,
        (tree, last_fragment): (&mut Tree, &mut u64),
        budget: &mut Budget<'_>,
    ) -> Result<()> {
        let size_bytes = self.content.size_bytes;
        let stretches = self.stretches(walk, SMALL_BYTES, budget)?;
        // Who needs the same fragment would wait for whoever unpacks it.
        if let Some(Stretch {
            place: At::Fragment { start, .. },
            ..
        }) = stretches.last()
            && *start != *last_fragment
        {
            *last_fragment = *start;
            tree.cut()?;
        }
        let blocks = Arc::clone(self.blocks);
        let bytes = JOB_BYTES + usize::try_from(size_bytes).unwrap_or_default();
        tree.small(self.path, attributes, bytes, move |file| {
            fill(&blocks, &stretches, file)?;
            end_in_hole(&stretches, size_bytes, file)
        })
    }

    fn large(
        mut self,
        walk: &mut Walk<'_>,
        attributes: Attributes,
        tree: &mut Tree,
        budget: &mut Budget<'_>,
    ) -> Result<()> {
        let output = tree.shared(self.path, attributes)?;
        let length = output.file().set_len(self.content.size_bytes);
        length.map_err(|error| wording::entry(self.path, error))?;
        loop {
            let stretches = self.stretches(walk, PIECE_BYTES, budget)?;
            if stretches.is_empty() {
                return output.close();
            }
            let blocks = Arc::clone(self.blocks);
            let bytes = stretches
                .iter()
                .map(|stretch| stretch.length as usize)
                .sum();
            let fill = move |file: &File| fill(&blocks, &stretches, file);
            tree.piece(&output, bytes, fill)?;
        }
    }

    /// Where the next bytes are, about so many of them.
    fn stretches(
        &mut self,
        walk: &mut Walk<'_>,
        most: u64,
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Stretch>> {
        let mut stretches = Vec::new();
        let mut bytes = 0;
        while bytes < most {
            let Some(stretch) = walk.next_stretch(&mut self.content).map_err(read)? else {
                break;
            };
            bytes += u64::from(stretch.length);
            budget.read(stretch.packed_bytes());
            stretches.push(stretch);
        }
        budget.data(bytes)?;
        Ok(stretches)
    }
}

fn fill(blocks: &Blocks, stretches: &[Stretch], file: &File) -> io::Result<()> {
    stretches
        .iter()
        .try_for_each(|stretch| write(blocks, stretch, file))
}

/// Writes what is not a hole.
fn write(blocks: &Blocks, stretch: &Stretch, file: &File) -> io::Result<()> {
    blocks.read(stretch, |data| match data {
        Some(data) => file.write_all_at(data, stretch.offset),
        None => Ok(()),
    })
}

/// Writing what is not a hole leaves a file too short that ends in one.
fn end_in_hole(stretches: &[Stretch], size_bytes: u64, file: &File) -> io::Result<()> {
    match stretches.last() {
        Some(last) if matches!(last.place, At::Hole) => file.set_len(size_bytes),
        _ => Ok(()),
    }
}

fn opened(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::Unsupported => Error::failed(error.to_string()),
        _ => read(error),
    }
}

fn read(error: io::Error) -> Error {
    wording::failed(error, None)
}
