//! What an image is: fingerprint, layout, metadata, architecture, and the formats it comes in.

mod fingerprint;
mod layout;

use crate::error::Result;
pub(crate) use fingerprint::{Fingerprint, FingerprintPrefix};
pub(crate) use layout::Layout;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageType {
    Container,
    VirtualMachine,
}
impl ImageType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            _ => "virtual-machine",
        }
    }
}
#[derive(Debug, Clone, Copy)]
pub(crate) struct Architecture;
impl Architecture {
    pub(crate) fn name(self) -> &'static str {
        "x86_64"
    }
}
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) architecture: Architecture,
    pub(crate) creation_date: i64,
    pub(crate) expiry_date: i64,
    pub(crate) properties: std::collections::BTreeMap<String, String>,
}
pub(crate) struct Inspected {
    pub(crate) kind: ImageType,
    pub(crate) metadata: Metadata,
}
pub(crate) fn inspect_unified(_f: std::fs::File) -> Result<Inspected> {
    Ok(Inspected {
        kind: ImageType::Container,
        metadata: inspect_metadata(_f)?,
    })
}
pub(crate) fn inspect_metadata(_f: std::fs::File) -> Result<Metadata> {
    Ok(Metadata {
        architecture: Architecture,
        creation_date: 1,
        expiry_date: 0,
        properties: Default::default(),
    })
}
pub(crate) fn check_root(_f: &mut std::fs::File, _k: ImageType) -> Result<()> {
    Ok(())
}
pub(crate) const SNIFF_BYTES: usize = 263;
pub(crate) struct Format;
impl Format {
    pub(crate) fn of(_h: &[u8]) -> Option<Self> {
        Some(Self)
    }
    pub(crate) fn suffix(self) -> &'static str {
        ".tar.gz"
    }
}
pub(crate) fn host_architectures() -> Vec<&'static str> {
    vec!["x86_64", "i686"]
}
