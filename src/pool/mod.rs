//! Instance trees: where the files of instances and their snapshots are, and everything that is
//! done to them.
//!
//! A [`Pool`] is one storage pool's directory. Everything here blocks; callers run it on a
//! blocking thread. What an instance's owner or an image names is opened beneath a directory
//! handle, never by joining strings.
//!
//! Start at [`Pool`], then [`Pending`] (how a tree and its row come into being together),
//! [`Mounted`] (an instance's root file system in use) and [`Root`] (files in it). [`unpack`] makes
//! a tree of an image, and [`pack`] an image of a tree.

pub(crate) mod attributes;
pub(crate) mod beneath;
mod copy;
mod disk;
mod entry;
mod files;
pub(crate) mod idmap;
mod make;
mod measure;
mod mounted;
mod name;
mod overlay;
pub(crate) mod pack;
mod parts;
mod pending;
mod record;
mod recover;
mod remove;
mod rename;
mod shared;
mod shift;
pub(crate) mod squash;
mod staging;
mod subids;
pub(crate) mod unpack;
mod usage;
pub(crate) mod watch;
mod writeback;

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

pub(crate) use files::{Attributes, Content, Owner, Root, Templates, Write};
pub(crate) use measure::measure;
pub(crate) use mounted::Mounted;
pub(crate) use name::{SharedKey, TreeName};
pub(crate) use pending::Pending;
pub(crate) use recover::Recovered;
pub(crate) use subids::host_map;

use crate::error::{Context, Error, Result};

/// Directories of a pool that are its own.
const SHARED: &str = "images";
const STAGING: &str = ".staging";
const PENDING: &str = ".pending";

/// What is in a tree.
const METADATA: &str = "metadata.yaml";
const TEMPLATES: &str = "templates";
const ROOTFS: &str = "rootfs";
const UPPER: &str = "upper";
const WORK: &str = "work";

/// The directory of a storage pool. Cheap to clone; all clones know of the same mounts.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: PathBuf,
    source: PathBuf,
    overlays: OnceLock<bool>,
    mounts: mounted::Mounts,
    users: shared::Users,
}

impl Pool {
    /// Opens the pool at `source`. `state` is the daemon's directory: what lies between the two is
    /// opened for passage when the first container comes, and `state/containers/NAME` leads to
    /// its tree, as with LXD. Nothing is made before it is needed.
    ///
    /// # Errors
    ///
    /// When there is no such directory.
    pub(crate) fn open(state: &Path, source: &Path) -> Result<Self> {
        if !source.is_dir() {
            let text = format!("Source path '{}' doesn't exist", source.display());
            return Err(Error::failed(text));
        }
        Ok(Self(Arc::new(Inner {
            state: state.to_owned(),
            source: source.to_owned(),
            overlays: OnceLock::new(),
            mounts: mounted::Mounts::default(),
            users: shared::Users::default(),
        })))
    }

    /// Whether there is a tree of this name.
    pub(crate) fn exists(&self, name: &TreeName) -> bool {
        disk::exists(&self.path(name.path()))
    }

    /// A virtual machine's disk, for reading and writing.
    pub(crate) fn open_disk(&self, name: &TreeName) -> Result<fs::File> {
        let directory = staging::open(&self.tree(name)?)?;
        let flags = rustix::fs::OFlags::RDWR;
        let opened = beneath::open(directory, make::DISK, flags, rustix::fs::Mode::empty());
        Ok(opened.context("Failed to open the instance's disk")?.into())
    }

    fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.0.source.join(inside)
    }

    /// Whether the pool's file system can carry overlays; tried out until there is an answer.
    fn has_overlays(&self) -> Result<bool> {
        if let Some(known) = self.0.overlays.get() {
            return Ok(*known);
        }
        let staged = self.stage()?;
        let works = overlay::works(staged.path())?;
        Ok(*self.0.overlays.get_or_init(|| works))
    }

    /// Lets the roots of containers get through to their trees.
    fn open_for_passage(&self, name: &TreeName) -> Result<()> {
        let last = self.path(name.parent());
        let inside = |path: &&Path| path.starts_with(&self.0.state) && **path != self.0.state;
        let ours = |path: &&Path| path.starts_with(&self.0.source) || inside(path);
        last.ancestors()
            .take_while(ours)
            .try_for_each(disk::open_for_passage)
    }

    /// Lets `state/containers/NAME` lead to an instance's tree. Nothing depends on it.
    fn link(&self, name: &TreeName) -> Result<()> {
        if name.is_snapshot() {
            return Ok(());
        }
        let link = self.0.state.join(name.path());
        disk::private_directory(link.parent().unwrap_or(&link))?;
        self.unlink(name);
        symlink(self.path(name.path()), &link)
            .context(format_args!("Failed to make {}", link.display()))
    }

    fn unlink(&self, name: &TreeName) {
        let link = self.0.state.join(name.path());
        match fs::remove_file(link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::info!(%error, "a link to an instance's files stays");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
