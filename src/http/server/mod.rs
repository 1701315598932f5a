//! Listening, and serving one connection after the other.
//!
//! [`serve_unix`] runs for as long as the daemon; [`Https`] is opened, moved and closed while it
//! runs. A loop that ends by itself brings the daemon down rather than leave one that nobody
//! reaches.

mod accept;
mod connection;
mod https;
mod unix;

pub(crate) use https::Https;
pub(crate) use unix::{bind, serve_unix};

#[cfg(test)]
mod tests;
