//! Root file systems in use.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    Pool, Root, TreeName, disk,
    idmap::IdMap,
    name::Kind,
    overlay::{self, Layers},
    record::Record,
};
use crate::error::{Context, Error, Result};

/// An instance's or snapshot's root file system in use. Its last user's drop unmounts it, unless
/// it is kept for a container that runs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mounted(Arc<Live>);

#[derive(Debug)]
pub(super) struct Live {
    root: OwnedFd,
    map: IdMap,
}

/// What is mounted, by name. Guards the invariant that an upper directory is in one overlay only,
/// but for what somebody still holds of a container's that has stopped.
#[derive(Debug, Default)]
pub(super) struct Mounts(Mutex<HashMap<TreeName, Weak<Live>>>);

impl Mounted {
    /// The directory itself, a descriptor to open others from.
    pub(crate) fn rootfs(&self) -> BorrowedFd<'_> {
        self.0.root.as_fd()
    }

    /// Whom its files belong to.
    pub(crate) fn map(&self) -> IdMap {
        self.0.map
    }

    /// Any directory.
    #[cfg(test)]
    pub(super) fn directory(root: OwnedFd, map: IdMap) -> Self {
        Self(Arc::new(Live { root, map }))
    }

    /// Its files, as whoever is inside sees them.
    pub(crate) fn root(&self) -> Root {
        Root::of(self.clone())
    }
}

type Table<'t> = MutexGuard<'t, HashMap<TreeName, Weak<Live>>>;

impl Mounts {
    fn table(&self) -> Table<'_> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, live| live.strong_count() > 0);
        table
    }

    /// What was in use under one name is in use under another, snapshots too.
    pub(super) fn rename(&self, from: &TreeName, to: &TreeName) {
        let mut table = self.table();
        let moved = std::mem::take(&mut *table).into_iter();
        *table = moved
            .map(|(name, live)| (name.renamed(from, to), live))
            .collect();
    }

    /// Whoever comes now is not to see what was mounted before, of snapshots neither.
    pub(super) fn forget(&self, name: &TreeName) {
        self.table().retain(|other, _| !other.is_of(name));
    }
}

impl Pool {
    /// The root file system of a container or a snapshot of one, mounted if need be. Snapshots can
    /// only be read.
    pub(crate) fn mount(&self, name: &TreeName) -> Result<Mounted> {
        self.mount_in(&mut self.0.mounts.table(), name)
            .context("Failed to mount the instance's root file system")
    }

    fn mount_in(&self, table: &mut Table<'_>, name: &TreeName) -> Result<Mounted> {
        if let Some(live) = table.get(name).and_then(Weak::upgrade) {
            return Ok(Mounted(live));
        }
        let directory = self.tree(name)?;
        let record = Record::read(&directory)?;
        let rootfs = directory.join(super::ROOTFS);
        let root = match &record.shared {
            Some(key) if !overlay::is_attached(&rootfs)? => {
                let lower = self.verified(key)?;
                layers(&directory, lower, name).mount()?
            }
            _ => overlay::open(&rootfs)?,
        };
        let map = record.map;
        let live = Arc::new(Live { root, map });
        table.insert(name.clone(), Arc::downgrade(&live));
        Ok(Mounted(live))
    }

    /// Mounts a container's root file system at its place, for a container that is to run, and
    /// answers where that is. It stays until [`Self::release`], also when the daemon ends.
    pub(crate) fn keep_mounted(&self, name: &TreeName) -> Result<PathBuf> {
        let mut table = self.0.mounts.table();
        let mounted = self
            .mount_in(&mut table, name)
            .context("Failed to mount the instance's root file system")?;
        let directory = self.tree(name)?;
        let rootfs = directory.join(super::ROOTFS);
        let record = Record::read(&directory)?;
        attach(&mounted, &record, &rootfs)
            .context("Failed to mount the instance's root file system")?;
        Ok(rootfs)
    }

    /// Undoes [`Self::keep_mounted`]: the container has stopped. Nothing mounted is fine.
    ///
    /// Whoever still reads or writes a file in it can do so, but a mount that was detached is not
    /// attached again: the next one gets its own.
    pub(crate) fn release(&self, name: &TreeName) -> Result<()> {
        let mut table = self.0.mounts.table();
        let rootfs = self.path(name.path()).join(super::ROOTFS);
        match overlay::is_attached(&rootfs) {
            Ok(true) => {
                table.remove(name);
                overlay::detach(&rootfs)
                    .context("Failed to unmount the instance's root file system")
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context("Failed to look at the instance's root file system")
            }
            _ => Ok(()),
        }
    }

    /// Whether it is mounted at its place.
    pub(crate) fn is_kept(&self, name: &TreeName) -> bool {
        let rootfs = self.path(name.path()).join(super::ROOTFS);
        overlay::is_attached(&rootfs).unwrap_or(false)
    }

    /// Which containers' root file systems are mounted at their places: at start, what an earlier
    /// daemon left. Whoever knows which containers run releases the others.
    pub(crate) fn kept(&self) -> Result<Vec<TreeName>> {
        let mut kept = Vec::new();
        for path in disk::entries(&self.path(Kind::Container.directory()))? {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.map(|name| TreeName::qualified_instance(Kind::Container, name));
            if let Some(Ok(name)) = name
                && self.is_kept(&name)
            {
                kept.push(name);
            }
        }
        Ok(kept)
    }

    /// The directory of a tree that there has to be.
    pub(super) fn tree(&self, name: &TreeName) -> Result<PathBuf> {
        let path = self.path(name.path());
        if disk::exists(&path) {
            return Ok(path);
        }
        Err(Error::not_found(format!("There are no files of {name}")))
    }
}

/// Attaches a root file system at its place. Its device nodes are whoever's an image or an owner
/// says, and in a user namespace of its own no container may make one: there they open nothing.
fn attach(mounted: &Mounted, record: &Record, rootfs: &Path) -> io::Result<()> {
    let has_devices = record.map.is_identity();
    if !overlay::is_attached(rootfs)? {
        match record.shared {
            Some(_) => overlay::attach(&mounted.0.root, rootfs)?,
            None if has_devices => return Ok(()),
            None => overlay::attach_itself(rootfs)?,
        }
    }
    if has_devices {
        return Ok(());
    }
    overlay::forbid_devices(rootfs)
}

fn layers(directory: &Path, lower: PathBuf, name: &TreeName) -> Layers {
    let (upper, work) = (directory.join(super::UPPER), directory.join(super::WORK));
    if name.is_snapshot() {
        return Layers {
            lower: vec![upper, lower],
            upper: None,
        };
    }
    Layers {
        lower: vec![lower],
        upper: Some((upper, work)),
    }
}
