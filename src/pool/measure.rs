//! How much there is to pack, so that clients see how far it is.

use std::{
    collections::HashSet,
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Stat},
    io::Errno,
};
use tokio_util::sync::CancellationToken;

use super::{beneath, watch::cancelled};
use crate::error::{Error, Result};

/// Directories within each other that are looked into. What is deeper only makes the rest seem
/// further.
const DEPTH: usize = 128;

/// How the kernel counts what a file takes.
const BLOCK_BYTES: u64 = 512;

/// The bytes of all files in a directory, without their holes. A file with several names counts
/// once, and what somebody removes meanwhile does not count.
///
/// # Errors
///
/// What the system says; our own when it was cancelled.
pub(crate) fn measure(directory: BorrowedFd<'_>, cancel: &CancellationToken) -> Result<u64> {
    let mut measure = Measure {
        bytes: 0,
        linked: HashSet::new(),
        cancel,
    };
    measure.directory(directory, Path::new("."), 0)?;
    Ok(measure.bytes)
}

struct Measure<'m> {
    bytes: u64,
    linked: HashSet<(u64, u64)>,
    cancel: &'m CancellationToken,
}

impl Measure<'_> {
    fn directory(&mut self, parent: BorrowedFd<'_>, name: &Path, depth: usize) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let directory = match beneath::open_directory(parent, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            directory => directory?,
        };
        for entry in Dir::read_from(&directory).map_err(io::Error::from)? {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::from(io::Error::from(errno))),
                Ok(found) if is(&found, FileType::Directory) => {
                    let name = Path::new(OsStr::from_bytes(name.to_bytes()));
                    if depth < DEPTH {
                        self.directory(directory.as_fd(), name, depth + 1)?;
                    }
                }
                Ok(found) => self.add(&found),
            }
        }
        Ok(())
    }

    fn add(&mut self, found: &Stat) {
        let is_new = found.st_nlink < 2 || self.linked.insert((found.st_dev, found.st_ino));
        if is_new && is(found, FileType::RegularFile) {
            let length = u64::try_from(found.st_size).unwrap_or_default();
            let kept = u64::try_from(found.st_blocks).unwrap_or_default() * BLOCK_BYTES;
            self.bytes += length.min(kept);
        }
    }
}

fn is(found: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(found.st_mode) == kind
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_count_once_and_holes_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), [1; 10_000]).unwrap();
        fs::hard_link(inner.join("file"), directory.path().join("again")).unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("out")).unwrap();
        let sparse = fs::File::create(inner.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let open = fs::File::open(directory.path()).unwrap();
        let cancel = CancellationToken::new();
        assert_eq!(measure(open.as_fd(), &cancel).unwrap(), 10_000);
        cancel.cancel();
        assert!(measure(open.as_fd(), &cancel).is_err());
    }
}
