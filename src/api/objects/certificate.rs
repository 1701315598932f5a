//! Certificates as clients see them.

use serde::Serialize;

/// LXD's certificate object; the `ETag` is made from the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "LXD's names")]
pub(crate) struct Certificate {
    /// What it is called.
    pub(crate) name: String,
    /// `client`, `server` or `metrics`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Whether it may use its projects only.
    pub(crate) restricted: bool,
    /// Those projects.
    pub(crate) projects: Vec<String>,
    /// PEM.
    pub(crate) certificate: String,
    /// SHA-256 of its DER.
    pub(crate) fingerprint: String,
}
