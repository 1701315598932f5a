//! JSON as Go's `encoding/json` reads and writes it, for clients that see its error texts.
//!
//! Start at [`decode()`] and [`go_struct`] for reading, at [`to_go_json`] for writing. Deliberately
//! absent: floating point numbers as such, and writing of [`Json`], which only ever comes in.

mod cursor;
mod decode;
mod jmap;
mod scan;
mod structs;
mod text;
mod types;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use cursor::Kind;
pub(crate) use decode::{Decode, Decoder, decode, decode_into};
pub(crate) use jmap::Jmap;
pub(crate) use structs::{Fields, decode_fields, go_key, go_struct};
pub(crate) use value::Json;
pub(crate) use write::{Html, etag, to_go_json};
