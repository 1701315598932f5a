//! Unpacked trees that instances share: `images/KEY/`, immutable once it has its name.

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Pool, SharedKey, disk,
    name::Kind,
    record::{RECORD, Record},
    staging, usage,
    writeback::WriteBack,
};
use crate::error::{Context, Error, Result};

/// Who is about to use which shared tree. Guards two invariants: one unpacks for all who come
/// meanwhile, and nothing is removed between its making and its first user's.
#[derive(Debug, Default)]
pub(super) struct Users(Mutex<HashMap<SharedKey, Arc<Mutex<()>>>>);

/// A shared tree that stays as long as this is held.
#[derive(Debug)]
pub(super) struct InUse {
    turn: Arc<Mutex<()>>,
}

type Turns<'t> = MutexGuard<'t, HashMap<SharedKey, Arc<Mutex<()>>>>;

impl Users {
    /// As long as this is held, nobody looks for trees without users: trees may move.
    pub(super) fn lock(&self) -> Turns<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, key: &SharedKey) -> InUse {
        let mut turns = self.lock();
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        let turn = Arc::clone(turns.entry(key.clone()).or_default());
        InUse { turn }
    }
}

impl Pool {
    /// Keeps a shared tree from being removed.
    pub(super) fn hold(&self, key: &SharedKey) -> InUse {
        self.0.users.enter(key)
    }

    /// The shared tree of `key`, made by `unpack` if there is none. Whoever comes meanwhile waits.
    pub(super) fn ensure_shared(
        &self,
        key: &SharedKey,
        unpack: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<InUse> {
        let held = self.hold(key);
        let turn = Arc::clone(&held.turn);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        if disk::exists(&self.path(key.path())) {
            return Ok(held);
        }
        let staged = self.stage()?;
        let tree = staged.directory("tree")?;
        let written = WriteBack::begin(&tree)?;
        unpack(staging::open(&tree)?.as_fd())?;
        let record = Record {
            map: key.map,
            shared: Some(key.clone()),
        };
        record.write(&tree)?;
        written.finish(&tree)?;
        disk::private_directory(&self.path(super::SHARED))?;
        disk::move_to(&tree, &self.path(key.path()))?;
        Ok(held)
    }

    /// The root directory of a shared tree, if it is what its name says.
    pub(super) fn verified(&self, key: &SharedKey) -> Result<PathBuf> {
        let directory = self.path(key.path());
        let record = Record::read(&directory).context("Failed to use an unpacked image")?;
        if record.shared.as_ref() != Some(key) {
            let text = format!("The unpacked image {key} is not what its name says");
            return Err(Error::failed(text));
        }
        Ok(directory.join(super::ROOTFS))
    }

    /// The shared trees and how much of the disk they take.
    pub(crate) fn shared(&self) -> Result<Vec<(SharedKey, u64)>> {
        let keys = self.shared_keys()?.into_iter();
        keys.map(|key| {
            let size = usage::of(&self.path(key.path()))?;
            Ok((key, size))
        })
        .collect()
    }

    /// Removes the shared trees that no tree lies on, except for those that `keep` names. Returns
    /// what was removed.
    pub(crate) fn remove_unused_shared(
        &self,
        keep: &dyn Fn(&SharedKey) -> bool,
    ) -> Result<Vec<SharedKey>> {
        let mut removed = Vec::new();
        for key in self.shared_keys()?.into_iter().filter(|key| !keep(key)) {
            if self.remove_if_unused(&key)? {
                removed.push(key);
            }
        }
        Ok(removed)
    }

    /// Takes the pool's own directories away, as far as there is nothing in them: the pool goes.
    pub(crate) fn dismantle(&self) -> Result<()> {
        self.remove_unused_shared(&|_| false)?;
        let trees = Kind::ALL.map(|kind| [kind.directory(), kind.snapshots()]);
        let own = [super::SHARED, super::STAGING, super::PENDING];
        for name in trees.as_flattened().iter().chain(&own) {
            match std::fs::remove_dir(self.path(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::info!(%error, name, "a directory of a pool stays");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Looks for users while nobody can become one.
    fn remove_if_unused(&self, key: &SharedKey) -> Result<bool> {
        let trash = self.stage()?;
        let turns = self.0.users.lock();
        let entering = turns
            .get(key)
            .is_some_and(|turn| Arc::strong_count(turn) > 1);
        if entering || self.used_keys()?.contains(key) {
            return Ok(false);
        }
        disk::move_to(&self.path(key.path()), &trash.path().join("tree"))?;
        drop(turns);
        Ok(true)
    }

    fn shared_keys(&self) -> Result<Vec<SharedKey>> {
        let entries = disk::entries(&self.path(super::SHARED))?.into_iter();
        let names = entries.filter_map(|path| path.file_name()?.to_str()?.parse().ok());
        Ok(names.collect())
    }

    /// The shared trees that instances and snapshots lie on.
    fn used_keys(&self) -> Result<HashSet<SharedKey>> {
        let mut used = HashSet::new();
        for tree in self.trees()? {
            // Without a record it is no tree of ours. A record that cannot be read is no reason
            // to believe that nothing lies below.
            if disk::exists(&tree.join(RECORD)) {
                used.extend(Record::read(&tree)?.shared);
            }
        }
        Ok(used)
    }

    /// Every directory that may be an instance's or a snapshot's.
    pub(super) fn trees(&self) -> Result<Vec<PathBuf>> {
        let mut trees = Vec::new();
        for kind in Kind::ALL {
            trees.extend(disk::entries(&self.path(kind.directory()))?);
            for snapshots in disk::entries(&self.path(kind.snapshots()))? {
                trees.extend(disk::entries(&snapshots)?);
            }
        }
        Ok(trees)
    }
}
