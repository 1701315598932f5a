//! What the rules of Go's decoder and encoder come to. The expected texts are LXD 5.0.2's own.

mod decoding;
mod hostile;
mod syntax;
mod values;
mod writing;

use super::{Decode, decode};
use crate::error::Kind;

/// The text with which `body` is refused.
fn refusal<T: Decode + std::fmt::Debug>(body: impl AsRef<[u8]>) -> String {
    let error = decode::<T>(body.as_ref()).unwrap_err();
    assert_eq!(error.kind(), Kind::BadRequest);
    error.message().to_owned()
}
