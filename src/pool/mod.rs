//! Trees of instances: how files of an image become one, and how one becomes an image again.
//!
//! Start reading at [`unpack`] and [`pack`]. All that is named by somebody else is opened through
//! [`beneath`].

pub(crate) mod beneath;
pub(crate) mod idmap;
pub(crate) mod pack;
pub(crate) mod unpack;
pub(crate) mod watch;
