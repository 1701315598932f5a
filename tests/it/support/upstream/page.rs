//! What a server says, and how it misbehaves.

use std::sync::Arc;

use serde_json::Value;

use crate::support::fingerprint;

/// What a server says at a path.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Arc<[u8]>,
}

impl Page {
    /// A file, with an entity tag.
    pub(crate) fn file(body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let tag = format!("\"{}\"", &fingerprint(&[body])[..16]);
        Self::bare(body).header("ETag", &tag)
    }

    /// A file of which nothing is told.
    pub(crate) fn bare(body: impl AsRef<[u8]>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.as_ref().into(),
        }
    }

    /// A JSON document.
    pub(crate) fn json(value: &Value) -> Self {
        Self::file(value.to_string()).header("Content-Type", "application/json")
    }

    /// A status and nothing else worth reading.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::bare("<html>never shown</html>")
        }
    }

    /// Somewhere else.
    pub(crate) fn redirect(to: &str) -> Self {
        Self::status(302).header("Location", to)
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same under another status.
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same without its headers.
    pub(crate) fn without_headers(&self) -> Self {
        Self::bare(&self.body)
    }

    /// The same with another text for one, wherever it stands.
    pub(crate) fn replaced(&self, old: &str, new: &str) -> Self {
        let body = &self.body;
        let replaced = std::str::from_utf8(body).map(|text| text.replace(old, new));
        let page = Self::file(replaced.map_or_else(|_| body.to_vec(), String::into_bytes));
        let headers = self.headers.iter().filter(|(name, _)| name != "ETag");
        headers.fold(page, |page, (name, value)| {
            page.header(name, &value.replace(old, new))
        })
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// How a server misbehaves. Places are counted from the beginning of the whole file, also where
/// only its end was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Resets the connection instead of answering.
    Refuse,
    /// Takes no more of the request, and says nothing, until it is released.
    Silent,
    /// Resets the connection at a place.
    Reset(usize),
    /// Announces the whole file and closes at a place.
    Close(usize),
    /// Tells no length and closes at a place.
    Unframed(usize),
    /// Says nothing more from a place on.
    Stall(usize),
    /// Waits at a place until it is released.
    Hold(usize),
    /// Sends a byte a second.
    Drip,
    /// Sends the file in chunks, and goes on without end.
    Endless,
    /// Sends all of the file, whatever part of it is asked for.
    WholeAgain,
    /// Says something else.
    Say(Page),
    /// Sends these bytes, and closes.
    Raw(Vec<u8>),
}
