//! The wire: what requests and answers look like, and how Go reads and writes them.
//!
//! [`json`] has the rules of Go's decoder and encoder, [`time`] its dates, [`requests`] the bodies
//! that LXD's clients send, [`objects`] what they get back, [`url`] how names are escaped.

mod extensions;

pub(crate) mod filter;
pub(crate) mod json;
pub(crate) mod objects;
pub(crate) mod requests;
pub(crate) mod time;
pub(crate) mod url;

pub(crate) use extensions::EXTENSIONS;
pub(crate) use time::Timestamp;
