//! Owners, modes, times and extended attributes of files: giving a file all that an archive says
//! of it, shifted to the ids of a container.

pub(crate) mod acl;
pub(crate) mod capability;

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat,
        fchmod, fchown, fsetxattr, futimens, lsetxattr, utimensat,
    },
    io::Errno,
};

use super::idmap::IdMap;
use crate::image::archive::{Attributes, Modified};

const ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
const CAPABILITY: &[u8] = b"security.capability";

/// Whether overlays take an attribute for an order of their own, which must not come from an image.
/// Those of `user.overlay.` are orders within a container only: ours are mounted without
/// `userxattr`.
pub(crate) fn is_overlays(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.")
}

fn is_acl(name: &[u8]) -> bool {
    name == ACL || name == DEFAULT_ACL
}

/// Attributes as the host has them.
#[derive(Debug)]
pub(crate) struct Shifted<'a> {
    attributes: &'a Attributes,
    uid: u32,
    gid: u32,
    map: IdMap,
}

impl<'a> Shifted<'a> {
    /// Attributes of a container's file.
    ///
    /// # Errors
    ///
    /// An owner outside of the map.
    pub(crate) fn new(attributes: &'a Attributes, map: IdMap) -> io::Result<Self> {
        let host = |id: u32| {
            map.to_host(id).ok_or_else(|| {
                let reason = format!("owner {id} is not in the id map of {} ids", map.size());
                io::Error::new(io::ErrorKind::InvalidData, reason)
            })
        };
        Ok(Self {
            attributes,
            uid: host(attributes.uid)?,
            gid: host(attributes.gid)?,
            map,
        })
    }

    /// With which mode to make a file that gets these attributes, where `umask` is in effect;
    /// none if it has to be set afterwards.
    pub(crate) fn first_mode(&self, umask: u32) -> Option<Mode> {
        let mode = self.attributes.mode;
        (mode & 0o7000 == 0 && mode & umask == 0).then(|| Mode::from_raw_mode(mode))
    }

    /// Gives a file, just made, all but the mode that it has already.
    ///
    /// # Errors
    ///
    /// What the kernel does not take.
    pub(crate) fn apply(&self, file: impl AsFd, has_mode: bool) -> io::Result<()> {
        let file = file.as_fd();
        if (self.uid, self.gid) != (0, 0) {
            let (uid, gid) = self.owner();
            fchown(file, uid, gid)?;
        }
        // A change of the owner takes setuid away.
        if !has_mode {
            fchmod(file, self.mode())?;
        }
        self.each_xattr(|name, value| fsetxattr(file, name, value, XattrFlags::empty()))?;
        Ok(futimens(file, &self.times())?)
    }

    /// Gives what cannot be opened (a link, a device, a pipe) all of them.
    ///
    /// # Errors
    ///
    /// What the kernel does not take.
    pub(crate) fn apply_at(
        &self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        is_link: bool,
    ) -> io::Result<()> {
        let name = OsStr::from_bytes(name);
        if (self.uid, self.gid) != (0, 0) {
            let (uid, gid) = self.owner();
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            chownat(directory, name, uid, gid, flags)?;
        }
        if !is_link {
            chmodat(directory, name, self.mode(), AtFlags::empty())?;
        }
        if self.has_xattrs() {
            // The kernel takes attributes of what is not open by path only; this one begins with
            // our own handle, and a link at its end is not followed.
            let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
            path.extend_from_slice(name.as_bytes());
            let path = OsStr::from_bytes(&path);
            self.each_xattr(|name, value| lsetxattr(path, name, value, XattrFlags::empty()))?;
        }
        let times = self.times();
        Ok(utimensat(
            directory,
            name,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    fn owner(&self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }

    fn mode(&self) -> Mode {
        Mode::from_raw_mode(self.attributes.mode)
    }

    fn times(&self) -> Timestamps {
        times(self.attributes.modified)
    }

    fn has_xattrs(&self) -> bool {
        let Attributes { xattrs, acls, .. } = self.attributes;
        !xattrs.is_empty() || acls.0.is_some() || acls.1.is_some()
    }

    fn each_xattr(
        &self,
        mut set: impl FnMut(&OsStr, &[u8]) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        if !self.has_xattrs() {
            return Ok(());
        }
        let mut set = |name: &[u8], value: &[u8]| match set(OsStr::from_bytes(name), value) {
            // What this file system does not have, the file does without, as with tar.
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error @ (Errno::INVAL | Errno::ACCESS)) if is_acl(name) => {
                tracing::debug!(%error, "an ACL that the kernel does not take");
                Ok(())
            }
            Err(error) => {
                let error = io::Error::from(error);
                let name = String::from_utf8_lossy(name).into_owned();
                Err(io::Error::new(
                    error.kind(),
                    format!("attribute {name:?}: {error}"),
                ))
            }
        };
        let Attributes { xattrs, acls, .. } = self.attributes;
        for (text, name) in [(&acls.0, ACL), (&acls.1, DEFAULT_ACL)] {
            let is_there = xattrs.iter().any(|xattr| xattr.name == name);
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty() && !is_there) {
                set(
                    name,
                    &acl::read(text, |named| self::named(named, self.map))?,
                )?;
            }
        }
        for xattr in xattrs.iter().filter(|xattr| !is_overlays(&xattr.name)) {
            set(&xattr.name, &to_host(&xattr.name, &xattr.value, self.map)?)?;
        }
        Ok(())
    }
}

/// Takes ACLs away that make no sense, or name somebody who is not in the map, or by a name that
/// only the archive's maker knows. Tells whether there were any.
pub(crate) fn drop_strange_acls(attributes: &mut Attributes, map: IdMap) -> bool {
    let is_strange = |acl: &[u8]| acl::read(acl, |named| self::named(named, map)).is_err();
    let Attributes { xattrs, acls, .. } = attributes;
    let before = xattrs.len();
    xattrs.retain(|xattr| !is_acl(&xattr.name) || to_host(&xattr.name, &xattr.value, map).is_ok());
    let mut is_any = xattrs.len() < before;
    for acl in [&mut acls.0, &mut acls.1] {
        is_any |= acl.take_if(|acl| is_strange(acl)).is_some();
    }
    is_any
}

/// The host's id of somebody. Other names than root's mean something only where they were written.
fn named(named: acl::Named<'_>, map: IdMap) -> Option<u32> {
    match named {
        acl::Named::Id(id) => map.to_host(id),
        acl::Named::User(name) | acl::Named::Group(name) => (name == b"root").then(|| map.root()),
    }
}

/// A time, and none for the last access.
pub(crate) fn times(modified: Modified) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: modified.nanoseconds.into(),
        },
    }
}

/// An extended attribute's value as the host has to have it.
///
/// # Errors
///
/// An ACL or capabilities that make no sense, or of somebody outside of the map.
pub(crate) fn to_host(name: &[u8], value: &[u8], map: IdMap) -> io::Result<Vec<u8>> {
    match name {
        ACL | DEFAULT_ACL => acl::shift(value, |id| map.to_host(id)),
        CAPABILITY => capability::to_host(value, map),
        _ => Ok(value.to_vec()),
    }
}

/// An extended attribute's value as the container has it.
///
/// # Errors
///
/// As [`to_host`].
pub(crate) fn to_container(name: &[u8], value: &[u8], map: IdMap) -> io::Result<Vec<u8>> {
    match name {
        ACL | DEFAULT_ACL => acl::shift(value, |id| map.to_container(id)),
        CAPABILITY => capability::to_container(value, map),
        _ => Ok(value.to_vec()),
    }
}
