//! What a connection is doing, which says how long it may keep still.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::{sync::watch, time::timeout};

use super::limits::Patience;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No request has come yet.
    Fresh,
    /// So many requests are under way: their headers have come, their answers have not all gone.
    Busy { requests: usize },
    /// The last answer has gone.
    Idle,
}

/// What one connection is doing. Clones are about the same connection.
#[derive(Debug, Clone)]
pub(super) struct Activity(watch::Sender<Phase>);

impl Activity {
    /// Of a connection on which nothing has come yet.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Phase::Fresh))
    }

    /// A request is under way until what this returns is dropped.
    pub(super) fn begin(&self) -> Request {
        self.0.send_modify(|phase| {
            let before = match *phase {
                Phase::Busy { requests } => requests,
                Phase::Fresh | Phase::Idle => 0,
            };
            *phase = Phase::Busy {
                requests: before + 1,
            };
        });
        Request(self.clone())
    }

    /// Whether no request has come yet.
    pub(super) fn is_fresh(&self) -> bool {
        *self.0.borrow() == Phase::Fresh
    }

    /// Returns when the client has kept still for longer than it may.
    pub(super) async fn exhausts(&self, patience: Option<Patience>) {
        let Some(patience) = patience else {
            return std::future::pending().await;
        };
        let mut phase = self.0.subscribe();
        loop {
            let within = match *phase.borrow_and_update() {
                Phase::Fresh => patience.first_request,
                Phase::Busy { .. } => Duration::MAX,
                Phase::Idle => patience.next_request,
            };
            if timeout(within, phase.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Request(Activity);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.send_modify(|phase| {
            *phase = match *phase {
                Phase::Busy { requests } if requests > 1 => Phase::Busy {
                    requests: requests - 1,
                },
                _ => Phase::Idle,
            };
        });
    }
}

/// The body of an answer; its request is under way until it has been sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _request: Request,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_hours(1);

    fn patience(first_request: Duration, next_request: Duration) -> Patience {
        Patience {
            handshake: NEVER,
            first_request,
            next_request,
            body: NEVER,
        }
    }

    #[tokio::test]
    async fn a_client_that_asks_nothing_exhausts_patience() {
        Activity::new()
            .exhausts(Some(patience(AT_ONCE, NEVER)))
            .await;
    }

    #[tokio::test]
    async fn a_client_is_idle_when_its_last_request_is_answered() {
        let activity = Activity::new();
        let (first, second) = (activity.begin(), activity.begin());
        drop(first);
        let exhausted = activity.exhausts(Some(patience(AT_ONCE, AT_ONCE)));
        let early = timeout(AT_ONCE * 20, exhausted).await;
        assert!(early.is_err(), "one request is still under way");
        drop(second);
        activity.exhausts(Some(patience(NEVER, AT_ONCE))).await;
    }

    #[tokio::test]
    async fn those_who_may_keep_still_never_exhaust_patience() {
        let activity = Activity::new();
        let early = timeout(AT_ONCE * 20, activity.exhausts(None)).await;
        assert!(early.is_err());
    }
}
