//! Going through a whole image, directories before what is in them.

use std::{collections::HashSet, fs, io};

use super::{
    Blocks, Input, Squashfs, Stretch,
    directory::Listing,
    file::File,
    inode::{Body, Inode},
    malformed,
    owners::{owner, owners},
    xattrs::Table,
};
use crate::image::archive::{Attributes, Kind, Modified};

/// Most directories within each other.
const MAX_DEPTH: usize = 1024;

/// Something in an image.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its name, with those of the directories it is in. Empty for the root directory.
    pub(crate) path: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
    /// What is the same in all of its names, if it says that it has more.
    pub(crate) same: Option<u64>,
    /// Where a link leads.
    pub(crate) link: Vec<u8>,
    /// Owners, mode and so on.
    pub(crate) attributes: Attributes,
    /// The data of a file.
    pub(crate) content: Option<Content>,
}

/// The data of a file.
#[derive(Debug)]
pub(crate) struct Content {
    /// How much, holes and all.
    pub(crate) size_bytes: u64,
    file: File,
}

/// The walk.
pub(crate) struct Walk<'i> {
    image: Squashfs<'i>,
    owners: Vec<u32>,
    xattrs: Option<Table>,
    levels: Vec<(Listing, Vec<u8>)>,
    has_begun: bool,
    /// Directories that were seen: each is in one place only, or there would be no end.
    seen: HashSet<u64>,
}

impl<'i> Walk<'i> {
    /// Opens an image.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] for what may be a good one, but not for us.
    pub(crate) fn open(input: &'i mut dyn Input) -> io::Result<Self> {
        let mut image = Squashfs::open(input)?;
        image.disk.unbound();
        Ok(Self {
            owners: owners(&mut image)?,
            xattrs: Table::open(&mut image)?,
            image,
            levels: Vec::new(),
            has_begun: false,
            seen: HashSet::new(),
        })
    }

    /// The data of the image's files, which is `file`.
    pub(crate) fn blocks(&self, file: fs::File) -> Blocks {
        let superblock = &self.image.superblock;
        Blocks::new(file, superblock.compressor, superblock.block_size)
    }

    /// What comes next.
    pub(crate) fn next(&mut self) -> io::Result<Option<Node>> {
        if !self.has_begun {
            self.has_begun = true;
            let root = self.image.superblock.root_inode;
            return self.node(Vec::new(), root, Kind::Directory).map(Some);
        }
        while let Some((listing, path)) = self.levels.last_mut() {
            let Some(entry) = listing.next(&mut self.image)? else {
                self.levels.pop();
                continue;
            };
            let path = if path.is_empty() {
                entry.name
            } else {
                [path.as_slice(), b"/", &entry.name].concat()
            };
            return self.node(path, entry.inode, entry.kind).map(Some);
        }
        Ok(None)
    }

    /// Where the next bytes of a file are.
    pub(crate) fn next_stretch(&mut self, content: &mut Content) -> io::Result<Option<Stretch>> {
        content.file.next_stretch(&mut self.image)
    }

    /// All of a file, if it is no longer than `limit`.
    pub(crate) fn data(
        &mut self,
        content: &mut Content,
        limit: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        if content.size_bytes > limit {
            return Ok(None);
        }
        content.file.read(&mut self.image, limit).map(Some)
    }

    fn node(&mut self, path: Vec<u8>, reference: u64, kind: Kind) -> io::Result<Node> {
        let inode = Inode::read(&mut self.image, reference)?;
        if inode.kind() != kind {
            return Err(malformed("an entry is not what its inode is"));
        }
        let mut attributes = self.attributes(&inode)?;
        let has_names = kind != Kind::Directory && inode.names > 1;
        let (mut link, mut content) = (Vec::new(), None);
        match inode.body {
            Body::Directory(directory) => {
                if !self.seen.insert(reference) || self.levels.len() >= MAX_DEPTH {
                    return Err(malformed("directories within each other without end"));
                }
                let listing = Listing::new(&mut self.image, &directory)?;
                self.levels.push((listing, path.clone()));
            }
            Body::Regular(file) => {
                content = Some(Content {
                    size_bytes: file.size_bytes,
                    file,
                });
            }
            Body::SymbolicLink(target) => link = target,
            Body::Special(_, device) => attributes.device = device,
        }
        Ok(Node {
            path,
            kind,
            same: has_names.then_some(reference),
            link,
            attributes,
            content,
        })
    }

    fn attributes(&mut self, inode: &Inode) -> io::Result<Attributes> {
        let xattrs = match (inode.xattrs, &self.xattrs) {
            (None, _) => Vec::new(),
            (Some(_), None) => return Err(malformed("there are no extended attributes")),
            (Some(place), Some(table)) => table.list(&mut self.image, place)?,
        };
        Ok(Attributes {
            mode: inode.mode,
            uid: owner(&self.owners, inode.uid)?,
            gid: owner(&self.owners, inode.gid)?,
            modified: Modified {
                seconds: inode.modified.into(),
                nanoseconds: 0,
            },
            xattrs,
            ..Attributes::default()
        })
    }
}
