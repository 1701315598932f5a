//! Copies of trees, with every attribute: also of the upper directory of an overlay, whose marks
//! (device nodes for what was removed, attributes for what was replaced) are files like others.
//!
//! The original may be in use: it is walked by handles, and what goes meanwhile is passed over.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, SeekFrom, Stat},
    io::Errno,
};

use super::{
    beneath,
    entry::{self, Entry},
    remove::as_path,
    shift::Shift,
};
use crate::error::{Context, Result};

/// Most directories within each other. Two of each level are open at once.
const DEPTH: usize = 256;

/// Most memory for files with more names than one, and what each takes besides its name.
const MAX_LINKS_BYTES: usize = 512 * 1024 * 1024;
const LINK_BYTES: usize = 64;

/// How often a file may be replaced by another while it is opened.
const PATIENCE: u32 = 10;

/// How much is read at once where the kernel does not copy.
const BUFFER_BYTES: usize = 256 * 1024;

/// How much the kernel is asked to copy at once.
const STRETCH_BYTES: u64 = 1 << 30;

/// Copies what is in a directory, and the directory's own attributes, into an empty one.
pub(super) fn directory(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    shift: Option<Shift>,
) -> Result<()> {
    let mut copy = Copy {
        top: to,
        shift,
        links: HashMap::new(),
        links_bytes: 0,
        path: PathBuf::new(),
    };
    let copied = copy.directory(from, to, 0);
    copied.context(format_args!("Failed to copy {}", copy.path.display()))
}

/// Copies the attributes of a directory, and nothing that is in it.
pub(super) fn directory_attributes(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    shift: Option<Shift>,
) -> Result<()> {
    let name = Path::new(".");
    let entry = |directory| Entry { directory, name };
    let copied = rustix::fs::fstat(from)
        .map_err(io::Error::from)
        .and_then(|found| entry::copy(entry(from), entry(to), &found, shift));
    copied.context("Failed to copy a directory's attributes")
}

/// Copies a regular file, and nothing else, under the same name into another directory.
pub(super) fn file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path) -> Result<()> {
    let [from, to] = [from, to].map(|directory| Entry { directory, name });
    let copied = rustix::fs::statat(from.directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(io::Error::from)
        .and_then(|found| match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {
                Copy::regular(from, to, &found)?;
                entry::copy(from, to, &found, None)
            }
            _ => Err(Errno::INVAL.into()),
        });
    copied.context(format_args!("Failed to copy {}", name.display()))
}

struct Copy<'c> {
    top: BorrowedFd<'c>,
    shift: Option<Shift>,
    /// Where the copy is of each file that has more than one name.
    links: HashMap<(u64, u64), PathBuf>,
    /// How much memory that takes, about.
    links_bytes: usize,
    /// What is being copied, below the top.
    path: PathBuf,
}

impl Copy<'_> {
    fn directory(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        depth: usize,
    ) -> io::Result<()> {
        if depth > DEPTH {
            return Err(Errno::NAMETOOLONG.into());
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let name = as_path(entry.file_name());
            self.path.push(name);
            let [old, new] = [from, to].map(|directory| Entry { directory, name });
            match self.settled(old, new, depth) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && gone(old) => {}
                copied => copied?,
            }
            while self.path.components().count() > depth {
                self.path.pop();
            }
        }
        let name = Path::new(".");
        let [old, new] = [from, to].map(|directory| Entry { directory, name });
        entry::copy(old, new, &rustix::fs::fstat(from)?, self.shift)
    }

    /// Copies what is there, also when it is replaced during the first looks at it.
    fn settled(&mut self, from: Entry<'_>, to: Entry<'_>, depth: usize) -> io::Result<()> {
        for _ in 0..PATIENCE {
            match self.entry(from, to, depth) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                copied => return copied,
            }
        }
        Err(Errno::BUSY.into())
    }

    fn entry(&mut self, from: Entry<'_>, to: Entry<'_>, depth: usize) -> io::Result<()> {
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        let found = rustix::fs::statat(from.directory, from.name, itself)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind == FileType::Directory {
            return self.inner(from, to, depth);
        }
        if self.is_linked(to, &found)? {
            return Ok(());
        }
        match kind {
            FileType::RegularFile => Self::regular(from, to, &found)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from.directory, from.name, Vec::new())?;
                rustix::fs::symlinkat(&*target, to.directory, to.name)?;
            }
            _ => {
                let mode = Mode::RUSR | Mode::WUSR;
                let device = found.st_rdev;
                rustix::fs::mknodat(to.directory, to.name, kind, mode, device)?;
            }
        }
        if found.st_nlink > 1 {
            self.remember(&found)?;
        }
        entry::copy(from, to, &found, self.shift)
    }

    /// Keeps in mind where the copy of a file is that has other names.
    fn remember(&mut self, found: &Stat) -> io::Result<()> {
        self.links_bytes += self.path.as_os_str().len() + LINK_BYTES;
        if self.links_bytes > MAX_LINKS_BYTES {
            let text = "there are too many files of several names";
            return Err(io::Error::other(text));
        }
        let key = (found.st_dev, found.st_ino);
        self.links.insert(key, self.path.clone());
        Ok(())
    }

    fn inner(&mut self, from: Entry<'_>, to: Entry<'_>, depth: usize) -> io::Result<()> {
        let old = beneath::open_directory(from.directory, from.name)?;
        rustix::fs::mkdirat(to.directory, to.name, Mode::RWXU)?;
        let new = beneath::open_directory(to.directory, to.name)?;
        self.directory(old.as_fd(), new.as_fd(), depth + 1)
    }

    /// Gives another name to a file that was copied already.
    fn is_linked(&self, to: Entry<'_>, found: &Stat) -> io::Result<bool> {
        let Some(first) = self.links.get(&(found.st_dev, found.st_ino)) else {
            return Ok(false);
        };
        rustix::fs::linkat(self.top, first, to.directory, to.name, AtFlags::empty())?;
        Ok(true)
    }

    fn regular(from: Entry<'_>, to: Entry<'_>, found: &Stat) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOATIME;
        let opened = beneath::open_file(from.directory, from.name, flags)?;
        let is_found = |now: &Stat| (now.st_dev, now.st_ino) == (found.st_dev, found.st_ino);
        let opened = opened.filter(|(_, now)| is_found(now));
        let (old, now) = opened.ok_or(Errno::AGAIN)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let new = beneath::open(to.directory, to.name, flags, Mode::RUSR | Mode::WUSR)?;
        content(&old, &new, now.st_size.unsigned_abs())
    }
}

/// Copies a file's content: by sharing its blocks where the file system can, else its data
/// without the holes.
pub(super) fn content(from: &OwnedFd, to: &OwnedFd, size: u64) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            start => start?,
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?.min(size);
        stretch(from, to, start, end)?;
        at = end.max(start + 1);
    }
    rustix::fs::ftruncate(to, size)?;
    Ok(())
}

/// Copies a stretch of data within the kernel; through our hands where that cannot: from one file
/// system to another, above all.
fn stretch(from: &OwnedFd, to: &OwnedFd, mut start: u64, end: u64) -> io::Result<()> {
    while start < end {
        let wanted = usize::try_from((end - start).min(STRETCH_BYTES)).unwrap_or(usize::MAX);
        let (mut here, mut there) = (start, start);
        let copied =
            rustix::fs::copy_file_range(from, Some(&mut here), to, Some(&mut there), wanted);
        match copied {
            // It has become shorter meanwhile.
            Ok(0) => return Ok(()),
            Ok(length) => start += length as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return by_hand(from, to, start, end);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn by_hand(from: &OwnedFd, to: &OwnedFd, mut start: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    while start < end {
        let wanted = usize::try_from(end - start).unwrap_or(BUFFER_BYTES);
        let buffer = buffer
            .get_mut(..wanted.min(BUFFER_BYTES))
            .unwrap_or_default();
        let read = match rustix::io::pread(from, &mut *buffer, start) {
            Ok(0) => return Ok(()),
            Err(Errno::INTR) => continue,
            read => read?,
        };
        let mut rest = buffer.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            let written = match rustix::io::pwrite(to, rest, start) {
                Err(Errno::INTR) => continue,
                written => written?,
            };
            start += written as u64;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Whether something is not there any more.
fn gone(entry: Entry<'_>) -> bool {
    let itself = AtFlags::SYMLINK_NOFOLLOW;
    let found = rustix::fs::statat(entry.directory, entry.name, itself);
    matches!(found, Err(Errno::NOENT))
}
