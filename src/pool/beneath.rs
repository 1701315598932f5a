//! Opening what somebody else named: beneath a directory's handle, and through no link.
//!
//! Whoever may plant files in a tree (an image's author, an instance's owner) may plant links, and
//! may change the tree while it is looked at. So nothing here joins paths; the kernel walks a name
//! beneath the handle, and ends at whatever would lead out.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, openat2};

/// How names are walked: beneath the handle, and through no link.
const CONFINED: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Opens what `path` names beneath `directory`, a file that is made by it with `mode`.
///
/// # Errors
///
/// `ELOOP` for a link anywhere in the name, `EXDEV` for a name that leads out.
pub(crate) fn open(
    directory: impl AsFd,
    path: impl AsRef<Path>,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    loop {
        match openat2(directory.as_fd(), path.as_ref(), flags, mode, CONFINED) {
            // Something was renamed during the walk: nothing is known about the name yet.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Opens a directory beneath another.
///
/// # Errors
///
/// As [`open`]; `ENOTDIR` for what is none.
pub(crate) fn open_directory(directory: impl AsFd, path: impl AsRef<Path>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    open(directory, path, flags, Mode::empty())
}

/// Opens a regular file beneath a directory, and nothing else: opening a device or a pipe may have
/// effects, so what it is is known before it is opened. None for what is no file.
///
/// # Errors
///
/// As [`open`], except that a link at the name's end is no file.
pub(crate) fn open_file(
    directory: impl AsFd,
    path: impl AsRef<Path>,
    flags: OFlags,
) -> io::Result<Option<(OwnedFd, Stat)>> {
    let handle = open(directory, path, OFlags::PATH, Mode::empty())?;
    let stat = rustix::fs::fstat(&handle)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let opened = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?;
    Ok(Some((opened, stat)))
}
