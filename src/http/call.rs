//! One request, as handlers see it.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{Services, unread::Unread};
use crate::{
    access::{Caller, Edit},
    api::{json, objects::Requestor, url::query_pairs},
    error::{Error, Kind, Result},
};

/// How long a JSON body may take to arrive.
const JSON_WITHIN: Duration = Duration::from_mins(1);

/// The longest JSON body that is read.
pub(crate) const MAX_JSON_BYTES: usize = 1024 * 1024;

/// One request.
pub(crate) struct Call {
    /// What the handler may call.
    pub(crate) services: Arc<Services>,
    /// Who sent it.
    pub(crate) caller: Caller,
    /// Method, headers and extensions.
    pub(crate) parts: Parts,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    body: Unread,
}

impl Call {
    /// Takes a request apart. `segments` are the decoded parameters of its path, in order.
    pub(super) fn new(
        services: Arc<Services>,
        caller: Caller,
        parts: Parts,
        body: Unread,
        segments: Vec<String>,
    ) -> Self {
        let query = query_pairs(parts.uri.query().unwrap_or_default());
        Self {
            services,
            caller,
            parts,
            segments,
            query,
            body,
        }
    }

    /// The request's method.
    pub(crate) fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The request's headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header's text; empty when there is none or it is not text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers().get(name).map(text).unwrap_or_default()
    }

    /// A decoded parameter of the path, counted from 0.
    pub(crate) fn segment(&self, index: usize) -> &str {
        self.segments
            .get(index)
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// The first value of a query parameter.
    pub(crate) fn query(&self, key: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter says yes.
    pub(crate) fn has_flag(&self, key: &str) -> bool {
        let yes = ["true", "1", "yes", "on"];
        self.query(key)
            .is_some_and(|text| yes.iter().any(|word| text.eq_ignore_ascii_case(word)))
    }

    /// The project the request is about.
    pub(crate) fn project(&self) -> &str {
        project_of(&self.query)
    }

    /// Whether the caller sees what is private in that project, and may change it.
    pub(crate) fn may_use_project(&self) -> bool {
        self.caller.may_use(self.project())
    }

    /// Whether whole objects are asked for rather than URLs.
    // LXD: any integer but 0; what is no integer counts as 0.
    pub(crate) fn recursion(&self) -> bool {
        self.depth() != 0
    }

    /// How much is asked for of each object; 0 for its URL alone.
    pub(crate) fn depth(&self) -> i64 {
        let number = self.query("recursion").map(str::parse);
        number.and_then(Result::ok).unwrap_or_default()
    }

    /// Who asks, as events tell it.
    pub(crate) fn requestor(&self) -> Requestor {
        self.caller.requestor.clone()
    }

    /// Who changes something, and which state of it they last saw.
    pub(crate) fn edit(&self) -> Edit {
        let if_match = self
            .headers()
            .get("if-match")
            .and_then(|value| value.to_str().ok());
        Edit::new(self.requestor(), if_match)
    }

    /// The body, to be streamed.
    pub(crate) fn take_body(&mut self) -> Body {
        self.body.take()
    }

    /// The body, to be decoded.
    ///
    /// # Errors
    ///
    /// 413 over [`MAX_JSON_BYTES`], 400 when the client stopped sending, or took too long.
    pub(crate) async fn bytes(&mut self) -> Result<Bytes> {
        let limited = Limited::new(self.take_body(), MAX_JSON_BYTES).collect();
        match tokio::time::timeout(JSON_WITHIN, limited).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) | Err(_) => Err(Error::bad_request("unexpected EOF")),
        }
    }

    /// The body as one of LXD's request structs.
    ///
    /// # Errors
    ///
    /// 400 with Go's text.
    pub(crate) async fn json<T: json::Decode>(&mut self) -> Result<T> {
        json::decode(&self.bytes().await?)
    }
}

/// The project that a query names.
pub(super) fn project_of(query: &[(String, String)]) -> &str {
    let named = query.iter().find(|(key, _)| key == "project");
    let named = named.map(|(_, name)| name.as_str());
    named.filter(|name| !name.is_empty()).unwrap_or("default")
}

/// A header's text. Go sends what is not ASCII as UTF-8.
pub(crate) fn text(value: &HeaderValue) -> &str {
    std::str::from_utf8(value.as_bytes()).unwrap_or_default()
}

/// The answer to a JSON body that is too long.
pub(crate) fn too_large() -> Error {
    Error::new(
        Kind::TooLarge,
        format!("Request body is larger than {MAX_JSON_BYTES} bytes"),
    )
}
