//! The one error of the daemon: what the client may read, and what the log needs.
//!
//! Deliberately absent: conversions that guess. A failing database or file system call becomes an
//! [`Error`] where the caller knows which client-visible text and status it deserves.

use std::{fmt, io};

/// The outcome of nearly everything here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; the HTTP layer maps each to one status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 400: the request makes no sense.
    BadRequest,
    /// 403: the caller may not do this.
    Forbidden,
    /// 404: no such thing, or not yours to know about.
    NotFound,
    /// 409: something of that name exists.
    Conflict,
    /// 412: the `ETag` the client sent is not the current one.
    PreconditionFailed,
    /// 413: larger than a fixed limit.
    TooLarge,
    /// 500: everything else. LXD uses it for many a refusal too.
    Failed,
    /// 501: the path exists, this method on it does not.
    NotImplemented,
    /// 503: starting or shutting down.
    Unavailable,
}

/// A failure: `message` is for the client, in LXD's wording; `source` is for the log only.
#[derive(Debug)]
pub(crate) struct Error {
    kind: Kind,
    message: String,
    source: Option<anyhow::Error>,
}

impl Error {
    /// An error of `kind` that shows `message` to the client.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// 400 with this text.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// 403 with LXD's text for callers who lack a permission.
    pub(crate) fn not_authorized() -> Self {
        Self::new(Kind::Forbidden, "not authorized")
    }

    /// 403 with this text.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// 404 with this text.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// 409 with this text.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// 500 with this text: a refusal, or a failure that has no finer status.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// 500 for a failure of ours: the client reads `message`, the log gets the cause.
    pub(crate) fn internal(message: impl Into<String>, source: impl Into<anyhow::Error>) -> Self {
        Self {
            kind: Kind::Failed,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// What kind of failure it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The text for the client.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The cause, for the log.
    pub(crate) fn cause(&self) -> Option<&anyhow::Error> {
        self.source.as_ref()
    }

    /// The same error with `prefix: ` before its message, as LXD wraps errors on their way up.
    pub(crate) fn context(mut self, prefix: impl fmt::Display) -> Self {
        self.message = format!("{prefix}: {}", self.message);
        self
    }

    /// Keeps the text and changes the kind.
    pub(crate) fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    /// The client reads the plain reason ("No space left on device"), without the errno. An error
    /// of ours that went through a writer or a reader comes out as it was.
    fn from(error: io::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        let text = error.to_string();
        let reason = text
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .to_owned();
        Self::internal(reason, error)
    }
}

/// Adds a prefix to the error of a result.
pub(crate) trait Context<T> {
    /// See [`Error::context`].
    fn context(self, prefix: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, prefix: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_shows_its_reason_and_keeps_its_cause_for_the_log() {
        let error = Error::from(io::Error::from_raw_os_error(28)).context("write image");
        assert_eq!(error.message(), "write image: No space left on device");
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.cause().is_some());
    }

    #[test]
    fn an_error_of_ours_comes_through_a_writer_as_it_was() {
        let error = Error::from(io::Error::other(Error::not_found("gone")));
        assert_eq!((error.kind(), error.message()), (Kind::NotFound, "gone"));
    }
}
