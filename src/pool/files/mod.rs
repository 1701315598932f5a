//! x
use super::Mounted;
use crate::error::{Error, Result};
use std::fs::File;
/// The template files of an instance. Names with `/` are refused: `Invalid template filename`.
#[derive(Debug)]
pub(crate) struct Templates;

impl Templates {
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
    pub(super) fn of(_m: Mounted) -> Self {
        Self
    }
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
