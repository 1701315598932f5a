//! Host paths that may be shown only from below another one.
//!
//! Somebody else may put a link in their place at any moment: the owner of another container that
//! has the same directory. So what is shown is what was opened beneath the directory, through no
//! link that leaves it, and liblxc gets a mount of that rather than a path to look up once more.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2},
    io::Errno,
    mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount},
};

use super::{Bind, Runtime, Spec};
use crate::error::{Error, Result};

/// Mounts for the time of one start: what the container sees stays when this is dropped.
#[derive(Debug)]
pub(super) struct Shown {
    directory: PathBuf,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.directory) {
            let path = self.directory.display();
            tracing::warn!(%error, %path, "mounts of a start stay");
        }
    }
}

impl Runtime {
    /// Mounts what is to be shown from below something, and has the binds name those mounts.
    pub(super) fn show(&self, spec: &mut Spec) -> Result<Option<Shown>> {
        let directory = self.disks().join(&spec.name);
        let mut shown = None;
        for (number, bind) in spec.binds.iter_mut().enumerate() {
            let Some(below) = bind.below.take() else {
                continue;
            };
            if shown.is_none() {
                for path in [self.disks(), directory.clone()] {
                    super::start::directory(&path, 0o711)?;
                }
                shown = Some(Shown {
                    directory: directory.clone(),
                });
            }
            let place = directory.join(number.to_string());
            let attached = attach(bind, &below, &place);
            match attached {
                Err(error) if error.kind() == io::ErrorKind::NotFound && bind.is_optional => {}
                outcome => outcome.map_err(|error| refused(&bind.source, &error))?,
            }
            bind.source = place;
        }
        Ok(shown)
    }

    /// Takes away what a daemon that was ended during a start has left.
    pub(super) fn hide_all(&self) -> Result<()> {
        let entries = match fs::read_dir(self.disks()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let directory = entry?.path();
            // No reason to start nothing: a start that needs the place says so.
            if let Err(error) = clear(&directory) {
                tracing::warn!(%error, path = %directory.display(), "mounts of a start stay");
            }
        }
        Ok(())
    }

    fn disks(&self) -> PathBuf {
        self.lxcpath().with_file_name("disks")
    }
}

fn refused(source: &Path, error: &io::Error) -> Error {
    let errno = error.raw_os_error();
    let leads_out = [Errno::XDEV, Errno::LOOP].map(|errno| Some(errno.raw_os_error()));
    let reason = if leads_out.contains(&errno) {
        "not allowed".to_owned()
    } else {
        error.to_string()
    };
    let source = source.to_string_lossy();
    Error::failed(format!("Disk source path {source:?} {reason}"))
}

/// Mounts what the bind's source is beneath a directory.
fn attach(bind: &mut Bind, below: &Path, place: &Path) -> io::Result<()> {
    let path = OFlags::PATH | OFlags::CLOEXEC;
    let top = rustix::fs::open(below, path | OFlags::DIRECTORY, Mode::empty())?;
    let rest = bind.source.strip_prefix(below).unwrap_or(&bind.source);
    let rest = if rest.as_os_str().is_empty() {
        Path::new(".")
    } else {
        rest
    };
    let confined = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let source = openat2(&top, rest, path, Mode::empty(), confined)?;
    let kind = FileType::from_raw_mode(fstat(&source)?.st_mode);
    bind.is_directory = kind == FileType::Directory;
    if bind.is_directory {
        fs::create_dir(place)?;
    } else {
        fs::File::create_new(place)?;
    }
    let mount = clone(&source, bind.is_recursive)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(&mount, "", CWD, place, flags)?)
}

fn clone(source: &OwnedFd, is_recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if is_recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(source, "", flags)?)
}

/// Detaches all that is in a directory, and removes the places where it was. What is not a bare
/// place stays: nothing of what was mounted may ever be removed.
fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let place = entry?.path();
        while unmount(&place, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH).is_ok() {}
        let is_directory = rustix::fs::statat(CWD, &place, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory);
        if is_directory {
            fs::remove_dir(&place)?;
        } else if fs::metadata(&place)?.len() == 0 {
            fs::remove_file(&place)?;
        }
    }
    fs::remove_dir(directory)
}
