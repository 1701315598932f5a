//! Other servers: image servers, other LXD servers, plain web servers.
//!
//! Everything that leaves this machine goes through [`Outbound`]: one place for proxies, trust,
//! redirects, time limits, and for the addresses that a caller's request may reach ([`Reach`]).
//! [`lxd`] and [`simplestreams`] each find an image ([`RemoteImage`]) and hand its bytes to a
//! [`Sink`]; [`url`] finds out what stands behind an address. What comes back is hostile until the
//! caller has compared its hash.

mod client;
mod download;
mod image;
mod lxd;
mod meter;
mod proxy;
mod push;
mod reach;
mod request;
pub(crate) mod simplestreams;
mod throttle;
mod tls;
pub(crate) mod url;
mod wording;

pub(crate) use client::{Contact, Outbound, Setup};
pub(crate) use download::Sink;
pub(crate) use image::{Asked, RemoteImage};
pub(crate) use lxd::LxdServer;
pub(crate) use meter::{Meter, size as size_text};
pub(crate) use proxy::Proxies;
pub(crate) use push::Upload;
pub(crate) use reach::Reach;
pub(crate) use request::parse_url;
pub(crate) use simplestreams::{Freshness, StreamServer, Streams};
pub(crate) use throttle::{Held, Throttle};
pub(crate) use tls::Pin;
pub(crate) use wording::mismatch;
