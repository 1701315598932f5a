//! Start-up: makes trees agree with rows after whatever ended the daemon.
//!
//! Removed is only what is known to be unfinished: staging, and what markers name. A tree that no
//! row explains is reported, and stays.

use std::path::PathBuf;

use super::{Pool, STAGING, TreeName, disk, name::Kind, remove};
use crate::error::Result;

/// What a start found and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Half-made trees that it removed, and changes that it completed or took back.
    pub(crate) unfinished: usize,
    /// Directories that no row explains.
    pub(crate) unknown: Vec<PathBuf>,
}

impl Pool {
    /// Completes or takes back what was under way, given which trees have a row. Runs before
    /// anything else uses the pool.
    pub(crate) fn recover(&self, has_row: &dyn Fn(&TreeName) -> bool) -> Result<Recovered> {
        let mut unfinished = self.settle(has_row)?;
        for path in disk::entries(&self.path(STAGING))? {
            match remove::directory(&path) {
                Ok(()) => unfinished += 1,
                Err(error) => tracing::error!(%error, "what was staged stays"),
            }
        }
        let unknown = self.unknown(has_row)?;
        Ok(Recovered {
            unfinished,
            unknown,
        })
    }

    fn unknown(&self, has_row: &dyn Fn(&TreeName) -> bool) -> Result<Vec<PathBuf>> {
        let mut unknown = Vec::new();
        for kind in Kind::ALL {
            for path in disk::entries(&self.path(kind.directory()))? {
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.map(|name| TreeName::qualified_instance(kind, name));
                let known = matches!(name, Some(Ok(name)) if has_row(&name));
                if !known {
                    unknown.push(path);
                }
            }
        }
        Ok(unknown)
    }
}
