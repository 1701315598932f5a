//! A response body that reads files on the blocking pool, one chunk ahead of what is being sent.
//!
//! Memory: the chunk that is being read, the ones the connection has not written yet (hyper takes a
//! second one when less than 400 KiB of the first is left), and no more: at most three chunks.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::{Lease, content::Content};

/// How much is read at once. Measured over a Unix socket: smaller costs hand-overs between threads,
/// larger costs memory and cache misses and gains nothing.
pub(super) const CHUNK_BYTES: usize = 512 * 1024;

/// How many handed-out chunks are remembered, to be used again once the connection is done with
/// them.
const SPARE_CHUNKS: usize = 2;

/// A read on its way: the chunk, and what is left after it.
type Reading = JoinHandle<io::Result<(BytesMut, Content)>>;

/// Sends a [`Content`] whole or fails; nothing is read before the first poll.
pub(super) struct FileBody {
    name: String,
    state: State,
    remaining_bytes: u64,
    spare: VecDeque<Bytes>,
    lease: Option<Lease>,
}

enum State {
    Idle(Content),
    Reading(Reading),
    Ended,
}

impl FileBody {
    /// A body of `content` that holds `lease` until it ends; `name` is for the log.
    pub(super) fn new(name: String, content: Content, lease: Lease) -> Self {
        let remaining_bytes = content.size_bytes();
        let state = State::Idle(content);
        Self { name, state, remaining_bytes, spare: VecDeque::new(), lease: Some(lease) }
    }

    /// How many bytes are still to come.
    pub(super) fn size_bytes(&self) -> u64 {
        self.remaining_bytes
    }

    /// Starts to read the chunk that comes next in `content`.
    fn read_ahead(&mut self, mut content: Content) -> Reading {
        let left = usize::try_from(content.size_bytes()).unwrap_or(usize::MAX);
        let mut chunk = self.blank_chunk(left.min(CHUNK_BYTES));
        tokio::task::spawn_blocking(move || {
            content.fill(&mut chunk)?;
            Ok((chunk, content))
        })
    }

    /// A chunk that the connection has done with, or else a new one.
    fn blank_chunk(&mut self, size: usize) -> BytesMut {
        while let Some(spare) = self.spare.pop_front() {
            match spare.try_into_mut() {
                Ok(mut chunk) if chunk.len() >= size => {
                    chunk.truncate(size);
                    return chunk;
                }
                Ok(_) => {}
                Err(busy) => {
                    self.spare.push_front(busy);
                    break;
                }
            }
        }
        BytesMut::zeroed(size)
    }

    /// Lends `chunk` to the connection.
    fn hand_out(&mut self, chunk: Bytes) -> Frame<Bytes> {
        if self.spare.len() == SPARE_CHUNKS {
            self.spare.pop_front();
        }
        self.spare.push_back(chunk.clone());
        Frame::data(chunk)
    }

    /// Lends a chunk to the connection and starts to read the next one.
    fn finish_chunk(
        &mut self,
        read: io::Result<(BytesMut, Content)>,
    ) -> io::Result<Frame<Bytes>> {
        let (chunk, content) = read.inspect_err(|error| self.fail(error))?;
        self.remaining_bytes -= chunk.len() as u64;
        let frame = self.hand_out(chunk.freeze());
        if content.size_bytes() > 0 {
            self.state = State::Reading(self.read_ahead(content));
        } else {
            self.end();
        }
        Ok(frame)
    }

    /// The connection is cut after this, and that is all the client learns.
    fn fail(&mut self, error: &io::Error) {
        tracing::warn!(file.name = self.name, %error, "transfer aborted: file cannot be read");
        self.end();
    }

    /// Lets go of the files and the lease.
    fn end(&mut self) {
        self.state = State::Ended;
        self.spare.clear();
        self.lease = None;
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut reading = match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle(content) if content.size_bytes() > 0 => self.read_ahead(content),
            State::Reading(reading) => reading,
            State::Idle(_) | State::Ended => {
                self.end();
                return Poll::Ready(None);
            }
        };
        let Poll::Ready(joined) = Pin::new(&mut reading).poll(context) else {
            self.state = State::Reading(reading);
            return Poll::Pending;
        };
        Poll::Ready(Some(self.finish_chunk(joined.map_err(io::Error::other).flatten())))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining_bytes)
    }
}
