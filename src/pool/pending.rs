//! How a tree and its row come into being together, and go together.
//!
//! | step | a new tree | a new name | a removal | a crash after it |
//! |---|---|---|---|---|
//! | 1 | staged and synced | | | staging is emptied |
//! | 2 | a marker in `.pending/` | the same | the same | the next start asks the database |
//! | 3 | renamed to its place | trees renamed | | the same |
//! | 4 | the caller's transaction | the same | the same | the same |
//! | 5 | the marker goes | the same | the tree goes, then the marker | nothing is left |
//!
//! With a row of the new name the next start completes what was begun, without one it takes it
//! back; a removal the other way round.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Pool, TreeName, disk};
use crate::error::{Context, Error, Result};

/// A change of trees whose row is not committed yet. Dropped, it is taken back.
///
/// Order for the caller: `let mut pending = pool.create…()?` → open the transaction, write the
/// row → `pending.undecided()` → commit → `pending.finish()`. When the transaction failed for
/// sure, `pending.take_back()`.
#[derive(Debug)]
#[must_use = "a change that nobody finishes is taken back"]
pub(crate) struct Pending {
    pool: Pool,
    change: Change,
    marker: PathBuf,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no row yet.
    Open,
    /// Only the database knows.
    Undecided,
    /// Nothing is left to do.
    Ended,
}

/// What is being changed, as the marker has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// A tree appears.
    Made(TreeName),
    /// A tree, with its snapshots' if it is an instance's, gets another name.
    Moved {
        /// The old name.
        from: TreeName,
        /// The new name.
        to: TreeName,
    },
    /// A tree, with its snapshots' if it is an instance's, goes.
    Going(TreeName),
}

impl Pending {
    /// Step 2.
    pub(super) fn begin(pool: &Pool, change: Change) -> Result<Self> {
        let directory = pool.path(super::PENDING);
        disk::private_directory(&directory)?;
        let marker = directory.join(uuid::Uuid::new_v4().simple().to_string());
        let text = serde_json::to_vec(&change)
            .map_err(|error| Error::internal("Failed to write a marker", error))?;
        disk::write_new(&marker, &text).context("Failed to write a marker")?;
        let pending = Self {
            pool: pool.clone(),
            change,
            marker,
            state: State::Open,
        };
        disk::sync_directory(&directory)?;
        Ok(pending)
    }

    /// The transaction is about to be committed: until there is an answer, a drop leaves everything
    /// to the next start.
    pub(crate) fn undecided(&mut self) {
        self.state = State::Undecided;
    }

    /// The row is durable: the change stays. For a removal: the tree goes now.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.state = State::Ended;
        self.change.complete(&self.pool)?;
        self.forget()
    }

    /// There is no row: nothing has happened. For a removal: there still is one.
    pub(crate) fn take_back(mut self) -> Result<()> {
        self.state = State::Ended;
        self.undo()
    }

    /// Step 3 failed: nothing was changed.
    pub(super) fn abandon(mut self) -> Result<()> {
        self.state = State::Ended;
        self.forget()
    }

    fn undo(&self) -> Result<()> {
        self.change.undo(&self.pool)?;
        self.forget()
    }

    fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context("Failed to remove a marker")
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.state == State::Open
            && let Err(error) = self.undo()
        {
            tracing::warn!(%error, "failed to take a change of trees back");
        }
    }
}

impl Change {
    /// The name that has a row when the change was committed; for a removal, when it was not.
    fn name(&self) -> &TreeName {
        match self {
            Self::Made(name) | Self::Going(name) => name,
            Self::Moved { to, .. } => to,
        }
    }

    /// What the next start does with a marker that it finds.
    fn settle(&self, pool: &Pool, has_row: bool) -> Result<()> {
        match (self, has_row) {
            (Self::Made(_) | Self::Moved { .. }, true) | (Self::Going(_), false) => {
                self.complete(pool)
            }
            _ => self.undo(pool),
        }
    }

    fn complete(&self, pool: &Pool) -> Result<()> {
        match self {
            Self::Made(name) => pool.link(name),
            Self::Moved { from, to } => pool.move_trees(from, to),
            Self::Going(name) => pool.remove(name),
        }
    }

    fn undo(&self, pool: &Pool) -> Result<()> {
        match self {
            Self::Made(name) => pool.remove_tree(name),
            Self::Moved { from, to } => pool.move_trees(to, from),
            Self::Going(_) => Ok(()),
        }
    }
}

impl Pool {
    /// Settles every change that was begun when the daemon ended. Returns how many there were.
    pub(super) fn settle(&self, has_row: &dyn Fn(&TreeName) -> bool) -> Result<usize> {
        let mut settled = 0;
        for marker in disk::entries(&self.path(super::PENDING))? {
            match self.settle_one(&marker, has_row) {
                Ok(()) => settled += 1,
                // It stays for the next start, and the others do not wait for it.
                Err(error) => {
                    let marker = marker.display();
                    tracing::error!(%error, %marker, "a change of trees is not settled");
                }
            }
        }
        Ok(settled)
    }

    fn settle_one(&self, marker: &Path, has_row: &dyn Fn(&TreeName) -> bool) -> Result<()> {
        let text = fs::read(marker).context("Failed to read a marker")?;
        // One that is not whole was written before anything was done.
        if let Ok(change) = serde_json::from_slice::<Change>(&text) {
            change.settle(self, has_row(change.name()))?;
        }
        fs::remove_file(marker).context("Failed to remove a marker")
    }

    /// Moves an instance's trees, as far as they are not moved yet.
    pub(super) fn move_trees(&self, from: &TreeName, to: &TreeName) -> Result<()> {
        if !from.is_snapshot() {
            self.move_one(&from.snapshots(), &to.snapshots())?;
            self.unlink(from);
        }
        self.move_one(&from.path(), &to.path())?;
        self.0.mounts.rename(from, to);
        self.link(to)
    }

    fn move_one(&self, from: &Path, to: &Path) -> Result<()> {
        let is_there = disk::exists(&self.path(from));
        if !is_there || !self.clear(to) {
            return Ok(());
        }
        let (from, to) = (self.path(from), self.path(to));
        disk::private_directory(to.parent().unwrap_or(&to))?;
        let _seen = self.0.users.lock();
        disk::move_to(&from, &to)
    }

    /// Tells whether nothing is in the way at a path. An empty directory is taken away: it is one
    /// of snapshots that there are no more.
    pub(super) fn clear(&self, path: &Path) -> bool {
        let path = self.path(path);
        if let Err(error) = fs::remove_dir(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "something is in the way");
            return false;
        }
        true
    }

    /// Removes an instance's trees, snapshots first; or one snapshot's.
    fn remove(&self, name: &TreeName) -> Result<()> {
        if !name.is_snapshot() {
            self.discard(&self.path(name.snapshots()))?;
            self.unlink(name);
        }
        self.remove_tree(name)
    }

    fn remove_tree(&self, name: &TreeName) -> Result<()> {
        self.release(name)?;
        self.0.mounts.forget(name);
        self.discard(&self.path(name.path()))?;
        if name.is_snapshot() {
            self.tidy(name);
        }
        Ok(())
    }

    /// Removes the directory of an instance's snapshots when the last one has gone.
    fn tidy(&self, snapshot: &TreeName) {
        let directory = self.path(snapshot.snapshots());
        if let Err(error) = fs::remove_dir(&directory) {
            tracing::debug!(%error, "there are more snapshots");
        }
    }
}
