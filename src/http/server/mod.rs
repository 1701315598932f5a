//! Listening, and serving one connection after the other.
//!
//! [`serve_unix`] runs for as long as the daemon; [`Https`] is opened, moved and closed while it
//! runs. Each accepts in a loop that begins to stop the whole daemon if it ends by itself, so that
//! no daemon lives on that nobody reaches ([`accept`]). What a connection may do is the same for
//! both ([`connection`]); how long it may keep still differs ([`limits`]). Proxies that are trusted
//! say whom they speak for ([`proxy`]).

mod accept;
mod activity;
mod bind;
mod connection;
mod handshake;
mod https;
mod limits;
mod proxy;
mod unix;

pub(crate) use https::Https;
pub(crate) use unix::serve_unix;

#[cfg(test)]
mod tests;
