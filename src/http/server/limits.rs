//! How much a connection may take, and for how long.

use std::time::Duration;

/// Headers of one request, all together, with its first line.
pub(super) const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// Header fields of one request.
pub(super) const MAX_HEADERS: usize = 100;

/// Requests under way on one HTTP/2 connection. Each may hold a piece of a file that its client
/// does not read.
pub(super) const MAX_STREAMS: u32 = 32;

/// Streams that a client opened and reset before they were served.
pub(super) const MAX_RESET_STREAMS: usize = 32;

/// How long an HTTP/2 connection is left without a sign of life, and how long it may then take to
/// give one.
pub(super) const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a network client that reads or answers nothing at all keeps what is sent to it.
pub(super) const UNREAD_WITHIN: Duration = Duration::from_mins(1);

/// When a quiet network client is first asked whether it is still there, and how often from then
/// on. The same as Go's, and with it LXD's.
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Connections of a listener at a time; more wait to be accepted.
pub(super) const MAX_CONNECTIONS: usize = 4096;

/// How long a network client may keep still. Those on this machine may for as long as they like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From being accepted to the end of the TLS handshake.
    pub(super) handshake: Duration,
    /// From there to the last header of its first request.
    pub(super) first_request: Duration,
    /// From the end of an answer to the last header of the next request.
    pub(super) next_request: Duration,
    /// From one piece of a request's body to the next.
    pub(super) body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(10),
            next_request: Duration::from_mins(1),
            body: Duration::from_mins(1),
        }
    }
}
