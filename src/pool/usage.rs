//! How much of the disk trees take.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Stat},
    io::Errno,
};

use super::{Pool, TreeName, beneath, remove::as_path, staging};
use crate::error::{Context, Result};

/// Most directories within each other that are looked into.
const DEPTH: usize = 256;

/// How the kernel counts what a file takes.
const BLOCK_BYTES: u64 = 512;

impl Pool {
    /// Bytes on the disk that are a tree's own, without the shared tree below it.
    pub(crate) fn usage(&self, name: &TreeName) -> Result<u64> {
        of(&self.tree(name)?)
    }
}

/// Bytes on the disk of everything in a directory. A file with several names counts once.
pub(super) fn of(path: &Path) -> Result<u64> {
    let directory = staging::open(path)?;
    let mut count = Count::default();
    let counted = count.directory(directory.as_fd(), 0);
    counted.context(format_args!("Failed to measure {}", path.display()))?;
    Ok(count.bytes)
}

#[derive(Default)]
struct Count {
    bytes: u64,
    linked: HashSet<(u64, u64)>,
}

impl Count {
    fn directory(&mut self, directory: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {}
                found => {
                    let found = found?;
                    self.add(&found);
                    let kind = FileType::from_raw_mode(found.st_mode);
                    if kind == FileType::Directory && depth < DEPTH {
                        self.inner(directory, as_path(name), depth)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn inner(&mut self, parent: BorrowedFd<'_>, name: &Path, depth: usize) -> io::Result<()> {
        match beneath::open_directory(parent, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            directory => self.directory(directory?.as_fd(), depth + 1),
        }
    }

    fn add(&mut self, found: &Stat) {
        let is_new = found.st_nlink < 2
            || FileType::from_raw_mode(found.st_mode) == FileType::Directory
            || self.linked.insert((found.st_dev, found.st_ino));
        if is_new {
            let blocks = u64::try_from(found.st_blocks).unwrap_or_default();
            self.bytes += blocks * BLOCK_BYTES;
        }
    }
}
