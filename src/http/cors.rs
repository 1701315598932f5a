//! What browsers are told about pages of other origins: the settings `core.https_allowed_*`.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::settings::Values;

/// The settings whose text is sent as it is, and the header each is sent in.
const VERBATIM: &[(&str, HeaderName)] = &[
    (
        "core.https_allowed_origin",
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
    ),
    (
        "core.https_allowed_methods",
        header::ACCESS_CONTROL_ALLOW_METHODS,
    ),
    (
        "core.https_allowed_headers",
        header::ACCESS_CONTROL_ALLOW_HEADERS,
    ),
];

/// Whether the request says which page it comes from.
pub(super) fn has_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN);
    origin.is_some_and(|origin| !origin.is_empty())
}

/// The headers that an answer gets.
// LXD: on every answer, errors too; credentials even to requests without an origin; the origin is
// never compared with the one the request names.
pub(super) fn headers(settings: &Values, has_origin: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (key, name) in VERBATIM {
        let text = settings.get(*key).filter(|_| has_origin);
        let value = text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok());
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if settings
        .get("core.https_allowed_credentials")
        .is_some_and(|text| text == "true")
    {
        let allowed = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, allowed);
    }
    headers
}
