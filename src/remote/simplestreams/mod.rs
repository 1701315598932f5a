//! simplestreams: image servers that are nothing but files.
//!
//! `streams/v1/index.json` names product files, product files name versions of images and their
//! files. [`document`] reads both, [`catalog`] makes of them what can be asked for, [`cache`] keeps
//! them, [`server`] fetches.

mod cache;
mod catalog;
mod delta;
mod document;
mod nearest;
mod server;

pub(crate) use delta::UsableDelta;
pub(super) use nearest::nearest;
pub(crate) use server::{Bases, Freshness, Listed, StreamServer, Streams};
