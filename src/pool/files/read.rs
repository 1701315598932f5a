//! Reading.

use std::fs::File;

use rustix::{
    fs::{Dir, FileType, OFlags, Stat},
    io::Errno,
};

use super::root::{Found, Refused, Root, Walk};
use crate::{
    error::{Error, Result},
    pool::idmap::IdMap,
};

/// Most bytes of names in a directory that are listed.
const MAX_LISTED_BYTES: usize = 16 * 1024 * 1024;

/// What a container sees of an owner that it has no id for.
const NOBODY: u32 = 65534;

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

impl Attributes {
    fn of(stat: &Stat, map: IdMap) -> Self {
        let inside = |id| map.to_container(id).unwrap_or(NOBODY);
        Self {
            uid: inside(stat.st_uid),
            gid: inside(stat.st_gid),
            mode: stat.st_mode & 0o7777,
            modified: stat.st_mtime,
        }
    }
}

impl Root {
    /// What is at `path`; a link at its end is not followed.
    ///
    /// # Errors
    ///
    /// 404 `Not Found`; 500 for what is neither file, directory nor link.
    pub(crate) fn read(&self, path: &str) -> Result<(Attributes, Content)> {
        let found = match self.find_itself(Walk::Inside, path) {
            // LXD: below a file there is nothing.
            Err(Errno::NOTDIR) => Err(Errno::NOENT),
            found => found,
        };
        let found = found.refused("lstat", path)?;
        let attributes = Attributes::of(&found.stat, self.map());
        let content = content(&found).refused("open", path)?;
        Ok((attributes, content))
    }

    /// The attributes of what is at `path`; a link at its end is not followed.
    ///
    /// # Errors
    ///
    /// 404 `Not Found`.
    pub(crate) fn look(&self, path: &str) -> Result<Attributes> {
        let found = self.find_itself(Walk::Inside, path);
        let found = found.refused("lstat", path)?;
        Ok(Attributes::of(&found.stat, self.map()))
    }
}

fn content(found: &Found) -> rustix::io::Result<Content> {
    match found.kind() {
        FileType::Directory => Ok(Content::Directory(names(found)?)),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(&found.handle, "", Vec::new())?;
            Ok(Content::Symlink(target.to_string_lossy().into_owned()))
        }
        // Opening a device or a fifo does things, or waits.
        _ => Ok(Content::File(found.regular(OFlags::RDONLY)?.into())),
    }
}

fn names(found: &Found) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut room = MAX_LISTED_BYTES;
    for entry in Dir::new(found.directory()?)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        room = room
            .checked_sub(name.count_bytes())
            .ok_or(Errno::OVERFLOW)?;
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads a small text that has to be one.
pub(super) fn text(file: impl Into<File>, most: u64, what: &str) -> Result<String> {
    String::from_utf8(bytes(file, most, what)?)
        .map_err(|error| Error::internal(format!("{what} is no text"), error))
}

/// Reads a small file.
pub(super) fn bytes(file: impl Into<File>, most: u64, what: &str) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = file.into().take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::from(error).context(format!("Failed to read {what}")))?;
    if bytes.len() as u64 > most {
        return Err(Error::failed(format!("{what} is larger than {most} bytes")));
    }
    Ok(bytes)
}
