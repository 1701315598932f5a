//! What lies beside a root file system: `metadata.yaml` and `templates/`.
//!
//! Both come from the image. Unpacking lets no link in; here none is followed all the same.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat},
    io::Errno,
};

use super::read::{bytes, text};
use crate::{
    error::{Context, Error, Result},
    pool::{METADATA, Pool, TEMPLATES, TreeName, beneath, remove::as_path, staging},
};

/// Most bytes of `metadata.yaml`, and of a template.
const MAX_TEXT_BYTES: u64 = 1024 * 1024;

/// Most templates of an instance.
const MAX_TEMPLATES: usize = 256;

impl Pool {
    /// The text of `metadata.yaml`; none when there is no such file.
    ///
    /// # Errors
    ///
    /// When it is no regular file, too large, or no text.
    pub(crate) fn metadata(&self, name: &TreeName) -> Result<Option<String>> {
        let directory = staging::open(&self.tree(name)?)?;
        match open_regular(directory.as_fd(), METADATA) {
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(irregular(errno)),
            Ok(file) => text(file, MAX_TEXT_BYTES, METADATA).map(Some),
        }
    }

    /// Replaces `metadata.yaml`, whole or not at all.
    pub(crate) fn replace_metadata(&self, name: &TreeName, text: &str) -> Result<()> {
        let directory = staging::open(&self.tree(name)?)?;
        check_length(text.len(), METADATA)?;
        let written = replace(directory.as_fd(), METADATA, text.as_bytes());
        written.context("Failed to write metadata.yaml")
    }

    /// The directory `templates/`.
    pub(crate) fn templates(&self, name: &TreeName) -> Result<Templates> {
        let tree = staging::open(&self.tree(name)?)?;
        Ok(Templates { tree })
    }
}

/// The template files of an instance.
#[derive(Debug)]
pub(crate) struct Templates {
    tree: OwnedFd,
}

impl Templates {
    /// The names of the files, sorted; none without a directory.
    pub(crate) fn list(&self) -> Result<Vec<String>> {
        let Some(directory) = self.directory()? else {
            return Ok(Vec::new());
        };
        let listed = regular_names(directory.as_fd()).map_err(io::Error::from);
        listed.context("Failed to list the templates")
    }

    /// A file, for whoever asks for it by name.
    ///
    /// # Errors
    ///
    /// 404 with LXD's text; 500 for names that are no file's.
    pub(crate) fn open(&self, name: &str) -> Result<File> {
        check_name(name)?;
        let directory = self.directory()?.ok_or_else(|| missing(name))?;
        match open_regular(directory.as_fd(), name) {
            Err(Errno::NOENT) => Err(missing(name)),
            Err(errno) => Err(irregular(errno)),
            Ok(file) => Ok(file.into()),
        }
    }

    /// The bytes of a template that the image's metadata names, to be rendered.
    ///
    /// # Errors
    ///
    /// LXD's texts for a name that leads out of the directory, for a link, and for no file.
    pub(crate) fn source(&self, name: &str) -> Result<Vec<u8>> {
        if name.contains("..") {
            let text = "Template path is attempting to read outside of template directory";
            return Err(Error::failed(text));
        }
        let inside = name.trim_start_matches('/');
        let directory = self.directory()?.ok_or_else(|| unreadable(name))?;
        match open_regular(directory.as_fd(), inside) {
            Err(Errno::LOOP) => Err(Error::failed("Template file is a symlink")),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(unreadable(name)),
            Err(errno) => Err(irregular(errno)),
            Ok(file) => bytes(file, MAX_TEXT_BYTES, &format!("The template {name}")),
        }
    }

    /// Makes or replaces a file, whole or not at all.
    pub(crate) fn write(&self, name: &str, text: &[u8]) -> Result<()> {
        check_name(name)?;
        check_length(text.len(), "A template")?;
        let directory = match self.directory()? {
            Some(directory) => directory,
            None => self.make()?,
        };
        let names = regular_names(directory.as_fd()).map_err(io::Error::from)?;
        if names.len() >= MAX_TEMPLATES && !names.iter().any(|other| other == name) {
            let text = format!("An instance has at most {MAX_TEMPLATES} templates");
            return Err(Error::bad_request(text));
        }
        replace(directory.as_fd(), name, text).context("Failed to write the template")
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// 404 with LXD's text.
    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let directory = self.directory()?.ok_or_else(|| missing(name))?;
        match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Err(missing(name)),
            removed => removed
                .map_err(io::Error::from)
                .context("Failed to remove the template"),
        }
    }

    fn directory(&self) -> Result<Option<OwnedFd>> {
        match beneath::open_directory(&self.tree, TEMPLATES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::internal("The template directory is none", error)),
            Ok(directory) => Ok(Some(directory)),
        }
    }

    fn make(&self) -> Result<OwnedFd> {
        let made = rustix::fs::mkdirat(&self.tree, TEMPLATES, Mode::from_raw_mode(0o711));
        made.map_err(io::Error::from)
            .context("Failed to make the template directory")?;
        self.directory()?
            .ok_or_else(|| Error::failed("Failed to make the template directory"))
    }
}

fn regular_names(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.to_bytes().starts_with(HIDDEN.as_bytes());
        let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(found.st_mode).is_file() && !hidden {
            names.push(as_path(name).to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What the name of a file begins with that has not got its own yet.
const HIDDEN: &str = ".lximaged-";

/// Opens a file and nothing else: not through links, and no fifo that would let us wait.
fn open_regular(directory: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = beneath::open(directory, name, flags, Mode::empty())
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(Errno::INVAL),
    }
}

/// Writes a file beside the old one, and lets it take its place.
fn replace(directory: BorrowedFd<'_>, name: &str, text: &[u8]) -> io::Result<()> {
    let hidden = format!("{HIDDEN}{}", uuid::Uuid::new_v4().simple());
    let written = write_hidden(directory, &hidden, text).and_then(|()| {
        rustix::fs::renameat(directory, &hidden, directory, name).map_err(io::Error::from)
    });
    if written.is_err() {
        match rustix::fs::unlinkat(directory, &hidden, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => tracing::warn!(%errno, "a file that was not finished stays"),
        }
    }
    written?;
    Ok(rustix::fs::fsync(directory)?)
}

fn write_hidden(directory: BorrowedFd<'_>, hidden: &str, text: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mode = Mode::from_raw_mode(0o644);
    let file = beneath::open(directory, Path::new(hidden), flags, mode)?;
    rustix::fs::fchmod(&file, mode)?;
    let mut file = File::from(file);
    file.write_all(text)?;
    file.sync_all()
}

fn check_name(name: &str) -> Result<()> {
    let reserved = matches!(name, "" | "." | "..") || name.starts_with(HIDDEN);
    if reserved || name.len() > 255 || name.contains(['/', '\0']) {
        return Err(Error::failed("Invalid template filename"));
    }
    Ok(())
}

fn check_length(length: usize, what: &str) -> Result<()> {
    if length as u64 > MAX_TEXT_BYTES {
        let text = format!("{what} is larger than {MAX_TEXT_BYTES} bytes");
        return Err(Error::bad_request(text));
    }
    Ok(())
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("Template {name:?} not found"))
}

fn unreadable(name: &str) -> Error {
    let text = format!("Could not access template file: lstat {name}: no such file or directory");
    Error::failed(text)
}

fn irregular(errno: Errno) -> Error {
    Error::internal("Cannot read non-regular file", io::Error::from(errno))
}
