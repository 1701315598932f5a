//! What was found in an image so far, and what must not be found there.

use std::{collections::BTreeMap, io};

use super::{
    header::Kind,
    top::{check_kind, is_single},
};
use crate::{
    error::{Error, Result},
    image::ImageType,
};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Metadata,
    MetadataAndRoot,
}

/// What has come across.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(super) metadata: Option<Vec<u8>>,
    pub(super) root: Option<ImageType>,
    /// The names at the top that matter, and what each is.
    top: BTreeMap<&'static str, Kind>,
}

impl Seen {
    pub(super) fn has_all(&self, wanted: Wanted) -> bool {
        self.metadata.is_some() && (wanted == Wanted::Metadata || self.root.is_some())
    }

    /// Refuses a name at the top that comes again, or as what it must not be.
    pub(crate) fn remember(&mut self, top: &'static str, kind: Kind) -> Result<()> {
        let again = match self.top.insert(top, kind) {
            None => false,
            Some(before) => before != kind || is_single(top),
        };
        if again {
            return Err(Error::failed(format!(
                "Image has a duplicate entry {top:?}"
            )));
        }
        check_kind(top, kind)
    }
}

/// The names at the top of an image that mean something to those who use it.
const TOP_NAMES: &[&str] = &[
    "metadata.yaml",
    "rootfs",
    "rootfs.img",
    "templates",
    "backup.yaml",
];

/// A name at the top of an image, if it is one of those that mean something.
pub(crate) fn find_top(name: &[u8]) -> Option<&'static str> {
    TOP_NAMES.iter().copied().find(|top| top.as_bytes() == name)
}

/// Refuses a `metadata.yaml` of this kind, unless it is a file.
pub(super) fn check_metadata(kind: Kind) -> Result<()> {
    match kind {
        Kind::Regular => Ok(()),
        _ => Err(Error::failed(
            "Cannot read non-regular file \"metadata.yaml\"",
        )),
    }
}

/// What to say of a `metadata.yaml` longer than `limit` bytes.
pub(super) fn metadata_too_large(limit: u64) -> Error {
    Error::failed(format!("metadata.yaml is larger than {limit} bytes"))
}

/// What to say of an image with more than `limit` entries.
pub(super) fn too_many_entries(limit: u64) -> Error {
    Error::failed(format!("Image has more than {limit} entries"))
}

/// Why a scan ended early.
pub(super) enum Trouble {
    Refused(Error),
    Read(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}
