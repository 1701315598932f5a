//! The archives that images come in: what they are, how they are unpacked as far as inspection
//! needs it, and what inspection looks for.

mod attributes;
mod decode;
mod encode;
mod extended;
mod header;
mod input;
mod inspect;
mod qcow2;
mod seen;
mod sniff;
mod sparse;
pub(crate) mod squashfs;
mod tar;
mod top;

pub(crate) use attributes::{Attributes, Modified, Xattr};
pub(crate) use decode::decoder;
pub(crate) use encode::{Encoder, Workers};
pub(crate) use header::{Kind, Special};
pub(crate) use inspect::{Limits, inspect_metadata, inspect_unified};
pub(crate) use qcow2::{Disk, check_root};
pub(crate) use seen::{Seen, find_top};
pub(crate) use sniff::{Format, SNIFF_BYTES};
pub(crate) use sparse::Part;
pub(crate) use tar::{Entry, Tar};

#[cfg(test)]
mod tests;
