//! What an image is: fingerprint, layout, metadata, architecture, and the formats it comes in.

mod arch;
pub(crate) mod archive;
mod compression;
mod fingerprint;
mod kind;
mod layout;
mod metadata;

pub(crate) use arch::{Architecture, architectures, host_architectures};
pub(crate) use archive::{
    Encoder, Format, Limits, SNIFF_BYTES, Workers, check_root, inspect_metadata, inspect_unified,
};
pub(crate) use compression::{Compression, Preset, Squashfs};
pub(crate) use fingerprint::{Fingerprint, FingerprintPrefix, NotAFingerprint};
pub(crate) use kind::ImageType;
pub(crate) use layout::{Layout, Part};
pub(crate) use metadata::{Metadata, MetadataFile, Template};
