//! Intake of split images: `multipart/form-data` with the parts `metadata` and then `rootfs`.
//!
//! The parts are handed on as they arrive; nothing but the last piece is in memory. What is
//! accepted and what refused follows Go's `mime/multipart`, on which clients were tested: lines may
//! end with LF only, there may be a preamble, a delimiter at the very end ends a part. The library
//! `multer` is deliberately not used: it refuses all of these, reads as far ahead as the source
//! gives, and does not bound part headers.
//! Start with [`boundary`] and [`Multipart`].

mod delimiter;
mod disposition;
pub(crate) mod form;
mod headers;
mod input;
mod media_type;
mod quote;
#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;

use self::{
    delimiter::{Delimiter, Line, Scan},
    disposition::Disposition,
    input::{Input, Text},
};
use crate::error::{Error, Result};

/// The longest line before or between parts, with its end. LXD: Go's buffer size.
const MAX_LINE_BYTES: usize = 4096;

/// How much is read and thrown away: what stands before the first part, what was left of a part,
/// and what stands behind the last one.
const MAX_IGNORED_BYTES: u64 = 64 * 1024 * 1024;

/// The boundary, if a request with this `Content-Type` is a split image; otherwise it is a unified
/// one. The boundary is empty when the parameter is missing: then [`Multipart`] refuses.
///
/// LXD: a malformed header, also an empty boundary without quotes, makes the body a unified image.
pub(crate) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let kind = media_type::parse(content_type).filter(|kind| kind.essence == "multipart/form-data");
    kind.map(|kind| kind.param("boundary").unwrap_or_default())
}

/// A split image on its way in.
///
/// All errors carry Go's texts, which end up in the operation; an error of the body itself is
/// handed on as it is.
pub(crate) struct Multipart<S> {
    input: Input<S>,
    delimiter: Delimiter,
    parts: usize,
    inside: Option<Inside>,
    ignored_bytes: u64,
}

/// Where in a part's data the input stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Before its first byte, where a delimiter needs no line end in front of it.
    Start,
    /// Behind its first byte.
    Data,
}

impl<S, E> Multipart<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: Into<Error> + Send,
{
    /// Reads `body`, whose parts are separated by `boundary`.
    pub(crate) fn new(body: S, boundary: &[u8]) -> Self {
        let (input, delimiter) = (Input::new(body), Delimiter::new(boundary));
        Self {
            input,
            delimiter,
            parts: 0,
            inside: None,
            ignored_bytes: 0,
        }
    }

    /// The first part, which has to be called `metadata`.
    ///
    /// # Errors
    ///
    /// `Invalid multipart image` when it is called otherwise; else as [`Self::next_part`].
    pub(crate) async fn metadata(&mut self) -> Result<Part<'_, S>> {
        self.next_part().await?.called(&["metadata"])
    }

    /// The second part, which has to be called `rootfs` (a container) or `rootfs.img` (a virtual
    /// machine).
    ///
    /// # Errors
    ///
    /// `Invalid multipart image` when it is called otherwise; else as [`Self::next_part`].
    pub(crate) async fn rootfs(&mut self) -> Result<Part<'_, S>> {
        self.next_part().await?.called(&["rootfs", "rootfs.img"])
    }

    /// The next part, whatever it is called. What was not read of the one before is skipped.
    ///
    /// # Errors
    ///
    /// `EOF` when there is no further part; `multipart: ...` or `malformed MIME header...` when
    /// this is not multipart data; what the body failed with.
    pub(crate) async fn next_part(&mut self) -> Result<Part<'_, S>> {
        if self.delimiter.has_empty_boundary() {
            return Err(Error::failed("multipart: boundary is empty"));
        }
        self.skip_part().await?;
        self.find_part().await?;
        self.parts += 1;
        let disposition = headers::read(&mut self.input).await?;
        self.inside = Some(Inside::Start);
        Ok(Part {
            disposition,
            multipart: self,
        })
    }

    /// Reads the rest of the body, so that the client can finish sending before it gets an answer.
    /// LXD: further parts and whatever follows them are ignored.
    ///
    /// # Errors
    ///
    /// `multipart: message too large` when there is far more; what the body failed with.
    pub(crate) async fn finish(mut self) -> Result<()> {
        loop {
            let rest = self.input.take_all();
            self.ignore(rest.len())?;
            if !self.input.more().await? {
                return Ok(());
            }
        }
    }

    /// Skips what was not read of the part before.
    async fn skip_part(&mut self) -> Result<()> {
        while self.inside.is_some() {
            let Some(data) = std::future::poll_fn(|context| self.poll_data(context)).await? else {
                break;
            };
            self.ignore(data.len())?;
        }
        Ok(())
    }

    /// Goes behind the delimiter in front of the next part.
    async fn find_part(&mut self) -> Result<()> {
        let mut after_line_end = false;
        loop {
            let line = match self.input.line(MAX_LINE_BYTES).await? {
                Text::Line(line) => line,
                Text::TooLong => {
                    return Err(Error::failed("multipart: NextPart: bufio: buffer full"));
                }
                Text::Rest(rest) if self.delimiter.is_end(&rest) => {
                    return Err(Error::failed("EOF"));
                }
                Text::Rest(_) => return Err(Error::failed("multipart: NextPart: EOF")),
            };
            match self.delimiter.judge(&line, self.parts == 0) {
                Line::Delimiter => return Ok(()),
                Line::End => return Err(Error::failed("EOF")),
                _ if after_line_end => {
                    return Err(unexpected("expecting a new Part; got line", &line));
                }
                _ if self.parts == 0 => self.ignore(line.len())?,
                Line::Empty => after_line_end = true,
                Line::Other => return Err(unexpected("unexpected line in Next():", &line)),
            }
        }
    }

    /// Counts bytes that nobody reads.
    fn ignore(&mut self, count: usize) -> Result<()> {
        self.ignored_bytes += count as u64;
        if self.ignored_bytes > MAX_IGNORED_BYTES {
            return Err(too_large());
        }
        Ok(())
    }

    /// The next bytes of the current part; `None` at its end.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        while let Some(inside) = self.inside {
            let (window, ended) = (self.input.window(), self.input.has_ended());
            match self.delimiter.scan(window, inside == Inside::Start, ended) {
                Scan::Data(count) => {
                    self.inside = Some(Inside::Data);
                    return Poll::Ready(Ok(Some(self.input.take(count))));
                }
                Scan::End => self.inside = None,
                Scan::NeedMore if ended => {
                    self.inside = None;
                    return Poll::Ready(Err(Error::failed("unexpected EOF")));
                }
                Scan::NeedMore => match self.input.poll_more(context) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        self.inside = None;
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
        Poll::Ready(Ok(None))
    }
}

/// One part: what it is called, and its data as a stream that ends with the part.
pub(crate) struct Part<'a, S> {
    disposition: Disposition,
    multipart: &'a mut Multipart<S>,
}

impl<S> Part<'_, S> {
    /// The form's name for it; empty when it is not form data or has no name.
    pub(crate) fn name(&self) -> &str {
        &self.disposition.name
    }

    /// The last component of the file name that the client gave; empty when it gave none.
    /// Only to be shown: it may be `..` or `/`.
    pub(crate) fn filename(&self) -> &str {
        &self.disposition.filename
    }

    fn called(self, names: &[&str]) -> Result<Self> {
        if names.contains(&self.name()) {
            return Ok(self);
        }
        Err(Error::failed("Invalid multipart image"))
    }
}

impl<S, E> Stream for Part<'_, S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: Into<Error> + Send,
{
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.multipart.poll_data(context).map(Result::transpose)
    }
}

/// More than is read of what nobody wants, or of a part's headers.
fn too_large() -> Error {
    Error::failed("multipart: message too large")
}

fn unexpected(what: &str, line: &[u8]) -> Error {
    Error::failed(format!("multipart: {what} {}", quote::quote(line)))
}
