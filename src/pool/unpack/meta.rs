//! What an image holds besides its root: `metadata.yaml` and templates.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::fs::{Mode, OFlags, mkdirat};

use super::wording;
use crate::{
    error::{Error, Result},
    image::{Metadata, archive::Kind},
    pool::beneath,
};

/// Longest `metadata.yaml`.
pub(super) const MAX_METADATA_BYTES: u64 = 1024 * 1024;

/// Longest template.
pub(super) const MAX_TEMPLATE_BYTES: u64 = 1024 * 1024;
const MAX_TEMPLATES: usize = 256;

/// What was found and written so far.
pub(super) struct Meta<'t> {
    target: BorrowedFd<'t>,
    metadata: Option<Metadata>,
    templates: usize,
    has_templates: bool,
    /// Whether there is a root file system.
    pub(super) has_root: bool,
    /// A virtual machine's disk, as the image has it.
    pub(super) disk: Option<File>,
}

impl<'t> Meta<'t> {
    /// Nothing yet.
    pub(super) fn new(target: BorrowedFd<'t>) -> Self {
        Self {
            target,
            metadata: None,
            templates: 0,
            has_templates: false,
            has_root: false,
            disk: None,
        }
    }

    /// Where everything goes.
    pub(super) fn target(&self) -> BorrowedFd<'t> {
        self.target
    }

    /// The metadata that were found, at the end.
    pub(super) fn take_metadata(&mut self) -> Result<Metadata> {
        let missing = || Error::failed("Metadata tarball is missing metadata.yaml");
        self.metadata.take().ok_or_else(missing)
    }

    /// Takes `metadata.yaml`, whose data are missing if they are too long.
    pub(super) fn metadata(&mut self, kind: Kind, data: Option<Vec<u8>>) -> Result<()> {
        if kind != Kind::Regular {
            return Err(Error::failed(
                "Cannot read non-regular file \"metadata.yaml\"",
            ));
        }
        let too_long = || {
            let limit = MAX_METADATA_BYTES;
            Error::failed(format!("metadata.yaml is larger than {limit} bytes"))
        };
        let data = data.ok_or_else(too_long)?;
        self.metadata = Some(Metadata::parse(&data)?);
        self.write(b"metadata.yaml", &data)
    }

    /// Takes a directory of templates, or the one in which all are.
    pub(super) fn template_directory(&mut self, path: &[u8]) -> Result<()> {
        self.count(path)?;
        if !self.has_templates {
            self.has_templates = true;
            self.make_directory(b"templates")?;
        }
        if path.is_empty() {
            return Ok(());
        }
        self.make_directory(&[b"templates/", path].concat())
    }

    /// Takes a template, whose data are missing if they are too long.
    pub(super) fn template(&mut self, path: &[u8], data: Option<Vec<u8>>) -> Result<()> {
        let too_long = || {
            let (name, limit) = (wording::lossy(path), MAX_TEMPLATE_BYTES);
            Error::failed(format!("Template {name:?} is larger than {limit} bytes"))
        };
        let data = data.ok_or_else(too_long)?;
        let mut end = path.iter().position(|byte| *byte == b'/');
        self.template_directory(b"")?;
        while let Some(slash) = end {
            let parent = path.get(..slash).unwrap_or_default();
            self.template_directory(parent)?;
            let rest = path.get(slash + 1..).unwrap_or_default();
            let next = rest.iter().position(|byte| *byte == b'/');
            end = next.map(|next| slash + 1 + next);
        }
        self.count(path)?;
        self.write(&[b"templates/", path].concat(), &data)
    }

    fn count(&mut self, path: &[u8]) -> Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        self.templates += 1;
        if self.templates > MAX_TEMPLATES {
            return Err(Error::failed(format!(
                "Image has more than {MAX_TEMPLATES} templates"
            )));
        }
        Ok(())
    }

    /// Makes a directory, unless it is there.
    fn make_directory(&self, path: &[u8]) -> Result<()> {
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = match slash.and_then(|slash| path.split_at_checked(slash)) {
            Some((parent, name)) => (parent, name.get(1..).unwrap_or_default()),
            None => (&b"."[..], path),
        };
        let wrong = |error| wording::entry(path, error);
        let parent = beneath::open_directory(self.target, OsStr::from_bytes(parent));
        let parent = parent.map_err(wrong)?;
        match mkdirat(parent.as_fd(), OsStr::from_bytes(name), Mode::RWXU) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::EXIST) => {
                let there = beneath::open_directory(&parent, OsStr::from_bytes(name));
                there.map(drop).map_err(wrong)
            }
            Err(error) => Err(wording::entry(path, error)),
        }
    }

    fn write(&self, path: &[u8], data: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = beneath::open(self.target, OsStr::from_bytes(path), flags, mode);
        let outcome = file.and_then(|file| File::from(file).write_all(data));
        outcome.map_err(|error| wording::entry(path, error))
    }
}

/// What to say of a template that is no file.
pub(super) fn not_a_template(path: &[u8]) -> Error {
    let name = wording::lossy(path);
    Error::failed(format!(
        "Image has no file in place of the template {name:?}"
    ))
}
