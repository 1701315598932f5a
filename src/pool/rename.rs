//! New names for trees, and their end.

use super::{Pending, Pool, TreeName, pending::Change};
use crate::error::{Error, Result};

impl Pool {
    /// Gives an instance with its snapshots, or a snapshot, another name.
    pub(crate) fn rename(&self, from: &TreeName, to: &TreeName) -> Result<Pending> {
        self.tree(from)?;
        if self.exists(to) {
            return Err(Error::conflict(format!("There are files of {to} already")));
        }
        if !from.is_snapshot() && !self.clear(&to.snapshots()) {
            let text = format!("There are files of snapshots of {to} already");
            return Err(Error::conflict(text));
        }
        let (from, to) = (from.clone(), to.clone());
        let pending = Pending::begin(
            self,
            Change::Moved {
                from: from.clone(),
                to: to.clone(),
            },
        )?;
        self.move_trees(&from, &to)?;
        Ok(pending)
    }

    /// Announces that an instance, with its snapshots, or a snapshot goes. [`Pending::finish`]
    /// removes the trees; there may be none.
    pub(crate) fn removal(&self, name: &TreeName) -> Result<Pending> {
        Pending::begin(self, Change::Going(name.clone()))
    }
}
