//! Pages of other sites: what they have a browser send carries the browser's own client
//! certificate, so a request that would change something is refused when its headers show that
//! it comes from one.
//!
//! `lxc`, pylxd and curl send none of these headers, or origins that no browser sends.

use axum::http::{HeaderMap, Method, Uri, header, uri::Authority};

use super::call::text;
use crate::{
    error::{Error, Result},
    settings::Values,
};

/// Refuses a change, or a websocket, that a page of another site asked for.
///
/// # Errors
///
/// 403.
pub(super) fn check(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    settings: &Values,
) -> Result<()> {
    let is_websocket = headers.contains_key(header::SEC_WEBSOCKET_KEY);
    let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_read && !is_websocket {
        return Ok(());
    }
    let origin = headers.get(header::ORIGIN).map(text);
    let allowed = settings.get("core.https_allowed_origin");
    let is_allowed = |origin: &str| allowed.is_some_and(|text| text == "*" || text == origin);
    if origin.is_some_and(is_allowed) {
        return Ok(());
    }
    let site = headers.get("sec-fetch-site").map(text);
    let is_elsewhere = matches!(site, Some("cross-site" | "same-site"));
    if is_elsewhere || origin.is_some_and(|origin| is_foreign(origin, host(uri, headers))) {
        return Err(Error::forbidden("Requests from other origins are refused"));
    }
    Ok(())
}

/// The host, and port if it is named, that the client wants to talk to.
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> &'r str {
    let named = uri.authority().map(Authority::as_str);
    named.unwrap_or_else(|| headers.get(header::HOST).map(text).unwrap_or_default())
}

/// Whether a browser would send this from a page of somebody else. Other schemes are of clients
/// that are no browsers (pylxd's is `wss`).
fn is_foreign(origin: &str, host: &str) -> bool {
    match origin.split_once("://") {
        // Browsers write schemes in small letters.
        Some(("http" | "https", page)) => !page.eq_ignore_ascii_case(host),
        Some(_) => false,
        // `null`: a page that hides where it comes from.
        None => !origin.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn is_refused(method: &Method, headers: &[(&'static str, &str)], allowed: &str) -> bool {
        let mut map = HeaderMap::new();
        map.insert(
            header::HOST,
            HeaderValue::from_static("server.example:8443"),
        );
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let key = "core.https_allowed_origin".to_owned();
        let settings = Values::from([(key, allowed.to_owned())]);
        let uri = Uri::from_static("/1.0/images");
        check(method, &uri, &map, &settings).is_err()
    }

    #[test]
    fn changes_from_other_pages_are_refused() {
        let evil = ("origin", "https://evil.example");
        for headers in [
            &[evil][..],
            &[("origin", "null")],
            &[("origin", "https://server.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert!(is_refused(&Method::POST, headers, ""), "{headers:?}");
            assert!(is_refused(&Method::DELETE, headers, ""), "{headers:?}");
            assert!(!is_refused(&Method::GET, headers, ""), "{headers:?}");
        }
        let websocket = [evil, ("sec-websocket-key", "x")];
        assert!(is_refused(&Method::GET, &websocket, ""));
    }

    #[test]
    fn clients_that_are_no_foreign_pages_are_not() {
        for headers in [
            &[][..],
            &[("origin", "https://server.example:8443")],
            &[
                ("origin", "https://SERVER.example:8443"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[
                ("origin", "ws+unix://localhost"),
                ("sec-websocket-key", "x"),
            ],
            &[
                ("origin", "wss://127.0.0.1:8443"),
                ("sec-websocket-key", "x"),
            ],
            &[("origin", "")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!is_refused(&Method::POST, headers, ""), "{headers:?}");
        }
    }

    #[test]
    fn the_administrator_may_allow_a_page() {
        let page = [
            ("origin", "https://page.example"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(is_refused(&Method::POST, &page, "https://other.example"));
        assert!(!is_refused(&Method::POST, &page, "https://page.example"));
        assert!(!is_refused(&Method::POST, &page, "*"));
    }
}
