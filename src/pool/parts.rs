//! The parts of a tree beside its root file system.

use std::{io, os::fd::OwnedFd};

use super::{Pool, TEMPLATES, TreeName, beneath, staging};
use crate::error::{Context, Result};

impl Pool {
    /// The directory of an instance's templates, opened; none when it has none. A link is refused.
    pub(crate) fn open_templates(&self, name: &TreeName) -> Result<Option<OwnedFd>> {
        let tree = staging::open(&self.tree(name)?)?;
        match beneath::open_directory(&tree, TEMPLATES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => Ok(Some(opened.context("Failed to open the templates")?)),
        }
    }
}
