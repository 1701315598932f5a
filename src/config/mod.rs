//! Settings as tables: server keys, project keys, profile keys, devices, storage pools; and the
//! places the daemon keeps its things at.
//!
//! Everything here is pure: text in, verdict out, in LXD's words.

pub(crate) mod address;
pub(crate) mod device;
pub(crate) mod expand;
pub(crate) mod expiry;
pub(crate) mod instance;
pub(crate) mod instance_type;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod paths;
pub(crate) mod pattern;
pub(crate) mod pool;
pub(crate) mod project;

mod check;
mod volatile;

pub(crate) use check::{parse_size, truth};
