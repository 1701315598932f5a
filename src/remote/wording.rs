//! What clients read when another server cannot be spoken to: Go's words, with the URL.

use std::{error::Error as StdError, fmt::Display, io, time::Duration};

use reqwest::Url;
use rustls::CertificateError;

use super::reach::{self, Refused};
use crate::error::{Error, Kind};

/// A URL as clients may see it: without secrets.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    let hidden = url.password().map(|_| "xxxxx");
    if hidden.is_some() && shown.set_password(hidden).is_err() {
        return String::new();
    }
    if url.query().is_some() {
        let pairs = url.query_pairs();
        let kept: Vec<_> = pairs.filter(|(key, _)| key != "secret").collect();
        shown.set_query(None);
        if !kept.is_empty() {
            shown.query_pairs_mut().extend_pairs(kept);
        }
    }
    shown.into()
}

/// A server that may do better the next time.
pub(super) fn unavailable(message: impl Into<String>) -> Error {
    Error::new(Kind::Unavailable, message)
}

/// `Get "URL": what`.
pub(super) fn failed(method: &str, url: &Url, what: impl Display) -> Error {
    unavailable(format!("{method} \"{}\": {what}", shown(url)))
}

/// A server that has not said anything for so long.
pub(super) fn silent(method: &str, url: &Url, idle: Duration) -> Error {
    failed(
        method,
        url,
        format_args!("nothing came for {} seconds", idle.as_secs()),
    )
}

/// LXD's text for other bytes, or another image, than asked for, and where they came from.
pub(crate) fn mismatch(got: &str, expected: &str, from: &str) -> Error {
    Error::failed(format!(
        "Image fingerprint doesn't match. Got {got} expected {expected}, from {from}"
    ))
}

/// Why a request was not answered.
pub(super) fn describe(method: &str, url: &Url, error: &reqwest::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut last: Option<String> = None;
    while let Some(found) = cause {
        if let Some(known) = known(method, url, found) {
            return known;
        }
        last = Some(found.to_string());
        // What an I/O error wraps is not its source.
        let inner = found
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => found.source(),
        };
    }
    if error.is_timeout() {
        return unreachable(method, url, "i/o timeout");
    }
    failed(method, url, last.unwrap_or_default())
}

/// The failures that have words of their own.
fn known(method: &str, url: &Url, cause: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(refused) = cause.downcast_ref::<Refused>() {
        return Some(match refused {
            Refused::NotAllowed => reach::refusal(),
            Refused::Unknown(_) => failed(method, url, format_args!("dial tcp: {refused}")),
        });
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        let text = certificate(url, error).unwrap_or_else(|| format!("tls: {error}"));
        return Some(failed(method, url, text).with_kind(Kind::Failed));
    }
    let error = cause.downcast_ref::<io::Error>()?;
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused",
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable",
        io::ErrorKind::HostUnreachable => "connect: no route to host",
        _ => return None,
    };
    Some(unreachable(method, url, reason))
}

fn unreachable(method: &str, url: &Url, reason: &str) -> Error {
    let host = url.host_str().unwrap_or_default();
    let address = url
        .port_or_known_default()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let what = format!("Unable to connect to: {address} ([dial tcp {address}: {reason}])");
    failed(method, url, what)
}

/// What is wrong with a server's certificate.
fn certificate(url: &Url, error: &rustls::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(error) = error else {
        return None;
    };
    let text = match error {
        CertificateError::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "certificate has expired or is not yet valid".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "certificate is not valid for {}",
                url.host_str().unwrap_or_default()
            )
        }
        other => format!("certificate is not valid: {other:?}"),
    };
    Some(format!("x509: {text}"))
}
