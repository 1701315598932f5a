//! Images and aliases as clients see them.

use serde::Serialize;
use serde_json::value::RawValue;

/// LXD's image object. Dates are RFC 3339 text, just as the store keeps them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Image {
    /// Whether it is kept up to date from its source.
    pub(crate) auto_update: bool,
    /// A JSON object of strings with sorted keys.
    pub(crate) properties: Box<RawValue>,
    /// Whether everybody sees it.
    pub(crate) public: bool,
    /// When it is out of date; epoch or zero time for never.
    pub(crate) expires_at: String,
    /// Profiles that instances made from it get, in order.
    pub(crate) profiles: Vec<String>,
    /// Its names.
    pub(crate) aliases: Vec<ImageAlias>,
    /// LXD's canonical name of the architecture.
    pub(crate) architecture: String,
    /// Whether it is here only because an instance needed it.
    pub(crate) cached: bool,
    /// The name its file had where it came from.
    pub(crate) filename: String,
    /// 64 hexadecimal digits.
    pub(crate) fingerprint: String,
    /// Bytes, of all its files.
    pub(crate) size: i64,
    /// Where it was downloaded from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) update_source: Option<UpdateSource>,
    /// `container` or `virtual-machine`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// When it was made.
    pub(crate) created_at: String,
    /// When an instance was last made from it; zero time for never.
    pub(crate) last_used_at: String,
    /// When it came into this store.
    pub(crate) uploaded_at: String,
    /// Whose it is; told only where the images of all projects are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
}

/// An alias within an image object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ImageAlias {
    /// Its name.
    pub(crate) name: String,
    /// Free text.
    pub(crate) description: String,
}

/// Where an image was downloaded from.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UpdateSource {
    /// What was asked for.
    pub(crate) alias: String,
    /// Pinned certificate (PEM), or empty.
    pub(crate) certificate: String,
    /// `lxd` or `simplestreams`.
    pub(crate) protocol: String,
    /// Base URL.
    pub(crate) server: String,
    // LXD: always empty in 5.0.2.
    /// Type that was asked for.
    pub(crate) image_type: &'static str,
}

/// LXD's alias object; the `ETag` of an alias is made from the same keys in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Alias {
    /// Free text.
    pub(crate) description: String,
    /// Fingerprint of the image it names.
    pub(crate) target: String,
    /// Its name.
    pub(crate) name: String,
    /// Type of that image.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}
