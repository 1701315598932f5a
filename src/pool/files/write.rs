//! Writing, making and removing.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
};

use super::root::{Refused, Root, Walk};
use crate::error::{Error, Result};

/// Whom something new belongs to; what is not said is root's, and 0644 or 0755.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Owner.
    pub(crate) uid: Option<u32>,
    /// Group.
    pub(crate) gid: Option<u32>,
    /// Permissions.
    pub(crate) mode: Option<u32>,
}

/// Where in a file that exists to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Its old content goes; without one, a file is made.
    Overwrite,
    /// At its end. There has to be one.
    Append,
}

impl Root {
    /// Opens a regular file for writing. A new one gets `owner`; one that exists keeps its own.
    ///
    /// # Errors
    ///
    /// 404 `Not Found`; 500 for what is no regular file, and for ids that the container lacks.
    pub(crate) fn write(&self, path: &str, owner: Owner, how: Write) -> Result<File> {
        let found = match self.find(Walk::Inside, path) {
            Err(Errno::NOENT) if how == Write::Overwrite => {
                let (ids, mode) = (self.ids(owner)?, owner.mode.unwrap_or(0o644));
                let file = self.create(Walk::Inside, path, ids, mode);
                return Ok(file.refused("open", path)?.into());
            }
            found => found.refused("open", path)?,
        };
        let file = found.regular(OFlags::WRONLY).refused("open", path)?;
        let mut file = File::from(file);
        match how {
            Write::Overwrite => file.set_len(0)?,
            Write::Append => {
                file.seek(SeekFrom::End(0))?;
            }
        }
        Ok(file)
    }

    /// Makes a file, also where a link that leads nowhere yet points to.
    pub(super) fn create(
        &self,
        walk: Walk,
        path: &str,
        ids: (Uid, Gid),
        mode: u32,
    ) -> rustix::io::Result<OwnedFd> {
        // Should somebody put a fifo there meanwhile, this does not wait; nor is it written to.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.open(walk, path, flags, Mode::RUSR | Mode::WUSR)?;
        let stat = rustix::fs::fstat(&file)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Errno::INVAL);
        }
        own(&file, ids, mode)?;
        Ok(file)
    }

    /// Makes a directory. What exists already, whatever it is, stays as it is.
    ///
    /// # Errors
    ///
    /// 404 `Not Found` when the directory that it is to be in does not exist.
    pub(crate) fn make_directory(&self, path: &str, owner: Owner) -> Result<()> {
        let Some((parent, name)) = self.parent(Walk::Inside, path).refused("mkdir", path)? else {
            return Ok(());
        };
        let ids = self.ids(owner)?;
        match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
            // LXD: no error.
            Err(Errno::EXIST) => return Ok(()),
            made => made.refused("mkdir", path)?,
        }
        let mode = owner.mode.unwrap_or(0o755);
        Self::own_directory(&parent, name, ids, mode).refused("chown", path)
    }

    /// Gives a directory that was just made to somebody.
    pub(super) fn own_directory(
        parent: &OwnedFd,
        name: &str,
        ids: (Uid, Gid),
        mode: u32,
    ) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        own(&made, ids, mode)
    }

    /// Makes a link.
    ///
    /// # Errors
    ///
    /// 404 `Not Found` when the directory that it is to be in does not exist; 500 when there is
    /// something of this name.
    pub(crate) fn make_symlink(&self, path: &str, target: &str) -> Result<()> {
        let what = format!("symlink {target}");
        let parent = self.parent(Walk::Inside, path).refused(&what, path)?;
        let (parent, name) = parent.ok_or(Errno::EXIST).refused(&what, path)?;
        rustix::fs::symlinkat(target, &parent, name).refused(&what, path)?;
        // LXD: the container's root has it, whoever was asked for.
        let (uid, gid) = self.ids(Owner::default())?;
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&parent, name, Some(uid), Some(gid), itself).refused("chown", path)
    }

    /// Removes a file, a link or an empty directory.
    ///
    /// # Errors
    ///
    /// 404 `Not Found`; 500 for a directory with something in it.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        let parent = self.parent(Walk::Inside, path).refused("remove", path)?;
        let (parent, name) = parent.ok_or(Errno::BUSY).refused("remove", path)?;
        let unlink = |flags| rustix::fs::unlinkat(&parent, name, flags);
        match unlink(AtFlags::empty()) {
            Err(Errno::ISDIR) => unlink(AtFlags::REMOVEDIR),
            removed => removed,
        }
        .refused("remove", path)
    }

    /// The host's ids for an owner.
    pub(super) fn ids(&self, owner: Owner) -> Result<(Uid, Gid)> {
        let outside = |id: Option<u32>| {
            let id = id.unwrap_or_default();
            let text = || Error::bad_request(format!("The instance has no id {id}"));
            self.map().to_host(id).ok_or_else(text)
        };
        Ok((
            Uid::from_raw(outside(owner.uid)?),
            Gid::from_raw(outside(owner.gid)?),
        ))
    }
}

/// Owner first: a change of it takes set-id bits away.
fn own(file: impl AsFd, (uid, gid): (Uid, Gid), mode: u32) -> rustix::io::Result<()> {
    rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o7777))
}
