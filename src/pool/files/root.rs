//! A root directory, and names below it.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, openat2},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    pool::{Mounted, idmap::IdMap},
};

/// How often a walk begins anew when somebody renames directories under it.
const PATIENCE: u32 = 1000;

/// The files below a root directory, as whoever is inside sees them: absolute links and `..` end
/// inside, ids are the container's. Cheap to clone.
// LXD: of a running container also what is mounted inside. What its root mounts there (a file
// system in a process of its own, for one) is nothing that the host should wait for.
#[derive(Debug, Clone)]
pub(crate) struct Root(Mounted);

/// Which way a name may lead.
#[derive(Debug, Clone, Copy)]
pub(super) enum Walk {
    /// Nowhere else: the root directory is the root of all.
    Inside,
    /// Not through absolute links, and not above the root: such names are refused.
    Beneath,
}

impl Root {
    /// The files of a mounted root file system.
    pub(in crate::pool) fn of(mounted: Mounted) -> Self {
        Self(mounted)
    }

    /// Whom its files belong to.
    pub(super) fn map(&self) -> IdMap {
        self.0.map()
    }

    /// Opens what `path` names.
    pub(super) fn open(
        &self,
        walk: Walk,
        path: &str,
        flags: OFlags,
        mode: Mode,
    ) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::NO_MAGICLINKS
            | match walk {
                Walk::Inside => ResolveFlags::IN_ROOT,
                Walk::Beneath => ResolveFlags::BENEATH,
            };
        let path = if path.is_empty() { "." } else { path };
        let flags = flags | OFlags::CLOEXEC;
        for _ in 0..PATIENCE {
            match openat2(self.0.rootfs(), path, flags, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }

    /// What `path` names, to be looked at and not to be opened yet.
    pub(super) fn find(&self, walk: Walk, path: &str) -> rustix::io::Result<Found> {
        self.found(walk, path, OFlags::PATH)
    }

    /// The same, with a link at its end not followed.
    pub(super) fn find_itself(&self, walk: Walk, path: &str) -> rustix::io::Result<Found> {
        self.found(walk, path, OFlags::PATH | OFlags::NOFOLLOW)
    }

    fn found(&self, walk: Walk, path: &str, flags: OFlags) -> rustix::io::Result<Found> {
        let handle = self.open(walk, path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&handle)?;
        Ok(Found { handle, stat })
    }

    /// The directory that `path` is in, and its name there; none for the root itself.
    pub(super) fn parent<'p>(
        &self,
        walk: Walk,
        path: &'p str,
    ) -> rustix::io::Result<Option<(OwnedFd, &'p str)>> {
        let path = path.trim_end_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match name {
            "" => Ok(None),
            "." | ".." => Err(Errno::INVAL),
            name => {
                let parent = if path.starts_with('/') && parent.is_empty() {
                    "/"
                } else {
                    parent
                };
                let found = self.find(walk, parent)?;
                Ok(Some((found.directory()?, name)))
            }
        }
    }
}

/// Something that was found and is held, whatever its name leads to by now.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) handle: OwnedFd,
    pub(super) stat: Stat,
}

impl Found {
    /// What it is.
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Opens a regular file, and this very one.
    pub(super) fn regular(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        match self.kind() {
            FileType::RegularFile => self.reopen(flags),
            FileType::Directory => Err(Errno::ISDIR),
            _ => Err(Errno::INVAL),
        }
    }

    /// Opens a directory, and this very one.
    pub(super) fn directory(&self) -> rustix::io::Result<OwnedFd> {
        match self.kind() {
            FileType::Directory => self.reopen(OFlags::RDONLY | OFlags::DIRECTORY),
            _ => Err(Errno::NOTDIR),
        }
    }

    fn reopen(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.handle.as_raw_fd());
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        rustix::fs::open(Path::new(&path), flags, Mode::empty())
    }
}

/// LXD's answer where there is nothing, and its words for what else went wrong.
// LXD: the texts of its own SFTP server.
pub(super) fn refused(what: &str, path: &str, errno: Errno) -> Error {
    if errno == Errno::NOENT {
        return Error::not_found("Not Found");
    }
    let text = io::Error::from(errno).to_string();
    let reason = text.split(" (os error").next().unwrap_or_default();
    let reason = reason.to_lowercase();
    Error::failed(format!(
        "sftp: {:?} (SSH_FX_FAILURE)",
        format!("{what} {path}: {reason}")
    ))
}

/// The answer as [`refused`] gives it.
pub(super) trait Refused<T> {
    /// See [`refused`].
    fn refused(self, what: &str, path: &str) -> Result<T>;
}

impl<T> Refused<T> for rustix::io::Result<T> {
    fn refused(self, what: &str, path: &str) -> Result<T> {
        self.map_err(|errno| refused(what, path, errno))
    }
}
