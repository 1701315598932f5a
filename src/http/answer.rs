//! Answers, and the envelope LXD puts around each.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use bytes::Bytes;
use serde::Serialize;

use super::lasting::Kept;
use crate::{
    api::{json, objects::OperationObject},
    error::{Error, Kind, Result},
};

/// What a handler returns.
pub(crate) enum Answer {
    /// Something to read.
    Sync(Kept),
    /// Something was made, at this URL.
    Created(String),
    /// An operation was begun.
    Async(Box<OperationObject>),
    /// Something that is not LXD's envelope: a file, a websocket.
    Raw(Response<Body>),
}

impl Answer {
    /// Something to read.
    pub(crate) fn sync(value: &impl Serialize) -> Result<Self> {
        Ok(Self::Sync(Kept {
            body: enveloped(value)?,
            etag: None,
        }))
    }

    /// Something to read that can be edited: `tagged` is what its `ETag` is made from.
    pub(crate) fn tagged(value: &impl Serialize, tagged: &impl Serialize) -> Result<Self> {
        Ok(Self::Sync(Kept {
            body: enveloped(value)?,
            etag: Some(json::etag(tagged)),
        }))
    }

    /// Done; there is nothing to return.
    pub(crate) fn done() -> Self {
        Self::Sync(Kept {
            body: [SUCCESS, b"{}}\n"].concat().into(),
            etag: None,
        })
    }

    /// An operation was begun.
    pub(crate) fn operation(operation: OperationObject) -> Self {
        Self::Async(Box::new(operation))
    }

    /// The response on the wire.
    pub(crate) fn render(self) -> Response<Body> {
        match self {
            Self::Sync(kept) => sync(kept),
            Self::Created(location) => created(&location),
            Self::Async(operation) => accepted(&operation),
            Self::Raw(response) => response,
        }
    }
}

const SUCCESS: &[u8] = br#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":"#;

/// The whole body of an answer to something that can be read.
fn enveloped(value: &impl Serialize) -> Result<Bytes> {
    let mut body = SUCCESS.to_vec();
    serde_json::to_writer(&mut body, value)
        .map_err(|error| Error::internal("Failed to write the answer", error))?;
    body.extend(b"}\n");
    Ok(body.into())
}

fn sync(kept: Kept) -> Response<Body> {
    let mut response = json_response(StatusCode::OK, kept.body);
    let etag = kept
        .etag
        .and_then(|etag| HeaderValue::from_str(&format!("\"{etag}\"")).ok());
    if let Some(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn created(location: &str) -> Response<Body> {
    let body = [SUCCESS, b"null}\n"].concat();
    with_location(json_response(StatusCode::CREATED, body), location)
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    status_code: u16,
    operation: &'a str,
    error_code: u16,
    error: &'a str,
    metadata: T,
}

fn accepted(operation: &OperationObject) -> Response<Body> {
    let url = format!("/1.0/operations/{}", operation.id);
    let envelope = Envelope {
        kind: "async",
        status: "Operation created",
        status_code: 100,
        operation: &url,
        error_code: 0,
        error: "",
        metadata: operation,
    };
    let mut body = to_json(&envelope).unwrap_or_default();
    body.push(b'\n');
    with_location(json_response(StatusCode::ACCEPTED, body), &url)
}

/// The response for an error. The cause is logged here, once.
pub(crate) fn failure(error: &Error) -> Response<Body> {
    if let Some(cause) = error.cause() {
        tracing::error!(%error, cause = format!("{cause:#}"), "request failed");
    }
    let status = status_of(error.kind());
    let envelope = Envelope {
        kind: "error",
        status: "",
        status_code: 0,
        operation: "",
        error_code: status.as_u16(),
        error: error.message(),
        metadata: (),
    };
    // LXD: two line ends, and `<>&` escaped, in errors only.
    let mut body = json::to_go_json(&envelope, json::Html::Escaped);
    body.extend(b"\n\n");
    let mut response = json_response(status, body);
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest => StatusCode::BAD_REQUEST,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn json_response(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn with_location(mut response: Response<Body>, location: &str) -> Response<Body> {
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal("Failed to write the answer", error))
}
