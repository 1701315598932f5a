//! Removing trees that somebody else has filled: by handles, through no link, however deep.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, IFlags, Mode, OFlags},
    io::Errno,
};

use super::beneath;
use crate::error::{Context, Result};

/// How many directories are open within each other; what is deeper is moved up first.
const DEPTH: usize = 64;

/// What keeps files from being removed, for those who may set it.
const FIXED: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// Removes a directory and all in it. One that is not there is as good as removed.
pub(super) fn directory(path: &Path) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let removed = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
        Ok(top) => Removal { top }.run(path),
    };
    let removed = removed.map_err(io::Error::from);
    removed.context(format_args!("Failed to remove {}", path.display()))
}

/// A tree that goes.
struct Removal {
    top: OwnedFd,
}

impl Removal {
    fn run(&self, path: &Path) -> rustix::io::Result<()> {
        // What was too deep has moved up: once more.
        while self.empty(self.top.as_fd(), 0)? {}
        rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)
    }

    /// Removes what is in a directory. Returns whether there is, or may be, more.
    fn empty(&self, directory: BorrowedFd<'_>, depth: usize) -> rustix::io::Result<bool> {
        let mut found = false;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            found = true;
            match persist(directory, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => self.remove_directory(directory, name, depth + 1)?,
                Err(Errno::NOENT) | Ok(()) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(found)
    }

    fn remove_directory(
        &self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        depth: usize,
    ) -> rustix::io::Result<()> {
        if depth > DEPTH {
            return self.move_up(parent, name);
        }
        let inner =
            beneath::open_directory(parent, as_path(name)).map_err(|error| errno_of(&error))?;
        while self.empty(inner.as_fd(), depth)? {}
        drop(inner);
        persist(parent, name, AtFlags::REMOVEDIR)
    }

    /// Gives a directory that is too deep a new name at the top.
    fn move_up(&self, parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
        let up = uuid::Uuid::new_v4().simple().to_string();
        rustix::fs::renameat(parent, name, &self.top, up)
    }
}

/// Unlinks, and takes away first what forbids it even to root.
fn persist(directory: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(directory, name, flags) {
        Err(Errno::PERM) => {}
        other => return other,
    }
    loosen(directory)?;
    match open(directory, as_path(name)) {
        Ok(Some(inner)) => loosen(inner.as_fd())?,
        // A device, a pipe or a link: it has no such flags.
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "removing what cannot be opened"),
    }
    rustix::fs::unlinkat(directory, name, flags)
}

/// A directory or a regular file: opening anything else may have effects.
fn open(directory: BorrowedFd<'_>, name: &Path) -> io::Result<Option<OwnedFd>> {
    match beneath::open_directory(directory, name) {
        Err(error) if errno_of(&error) == Errno::NOTDIR => {
            let file = beneath::open_file(directory, name, OFlags::RDONLY)?;
            Ok(file.map(|(file, _)| file))
        }
        opened => opened.map(Some),
    }
}

fn loosen(file: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = rustix::fs::ioctl_getflags(file)?;
    if flags.intersects(FIXED) {
        rustix::fs::ioctl_setflags(file, flags.difference(FIXED))?;
    }
    Ok(())
}

/// A name as the kernel gave it.
pub(super) fn as_path(name: &CStr) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()))
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, process::Command};

    use super::*;

    #[test]
    fn a_tree_goes_however_deep_it_is() {
        let home = tempfile::tempdir().unwrap();
        let tree = home.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut inner = rustix::fs::open(&tree, flags, Mode::empty()).unwrap();
        for _ in 0..5000 {
            let name = "x".repeat(200);
            rustix::fs::mkdirat(&inner, &name, Mode::RWXU).unwrap();
            inner = rustix::fs::openat(&inner, &name, flags, Mode::empty()).unwrap();
        }
        rustix::fs::symlinkat("..", &inner, "up").unwrap();
        drop(inner);
        directory(&tree).unwrap();
        assert!(!tree.exists());
        directory(&tree).unwrap();
    }

    #[test]
    fn what_a_link_points_to_stays() {
        let home = tempfile::tempdir().unwrap();
        let (tree, other) = (home.path().join("tree"), home.path().join("other"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "x").unwrap();
        symlink(&other, tree.join("link")).unwrap();
        directory(&tree).unwrap();
        assert_eq!(fs::read_to_string(other.join("kept")).unwrap(), "x");

        symlink(&other, &tree).unwrap();
        assert!(directory(&tree).is_err());
        assert!(other.join("kept").exists());
    }

    #[test]
    fn files_that_must_not_change_go_too() {
        let home = tempfile::tempdir().unwrap();
        let tree = home.path().join("tree");
        fs::create_dir_all(tree.join("a")).unwrap();
        fs::write(tree.join("a/b"), "x").unwrap();
        let fixed = Command::new("chattr")
            .args(["+i", "a/b", "a"])
            .current_dir(&tree)
            .status();
        assert!(fixed.unwrap().success());
        directory(&tree).unwrap();
        assert!(!tree.exists());
    }
}
