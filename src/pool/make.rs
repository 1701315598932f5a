//! Trees come into being: out of an image, out of nothing, out of each other.
//!
//! All are made in staging, synced, and moved to their place when they are whole.

use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Gid, Mode, Uid};

use super::{
    METADATA, Pending, Pool, ROOTFS, SharedKey, TEMPLATES, TreeName, UPPER, WORK, beneath, copy,
    disk,
    idmap::IdMap,
    pending::Change,
    record::Record,
    shared::InUse,
    shift::Shift,
    staging::{self, Staging},
};
use crate::error::{Context, Error, Result};

/// The disk of a virtual machine.
pub(super) const DISK: &str = "root.img";

/// A tree in staging.
struct Staged {
    tree: PathBuf,
    _staging: Staging,
    /// Keeps what lies below it from being removed until it has its name.
    _held: Option<InUse>,
}

impl Pool {
    /// The tree of a new instance from an image. `unpack` fills a directory with `metadata.yaml`,
    /// `templates/` and `rootfs/` (virtual machines: `root.img`), owners shifted by `key.map`. It
    /// is called at most once, and not at all when the image is unpacked already.
    pub(crate) fn create_from_image(
        &self,
        name: &TreeName,
        key: &SharedKey,
        unpack: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<Pending> {
        self.check_free(name)?;
        let staged = if name.is_virtual_machine() || !self.has_overlays()? {
            self.unpacked(key.map, unpack)?
        } else {
            let held = self.ensure_shared(key, unpack)?;
            self.above(key, held)?
        };
        self.place(&staged, name)
    }

    /// A whole tree of its own.
    fn unpacked(
        &self,
        map: IdMap,
        unpack: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<Staged> {
        let staged = self.stage_tree(map, None)?;
        unpack(staging::open(&staged.tree)?.as_fd())?;
        staged.complete(&Record { map, shared: None })
    }

    /// A tree that lies above a shared one, and differs in nothing yet.
    fn above(&self, key: &SharedKey, held: InUse) -> Result<Staged> {
        let lower = self.verified(key)?;
        let staged = self.stage_tree(key.map, Some(held))?;
        let tree = staging::open(&staged.tree)?;
        let from = staging::open(lower.parent().unwrap_or(&lower))?;
        companions(from.as_fd(), tree.as_fd())?;
        layer_directories(&staged.tree)?;
        let upper = staged.tree.join(UPPER);
        disk::private_directory(&upper)?;
        let (root, upper) = (staging::open(&lower)?, staging::open(&upper)?);
        // The topmost root directory is the one that is seen.
        copy::directory_attributes(root.as_fd(), upper.as_fd(), None)?;
        let (map, shared) = (key.map, Some(key.clone()));
        Record { map, shared }.write(&staged.tree)?;
        disk::sync_small(&staged.tree)?;
        Ok(staged)
    }

    /// The tree of a new instance without an image.
    pub(crate) fn create_empty(&self, name: &TreeName, map: IdMap) -> Result<Pending> {
        self.check_free(name)?;
        let staged = self.stage_tree(map, None)?;
        if name.is_virtual_machine() {
            let disk = fs::File::create_new(staged.tree.join(DISK));
            disk.context("Failed to make a disk")?;
        } else {
            own_directory(&staged.tree.join(ROOTFS), map, 0o755)?;
        }
        Record { map, shared: None }.write(&staged.tree)?;
        disk::sync_small(&staged.tree)?;
        self.place(&staged, name)
    }

    /// Copies the tree of an instance or a snapshot to a new instance or snapshot. The snapshots of
    /// an instance are not copied with it.
    pub(crate) fn copy(&self, from: &TreeName, to: &TreeName) -> Result<Pending> {
        self.copy_from(self, from, to)
    }

    /// The same with a tree of any pool.
    pub(crate) fn copy_from(&self, pool: &Self, from: &TreeName, to: &TreeName) -> Result<Pending> {
        self.check_free(to)?;
        let record = Record::read(&pool.tree(from)?)?;
        let staged = match &record.shared {
            Some(_) if !self.has_overlays()? => self.flattened(pool, from, record.map)?,
            _ => self.copied(pool, from, None)?,
        };
        self.place(&staged, to)
    }

    /// Replaces a stopped instance's tree by a copy of its snapshot's, at once.
    pub(crate) fn restore(&self, snapshot: &TreeName) -> Result<()> {
        let staged = self.copied(self, snapshot, None)?;
        self.replace(&snapshot.owner(), &staged)
    }

    /// Gives the files of a stopped instance to another map's ids.
    pub(crate) fn remap(&self, name: &TreeName, map: IdMap) -> Result<()> {
        let from = self.map(name)?;
        if from == map {
            return Ok(());
        }
        let staged = self.copied(self, name, Some(Shift { from, to: map }))?;
        self.replace(name, &staged)
    }

    /// Whom a tree's files belong to.
    pub(crate) fn map(&self, name: &TreeName) -> Result<IdMap> {
        Ok(Record::read(&self.tree(name)?)?.map)
    }

    /// A copy of a tree's own files, above the same shared tree, or above it for other owners.
    fn copied(&self, pool: &Self, from: &TreeName, shift: Option<Shift>) -> Result<Staged> {
        let directory = pool.tree(from)?;
        let Record { map, shared } = Record::read(&directory)?;
        let map = shift.map_or(map, |shift| shift.to);
        let held = shared.as_ref().map(|key| self.lower_for(pool, key, map));
        let staged = self.stage_tree(map, held.transpose()?)?;
        let (old, new) = (staging::open(&directory)?, staging::open(&staged.tree)?);
        companions(old.as_fd(), new.as_fd())?;
        if shared.is_some() {
            layer_directories(&staged.tree)?;
            part(old.as_fd(), new.as_fd(), UPPER, shift)?;
        } else if from.is_virtual_machine() {
            copy::file(old.as_fd(), new.as_fd(), Path::new(DISK))?;
        } else {
            part(old.as_fd(), new.as_fd(), ROOTFS, shift)?;
        }
        let shared = shared.map(|key| SharedKey { map, ..key });
        staged.complete(&Record { map, shared })
    }

    /// What is to lie below a copy: the same shared tree, brought over from another pool or shifted
    /// if need be.
    fn lower_for(&self, pool: &Self, key: &SharedKey, map: IdMap) -> Result<InUse> {
        let _held = pool.hold(key);
        let source = pool.verified(key)?;
        let wanted = SharedKey { map, ..key.clone() };
        let shift = Shift {
            from: key.map,
            to: map,
        };
        self.ensure_shared(&wanted, |target| {
            let from = staging::open(source.parent().unwrap_or(&source))?;
            companions(from.as_fd(), target)?;
            part(
                from.as_fd(),
                target,
                ROOTFS,
                (key.map != map).then_some(shift),
            )
        })
    }

    /// A copy of all that a mounted tree shows, where there are no overlays.
    fn flattened(&self, pool: &Self, from: &TreeName, map: IdMap) -> Result<Staged> {
        let mounted = pool.mount(from)?;
        let staged = self.stage_tree(map, None)?;
        let old = staging::open(&pool.tree(from)?)?;
        let new = staging::open(&staged.tree)?;
        companions(old.as_fd(), new.as_fd())?;
        let root = beneath::open_directory(mounted.rootfs(), ".").map_err(Error::from)?;
        own_directory(&staged.tree.join(ROOTFS), map, 0o700)?;
        let rootfs = staging::open(&staged.tree.join(ROOTFS))?;
        copy::directory(root.as_fd(), rootfs.as_fd(), None)?;
        staged.complete(&Record { map, shared: None })
    }

    fn stage_tree(&self, map: IdMap, held: Option<InUse>) -> Result<Staged> {
        let staging = self.stage()?;
        let tree = staging.path().join("tree");
        // The container's root has to get through to its root file system; nobody else.
        own_directory(&tree, map, 0o100)?;
        Ok(Staged {
            tree,
            _staging: staging,
            _held: held,
        })
    }

    fn check_free(&self, name: &TreeName) -> Result<()> {
        if disk::exists(&self.path(name.path())) {
            let text = format!("There are files of {name} already");
            return Err(Error::conflict(text));
        }
        Ok(())
    }

    /// Gives a whole tree its name.
    fn place(&self, staged: &Staged, name: &TreeName) -> Result<Pending> {
        disk::private_directory(&self.path(name.parent()))?;
        if !name.is_snapshot() && !name.is_virtual_machine() {
            self.open_for_passage(name)?;
        }
        let pending = Pending::begin(self, Change::Made(name.clone()))?;
        match disk::move_to(&staged.tree, &self.path(name.path())) {
            Ok(()) => Ok(pending),
            // It was not moved: whatever has the name now is not ours to take back.
            Err(error) if disk::exists(&staged.tree) => {
                pending.abandon()?;
                Err(error)
            }
            Err(error) => {
                pending.take_back()?;
                Err(error)
            }
        }
    }

    /// Lets a tree take the place of another, which goes.
    fn replace(&self, name: &TreeName, staged: &Staged) -> Result<()> {
        self.release(name)?;
        let seen = self.0.users.lock();
        disk::exchange(&self.tree(name)?, &staged.tree)?;
        drop(seen);
        self.0.mounts.forget(name);
        Ok(())
    }
}

impl Staged {
    /// Writes the record, and makes all that is there last.
    fn complete(self, record: &Record) -> Result<Self> {
        record.write(&self.tree)?;
        disk::sync_file_system(&self.tree)?;
        Ok(self)
    }
}

/// Copies `metadata.yaml` and `templates/`, as far as there are any.
fn companions(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let has = |name| rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    if has(METADATA) {
        copy::file(from, to, Path::new(METADATA))?;
    }
    if has(TEMPLATES) {
        part(from, to, TEMPLATES, None)?;
    }
    Ok(())
}

/// Copies a directory of a tree.
fn part(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &str, shift: Option<Shift>) -> Result<()> {
    let made = rustix::fs::mkdirat(to, name, Mode::RWXU).map_err(io::Error::from);
    made.context("Failed to copy a tree")?;
    let open = |directory| beneath::open_directory(directory, name);
    let (old, new) = (open(from), open(to));
    let (old, new) = (
        old.context("Failed to copy a tree")?,
        new.context("Failed to copy a tree")?,
    );
    copy::directory(old.as_fd(), new.as_fd(), shift)
}

/// Makes what an overlay needs beside its upper directory.
fn layer_directories(tree: &Path) -> Result<()> {
    let mut names = [ROOTFS, WORK].into_iter();
    names.try_for_each(|name| disk::private_directory(&tree.join(name)))
}

/// Makes a directory that belongs to the root of a map.
fn own_directory(path: &Path, map: IdMap, mode: u32) -> Result<()> {
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    let owned = made.and_then(|()| {
        let (uid, gid) = (Uid::from_raw(map.root()), Gid::from_raw(map.root()));
        rustix::fs::chown(path, Some(uid), Some(gid))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    });
    owned.context(format_args!("Failed to make {}", path.display()))
}
