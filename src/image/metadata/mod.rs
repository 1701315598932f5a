//! `metadata.yaml`: what an image says of itself.
//!
//! Decoded as the Go library in LXD does it, with its error texts, because image authors see them:
//! [`tree`] reads bounded YAML with positions, [`scalar`] says what a scalar is, [`decode`] fills
//! the fields in.

mod decode;
mod encode;
mod scalar;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use super::arch::Architecture;
use crate::error::{Error, Result};

/// The first second of the year 1, and the last of the year 9999.
const DATES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Checked metadata of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// What it runs on.
    pub(crate) architecture: Architecture,
    /// When it was made, in seconds since the epoch; never 0.
    pub(crate) creation_date: i64,
    /// When it is out of date, in seconds since the epoch; 0 for never.
    pub(crate) expiry_date: i64,
    /// Free properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// Templates by the path they are written to.
    pub(crate) templates: BTreeMap<String, Template>,
}

/// A file that is made when something happens to an instance.
#[expect(
    clippy::struct_field_names,
    reason = "the fields are called what the file calls them"
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Template {
    /// `create`, `copy`, `rename`, `start`.
    pub(crate) when: Option<Vec<String>>,
    /// Whether a file that is there already stays as it is.
    pub(crate) create_only: bool,
    /// The file in `templates/`.
    pub(crate) template: String,
    /// What the template can read.
    pub(crate) properties: Option<BTreeMap<String, String>>,
}

/// The fields as they stand in the file, unchecked; `None` for what is not there. An instance's
/// file is its owner's to write, and says what they like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MetadataFile {
    /// What it runs on.
    pub(crate) architecture: String,
    /// When it was made, in seconds since the epoch.
    pub(crate) creation_date: i64,
    /// When it is out of date, in seconds since the epoch; 0 for never.
    pub(crate) expiry_date: i64,
    /// Free properties.
    pub(crate) properties: Option<BTreeMap<String, String>>,
    /// Templates by the path they are written to.
    pub(crate) templates: Option<BTreeMap<String, Option<Template>>>,
}

impl MetadataFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// LXD's texts, those of its YAML library.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        decode::document(bytes).map_err(Error::failed)
    }
}

impl Metadata {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// LXD's texts, those of its YAML library included; our own for dates that it stores and then
    /// chokes on.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let raw = MetadataFile::parse(bytes)?;
        let architecture = Architecture::parse(&raw.architecture)?;
        if raw.creation_date == 0 {
            return Err(Error::failed("Missing creation date"));
        }
        for date in [raw.creation_date, raw.expiry_date] {
            if !DATES.contains(&date) {
                let text = format!("Date {date} is not between the years 1 and 9999");
                return Err(Error::failed(text));
            }
        }
        let templates = raw.templates.unwrap_or_default().into_iter();
        let templates = templates.map(|(path, template)| {
            let mut template = template.unwrap_or_default();
            // Whoever reads checked metadata need not tell nothing from empty.
            template.when.get_or_insert_default();
            template.properties.get_or_insert_default();
            (path, template)
        });
        Ok(Self {
            architecture,
            creation_date: raw.creation_date,
            expiry_date: raw.expiry_date,
            properties: raw.properties.unwrap_or_default(),
            templates: templates.collect(),
        })
    }
}
