//! Going through a directory in order, beneath handles, and handing out what is found in batches.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, RawDir, Stat, statat},
    io::Errno,
};

use super::entry::{Found, Reader, failed};
use crate::{
    error::{Error, Result},
    pool::beneath,
};

/// Most directories within each other: each is an open handle while it is walked.
const MAX_DEPTH: usize = 512;

/// Longest name of an entry, with the directories that it is in.
const MAX_PATH_BYTES: usize = 4096;

/// Most memory for the names in directories that are being walked, and for files with more names
/// than one.
const MAX_NAMES_BYTES: usize = 512 * 1024 * 1024;

/// How much of a directory's list is read at a time.
const LIST_BYTES: usize = 32 * 1024;

/// How much goes to one reader together: entries, and bytes of them that are expected.
const BATCH_ENTRIES: usize = 32;
const BATCH_BYTES: u64 = 512 * 1024;

/// What one reader makes pieces of.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Headers of directories come as they are.
    pub(super) items: Vec<Item>,
    bytes: u64,
}

/// A thing in a batch.
#[derive(Debug)]
pub(super) enum Item {
    Done(Vec<u8>),
    Found(Found),
}

/// A directory being walked: the names that are still to come, last one first.
struct Level {
    directory: Arc<OwnedFd>,
    path: Vec<u8>,
    names: Vec<Box<[u8]>>,
    names_bytes: usize,
}

/// The walk.
pub(super) struct Walk<'r, S> {
    reader: Reader<'r>,
    send: S,
    batch: Batch,
    levels: Vec<Level>,
    names_bytes: usize,
    /// The first names of files that have more.
    names: HashMap<(u64, u64), Arc<[u8]>>,
}

impl<'r, S: FnMut(Batch) -> bool> Walk<'r, S> {
    /// A walk with this reader's owners. Whoever takes the batches says whether to go on.
    pub(super) fn new(reader: Reader<'r>, send: S) -> Self {
        Self {
            reader,
            send,
            batch: Batch::default(),
            levels: Vec::new(),
            names_bytes: 0,
            names: HashMap::new(),
        }
    }

    /// Goes through a directory that has this name in the archive. Ends early without an error
    /// when nobody takes batches any more.
    pub(super) fn run(&mut self, directory: OwnedFd, path: &[u8]) -> Result<()> {
        self.enter(Arc::new(directory), path.to_vec())?;
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.pop() else {
                self.leave();
                continue;
            };
            let parent = Arc::clone(&level.directory);
            let path = [&level.path, &b"/"[..], &name].concat();
            self.visit(parent, name, path)?;
            if self.is_full() && !self.flush() {
                return Ok(());
            }
        }
        self.flush();
        Ok(())
    }

    fn visit(&mut self, parent: Arc<OwnedFd>, name: Box<[u8]>, path: Vec<u8>) -> Result<()> {
        let file_name = OsStr::from_bytes(&name);
        let stat = match statat(&*parent, file_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It went while the directory was read.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(failed(&path, error.into())),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return match beneath::open_directory(&*parent, file_name) {
                Ok(directory) => self.enter(Arc::new(directory), path),
                Err(error) if is_replaced(&error) => Ok(()),
                Err(error) => Err(failed(&path, error)),
            };
        }
        let same_as = self.first_name(&stat, &path)?;
        let expected = u64::try_from(stat.st_size).unwrap_or_default();
        self.batch.bytes += 1024 + expected.min(super::entry::SMALL_BYTES);
        self.batch.items.push(Item::Found(Found {
            parent,
            name,
            path: path.into(),
            stat,
            same_as,
        }));
        Ok(())
    }

    /// The name that the same file had before, if it had one.
    fn first_name(&mut self, stat: &Stat, path: &[u8]) -> Result<Option<Arc<[u8]>>> {
        let is_file = FileType::from_raw_mode(stat.st_mode) != FileType::Socket;
        if stat.st_nlink < 2 || !is_file {
            return Ok(None);
        }
        match self.names.entry((stat.st_dev, stat.st_ino)) {
            std::collections::hash_map::Entry::Occupied(first) => Ok(Some(Arc::clone(first.get()))),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(path.into());
                self.remember(path.len() + 64)?;
                Ok(None)
            }
        }
    }

    fn enter(&mut self, directory: Arc<OwnedFd>, path: Vec<u8>) -> Result<()> {
        if self.levels.len() >= MAX_DEPTH || path.len() > MAX_PATH_BYTES {
            return Err(Error::failed(format!(
                "Instance has directories more than {MAX_DEPTH} deep"
            )));
        }
        let mut header = Vec::new();
        self.reader
            .directory(&path, directory.as_fd(), &mut header)?;
        self.batch.bytes += header.len() as u64;
        self.batch.items.push(Item::Done(header));
        let (names, names_bytes) = self.list(&directory, &path)?;
        self.levels.push(Level {
            directory,
            path,
            names,
            names_bytes,
        });
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.names_bytes -= level.names_bytes;
        }
    }

    /// The names in a directory, last one first.
    fn list(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<(Vec<Box<[u8]>>, usize)> {
        let mut buffer = vec![MaybeUninit::uninit(); LIST_BYTES];
        let mut list = RawDir::new(directory, &mut buffer);
        let (mut names, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = list.next() {
            let entry = entry.map_err(|error| failed(path, error.into()))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                bytes += name.len() + 32;
                self.remember(name.len() + 32)?;
                names.push(name.into());
            }
        }
        names.sort_unstable_by(|one, other| Ord::cmp(other, one));
        Ok((names, bytes))
    }

    fn remember(&mut self, bytes: usize) -> Result<()> {
        self.names_bytes += bytes;
        if self.names_bytes > MAX_NAMES_BYTES {
            return Err(Error::failed(
                "Instance has too many files in one directory",
            ));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.batch.items.len() >= BATCH_ENTRIES || self.batch.bytes >= BATCH_BYTES
    }

    fn flush(&mut self) -> bool {
        let batch = std::mem::take(&mut self.batch);
        batch.items.is_empty() || (self.send)(batch)
    }
}

/// Whether a directory became something else, or went.
fn is_replaced(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}
