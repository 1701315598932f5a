//! How images are compressed when they are made: what [`Compression`] can read.

use super::Checked;
use crate::image::Compression;

/// An algorithm and its arguments.
pub(crate) fn compression(text: &str) -> Checked {
    Compression::parse(text).map(drop)
}
