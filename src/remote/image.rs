//! An image as another server describes it, and what is asked for.

use std::collections::BTreeMap;

use crate::{
    api::Timestamp,
    image::{Fingerprint, ImageType},
};

/// What is asked of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// An alias, a fingerprint, or the beginning of one.
    pub(crate) reference: String,
    /// Whether an alias was meant, and nothing else will do.
    pub(crate) only_aliases: bool,
    /// Only this type of image.
    pub(crate) kind: Option<ImageType>,
    /// What opens a private image; empty for a public one.
    pub(crate) secret: String,
}

/// An image as another server describes it.
#[derive(Debug, Clone)]
pub(crate) struct RemoteImage {
    /// Whether it was found by an alias, rather than by its fingerprint.
    pub(crate) by_alias: bool,
    /// SHA-256 of its files, as claimed.
    pub(crate) fingerprint: Fingerprint,
    /// Container or virtual machine.
    pub(crate) kind: ImageType,
    /// LXD's canonical name of the architecture.
    pub(crate) architecture: &'static str,
    /// The name of its file there.
    pub(crate) filename: String,
    /// Length of its files, as far as it is told.
    pub(crate) size_bytes: u64,
    /// Whether the length of all of them is told.
    pub(crate) size_is_known: bool,
    /// Its properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it is out of date.
    pub(crate) expires_at: Timestamp,
}
