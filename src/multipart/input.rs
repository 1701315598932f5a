//! The body as it arrives: a window on the bytes that were not used yet.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use memchr::memchr;

use crate::error::{Error, Result};

/// A body and the last piece of it.
pub(super) struct Input<S> {
    body: S,
    window: Bytes,
    ended: bool,
}

/// What [`Input::line`] found.
pub(super) enum Text {
    /// A line with its end.
    Line(Vec<u8>),
    /// What follows the last line end, perhaps nothing; the body ends here.
    Rest(Vec<u8>),
    /// No line end where one has to be.
    TooLong,
}

impl<S, E> Input<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: Into<Error> + Send,
{
    /// Nothing is read yet.
    pub(super) fn new(body: S) -> Self {
        Self {
            body,
            window: Bytes::new(),
            ended: false,
        }
    }

    /// The bytes that are there and not used.
    pub(super) fn window(&self) -> &[u8] {
        &self.window
    }

    /// Whether nothing follows the window.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Uses up to `count` bytes of the window.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        self.window.split_to(count.min(self.window.len()))
    }

    /// Uses the whole window.
    pub(super) fn take_all(&mut self) -> Bytes {
        std::mem::take(&mut self.window)
    }

    /// Makes the window longer; false when the body has ended.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        while !self.ended {
            match self.body.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => {
                    self.append(piece);
                    return Poll::Ready(Ok(true));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.ended = true;
                    return Poll::Ready(Err(error.into()));
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(false))
    }

    /// See [`Self::poll_more`].
    pub(super) async fn more(&mut self) -> Result<bool> {
        poll_fn(|context| self.poll_more(context)).await
    }

    /// Uses the next line, which has at most `limit` bytes with its end.
    pub(super) async fn line(&mut self, limit: usize) -> Result<Text> {
        let mut line = Vec::new();
        loop {
            let found = memchr(b'\n', &self.window);
            let count = found.map_or(self.window.len(), |at| at + 1);
            let over = line.len() + count > limit || found.is_none() && line.len() + count == limit;
            if over {
                return Ok(Text::TooLong);
            }
            line.extend_from_slice(&self.take(count));
            if found.is_some() {
                return Ok(Text::Line(line));
            }
            if !self.more().await? {
                return Ok(Text::Rest(line));
            }
        }
    }

    fn append(&mut self, piece: Bytes) {
        if self.window.is_empty() {
            self.window = piece;
            return;
        }
        let mut joined = BytesMut::with_capacity(self.window.len() + piece.len());
        joined.extend_from_slice(&self.window);
        joined.extend_from_slice(&piece);
        self.window = joined.freeze();
    }
}
