//! A request's body until its handler reads it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, Limited};

/// How much of a body that nobody wants is read, as in Go's server, and how long that may take.
const MAX_UNWANTED_BYTES: usize = 256 * 1024;
const UNWANTED_WITHIN: Duration = Duration::from_secs(5);

/// A body that waits to be read. Clones are the same body.
#[derive(Debug, Clone)]
pub(super) struct Unread(Arc<Mutex<Option<Body>>>);

impl Unread {
    /// A body that nobody has read of.
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// The body, for whoever asks first; an empty one for everybody else.
    pub(super) fn take(&self) -> Body {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.take().unwrap_or_default()
    }

    /// Reads a short body that nobody took: a client that is still sending when it is answered
    /// may miss the answer, and the connection could not be used again. A client that waits to be
    /// asked for its body (`Expect`) is not asked.
    pub(super) async fn drain(self, headers: &HeaderMap) {
        let body = self.take();
        let is_short = body.size_hint().lower() <= MAX_UNWANTED_BYTES as u64;
        if body.is_end_stream() || !is_short || headers.contains_key(header::EXPECT) {
            return;
        }
        let rest = Limited::new(body, MAX_UNWANTED_BYTES).collect();
        // However it ends, the answer is sent next.
        drop(tokio::time::timeout(UNWANTED_WITHIN, rest).await);
    }
}
