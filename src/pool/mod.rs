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

pub(crate) mod beneath;
pub(crate) mod idmap;
mod measure;
mod name;
pub(crate) mod pack;
pub(crate) mod squash;
pub(crate) mod unpack;
pub(crate) mod watch;

use std::{
    fs::File,
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use measure::measure;
pub(crate) use name::{SharedKey, TreeName};

use crate::error::{Error, Result};
use idmap::IdMap;

/// The directory of a storage pool. Cheap to clone; all clones know of the same mounts.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: PathBuf,
}

/// What /etc/subuid and /etc/subgid give to root (or lxd), else 1000000:1000000000.
pub(crate) fn host_map() -> Result<IdMap> {
    unfinished()
}

/// A change of trees whose row is not committed yet. A marker on disk lets the next start's
/// [`Pool::recover`] ask the database how it ended. Dropped, the change is taken back.
///
/// Order for the caller: `let mut pending = pool.create…()?` → open the transaction, insert the
/// row → `pending.undecided()` → commit the transaction → `pending.finish()`; when the
/// transaction failed for sure, `pending.take_back()`.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pending;

impl Pending {
    /// The transaction is about to be committed: from now on a drop leaves everything to recovery.
    pub(crate) fn undecided(&mut self) {}
    /// The row is durable: the change stays (for a removal: the tree goes now).
    pub(crate) fn finish(self) -> Result<()> {
        unfinished()
    }
    /// There is no such row: the change is undone (for a removal: the tree stays).
    pub(crate) fn take_back(self) -> Result<()> {
        unfinished()
    }
}

/// What [`Pool::recover`] found and did.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Unfinished trees it removed, changes it completed or took back.
    pub(crate) unfinished: usize,
    /// Trees that no row explains; left alone.
    pub(crate) unknown: Vec<PathBuf>,
}

/// An instance's or snapshot's root file system in use. Dropped by its last user, it is unmounted.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mounted(Arc<OwnedFd>);

impl Mounted {
    /// The directory itself (an `O_PATH` descriptor).
    pub(crate) fn rootfs(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.0.as_fd()
    }
    /// Whom its files belong to.
    pub(crate) fn map(&self) -> IdMap {
        IdMap::IDENTITY
    }
    /// Its files, confined.
    pub(crate) fn root(&self) -> Root {
        Root
    }
}

impl Pool {
    /// Opens the pool at `source`, making its directories when needed. `state` is the daemon's
    /// directory: what lies between is opened for passage when the first container comes, and
    /// `state/containers/NAME` links to the tree, as with LXD.
    pub(crate) fn open(state: &Path, source: &Path) -> Result<Self> {
        let _ = state;
        Ok(Self(Arc::new(Inner {
            source: source.to_owned(),
        })))
    }

    /// Makes trees agree with rows after whatever ended the daemon last time. Runs before
    /// anything else uses the pool.
    pub(crate) fn recover(&self, has_row: &dyn Fn(&TreeName) -> bool) -> Result<Recovered> {
        let _ = has_row;
        unfinished()
    }

    // ---- trees come and go

    /// The tree of a new instance from an image. `unpack` fills a directory with `metadata.yaml`,
    /// `templates/` and `rootfs/` (virtual machines: `root.img`), owners shifted by `key.map`; it
    /// is called at most once, and not at all when the image is unpacked already.
    pub(crate) fn create_from_image(
        &self,
        name: &TreeName,
        key: &SharedKey,
        unpack: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<Pending> {
        let _ = (name, key, unpack);
        unfinished()
    }
    /// The tree of a new instance without an image.
    pub(crate) fn create_empty(&self, name: &TreeName, map: IdMap) -> Result<Pending> {
        let _ = (name, map);
        unfinished()
    }
    /// Copies an instance or a snapshot to a new instance or snapshot (`lxc copy`, `lxc snapshot`);
    /// snapshots of `from` are not copied.
    pub(crate) fn copy(&self, from: &TreeName, to: &TreeName) -> Result<Pending> {
        let _ = (from, to);
        unfinished()
    }
    /// Replaces an instance's tree by a copy of its snapshot's, at once. The instance is stopped.
    pub(crate) fn restore(&self, snapshot: &TreeName) -> Result<()> {
        let _ = snapshot;
        unfinished()
    }
    /// Gives an instance with its snapshots, or a snapshot, another name.
    pub(crate) fn rename(&self, from: &TreeName, to: &TreeName) -> Result<Pending> {
        let _ = (from, to);
        unfinished()
    }
    /// Announces that an instance (with its snapshots) or a snapshot goes; `finish` removes it.
    pub(crate) fn removal(&self, name: &TreeName) -> Result<Pending> {
        let _ = name;
        unfinished()
    }
    /// Whether there is a tree of this name.
    pub(crate) fn exists(&self, name: &TreeName) -> bool {
        let _ = name;
        false
    }
    /// Bytes on disk that are this tree's own (without the shared tree below it).
    pub(crate) fn usage(&self, name: &TreeName) -> Result<u64> {
        let _ = name;
        unfinished()
    }

    // ---- owners

    /// Whom a tree's files belong to.
    pub(crate) fn map(&self, name: &TreeName) -> Result<IdMap> {
        let _ = name;
        unfinished()
    }
    /// Gives a stopped instance's files to another map's ids.
    pub(crate) fn remap(&self, name: &TreeName, map: IdMap) -> Result<()> {
        let _ = (name, map);
        unfinished()
    }

    // ---- mounts

    /// Mounts the root file system, unless it is mounted.
    pub(crate) fn mount(&self, name: &TreeName) -> Result<Mounted> {
        let _ = name;
        unfinished()
    }
    /// Mounts it at its place, for a container that runs; stays until [`Self::release`], also
    /// when the daemon ends. Returns the path for liblxc.
    pub(crate) fn keep_mounted(&self, name: &TreeName) -> Result<PathBuf> {
        let _ = name;
        unfinished()
    }
    /// The container has stopped. Idempotent.
    pub(crate) fn release(&self, name: &TreeName) -> Result<()> {
        let _ = name;
        unfinished()
    }
    /// Which trees are mounted at their places, found at start: whoever knows which containers
    /// run releases the others.
    pub(crate) fn kept(&self) -> Result<Vec<TreeName>> {
        unfinished()
    }
    /// A virtual machine's disk.
    pub(crate) fn open_disk(&self, name: &TreeName) -> Result<File> {
        let _ = name;
        unfinished()
    }

    // ---- shared trees

    /// The shared trees that no instance and no snapshot uses, except for `keep`, are removed.
    pub(crate) fn remove_unused_shared(
        &self,
        keep: &dyn Fn(&SharedKey) -> bool,
    ) -> Result<Vec<SharedKey>> {
        let _ = keep;
        unfinished()
    }
    /// Shared trees and their sizes on disk.
    pub(crate) fn shared(&self) -> Result<Vec<(SharedKey, u64)>> {
        unfinished()
    }

    // ---- metadata.yaml and templates/

    /// The text of `metadata.yaml`; none when there is no such file. A link is refused.
    pub(crate) fn metadata(&self, name: &TreeName) -> Result<Option<String>> {
        let _ = name;
        unfinished()
    }
    /// Replaces `metadata.yaml`, whole or not at all.
    pub(crate) fn replace_metadata(&self, name: &TreeName, text: &str) -> Result<()> {
        let _ = (name, text);
        unfinished()
    }
    /// The directory `templates/`. A link is refused.
    pub(crate) fn templates(&self, name: &TreeName) -> Result<Templates> {
        let _ = name;
        unfinished()
    }
}

/// The template files of an instance. Names with `/` are refused: `Invalid template filename`.
#[derive(Debug)]
pub(crate) struct Templates;

impl Templates {
    /// The directory itself; none when the instance has no templates.
    pub(crate) fn directory(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Names of the files.
    pub(crate) fn list(&self) -> Result<Vec<String>> {
        unfinished()
    }
    /// A file, at most 1 MiB of it; 404 `Template "x" not found`.
    pub(crate) fn open(&self, name: &str) -> Result<File> {
        let _ = name;
        unfinished()
    }
    /// Makes or replaces a file, whole or not at all.
    pub(crate) fn write(&self, name: &str, text: &[u8]) -> Result<()> {
        let _ = (name, text);
        unfinished()
    }
    /// Removes a file.
    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        let _ = name;
        unfinished()
    }
}

/// The files below a root directory, as whoever is inside sees them: absolute links and `..` end
/// inside, ids are the container's.
#[derive(Debug, Clone)]
pub(crate) struct Root;

/// A file's attributes, with the container's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Permissions.
    pub(crate) mode: u32,
    /// Seconds since 1970.
    pub(crate) modified: i64,
}

/// Something that was read.
#[derive(Debug)]
pub(crate) enum Content {
    /// A regular file.
    File(File),
    /// The names in a directory, sorted.
    Directory(Vec<String>),
    /// Where a link points to.
    Symlink(String),
}

/// Whom something new belongs to; what is not said is root's, 0644 or 0755.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Owner {
    /// Owner.
    pub(crate) uid: Option<u32>,
    /// Group.
    pub(crate) gid: Option<u32>,
    /// Permissions.
    pub(crate) mode: Option<u32>,
}

/// Where in an existing file to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Its old content goes.
    Overwrite,
    /// At its end.
    Append,
}

impl Root {
    /// What is at `path`; a link at its end is not followed. 404 `Not Found`.
    pub(crate) fn read(&self, path: &str) -> Result<(Attributes, Content)> {
        let _ = path;
        unfinished()
    }
    /// Opens a file for writing, making it if need be; never anything but a regular file.
    pub(crate) fn write(&self, path: &str, owner: Owner, how: Write) -> Result<File> {
        let _ = (path, owner, how);
        unfinished()
    }
    /// Makes a directory; one that exists is fine.
    pub(crate) fn make_directory(&self, path: &str, owner: Owner) -> Result<()> {
        let _ = (path, owner);
        unfinished()
    }
    /// Makes a link.
    pub(crate) fn make_symlink(&self, path: &str, target: &str, owner: Owner) -> Result<()> {
        let _ = (path, target, owner);
        unfinished()
    }
    /// Removes a file, a link or an empty directory.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        let _ = path;
        unfinished()
    }
    /// Writes what a template rendered to (lxd-api 11.2): an existing file keeps owner and mode
    /// and is left alone with `create_only`; a new one and its parents are the container's root's.
    pub(crate) fn write_template(
        &self,
        path: &str,
        create_only: bool,
        render: impl FnOnce() -> Result<String>,
    ) -> Result<()> {
        let _ = (path, create_only, render);
        unfinished()
    }
}

fn unfinished<T>() -> Result<T> {
    Err(Error::failed("Not finished"))
}
