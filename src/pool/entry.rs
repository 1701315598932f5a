//! What files have beside their content: owners, modes, times, extended attributes.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

use super::shift::Shift;

/// What the files of an overlay's upper directory say about where they came from below. It means
/// nothing above another tree.
const ORIGIN: &[u8] = b"trusted.overlay.origin";

/// The longest value, and the longest list, that the kernel has.
const LONGEST: usize = 65_536;

/// Something in a directory, by its name in it. A link is meant itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'e> {
    /// The directory.
    pub(super) directory: BorrowedFd<'e>,
    /// The name in it.
    pub(super) name: &'e Path,
}

impl Entry<'_> {
    /// A path that leads there, for calls that take no directory handle.
    fn path(self) -> PathBuf {
        let handle = format!("/proc/self/fd/{}", self.directory.as_raw_fd());
        Path::new(&handle).join(self.name)
    }
}

/// Gives a new file, link or device all that an old one has. Owners first: a change of owner takes
/// set-id bits and capabilities away.
pub(super) fn copy(
    from: Entry<'_>,
    to: Entry<'_>,
    found: &Stat,
    shift: Option<Shift>,
) -> io::Result<()> {
    let id = |id: u32| shift.map_or(Ok(id), |shift| shift.id(id));
    let (uid, gid) = (
        Uid::from_raw(id(found.st_uid)?),
        Gid::from_raw(id(found.st_gid)?),
    );
    let itself = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(to.directory, to.name, Some(uid), Some(gid), itself)?;
    let (from_path, to_path) = (from.path(), to.path());
    for name in names(&from_path)? {
        extended(&from_path, &to_path, &name, shift)?;
    }
    if !FileType::from_raw_mode(found.st_mode).is_symlink() {
        let mode = Mode::from_raw_mode(found.st_mode);
        rustix::fs::chmodat(to.directory, to.name, mode, AtFlags::empty())?;
    }
    rustix::fs::utimensat(to.directory, to.name, &times(found), itself)?;
    Ok(())
}

fn times(found: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.cast_signed(),
    };
    Timestamps {
        last_access: time(found.st_atime, found.st_atime_nsec),
        last_modification: time(found.st_mtime, found.st_mtime_nsec),
    }
}

/// The names of all extended attributes.
fn names(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let list = match whole(|buffer| rustix::fs::llistxattr(path, buffer)) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        list => list?,
    };
    let names = list.split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn extended(from: &Path, to: &Path, name: &[u8], shift: Option<Shift>) -> io::Result<()> {
    if shift.is_some() && name == ORIGIN {
        return Ok(());
    }
    let value = match whole(|buffer| rustix::fs::lgetxattr(from, name, buffer)) {
        // It has gone meanwhile.
        Err(Errno::NODATA) => return Ok(()),
        value => value?,
    };
    let value = match shift {
        Some(shift) => shift.attribute(name, value)?,
        None => value,
    };
    Ok(rustix::fs::lsetxattr(
        to,
        name,
        &value,
        XattrFlags::empty(),
    )?)
}

/// Reads into a buffer that is large enough.
fn whole(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    for size in [256, LONGEST] {
        let mut buffer = vec![0; size];
        match read(&mut buffer) {
            Err(Errno::RANGE) => {}
            length => {
                buffer.truncate(length?);
                return Ok(buffer);
            }
        }
    }
    Err(Errno::RANGE)
}
