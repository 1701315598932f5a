//! What an image is: fingerprint, layout, metadata, architecture, and the formats it comes in.

mod fingerprint;
mod layout;

pub(crate) use fingerprint::{Fingerprint, FingerprintPrefix};
pub(crate) use layout::Layout;
