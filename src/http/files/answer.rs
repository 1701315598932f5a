//! The answers themselves: status, headers and what the body is made of.

use std::{fmt::Display, fs::File, sync::Arc};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::StreamBody;

use super::{
    Download, Lease, Part,
    body::FileBody,
    conditions::{self, Current, Verdict},
    content::{Content, Piece},
    date,
    range::{self, Range, Refusal},
};
use crate::multipart::form;

const OCTET_STREAM: &str = "application/octet-stream";

/// See [`super::unified`].
pub(super) fn unified(download: Download, method: &Method, request: &HeaderMap) -> Response {
    let etag = download
        .etag
        .as_deref()
        .map(form::quoted)
        .unwrap_or_default();
    // Go takes the epoch for "unknown".
    let known = download.modified.filter(|time| time.unix_timestamp() != 0);
    let modified = known.and_then(|time| time.replace_nanosecond(0).ok());
    let current = Current {
        etag: &etag,
        modified,
    };
    let mut answer = described(&download, &current);
    match conditions::check(request, &current) {
        Verdict::NotModified => not_modified(answer),
        Verdict::Failed => {
            set(&mut answer, header::CONTENT_TYPE, OCTET_STREAM);
            literal(answer, StatusCode::PRECONDITION_FAILED, "", method)
        }
        Verdict::Send(None) => send(answer, download, &[], method),
        Verdict::Send(Some(wanted)) => match range::parse(wanted, download.size_bytes) {
            Ok(ranges) => send(answer, download, &ranges, method),
            Err(refusal) => not_satisfiable(answer, refusal, download.size_bytes, method),
        },
    }
}

/// See [`super::split`].
pub(super) fn split(parts: Vec<Part>, method: &Method, lease: Lease) -> Response {
    let mut answer = Response::default();
    let boundary = form::boundary();
    set(
        &mut answer,
        header::CONTENT_TYPE,
        format_args!("multipart/form-data; boundary={boundary}"),
    );
    let names: Vec<&str> = parts.iter().map(|part| part.filename.as_str()).collect();
    let names = names.join(" ");
    let mut content = Content::default();
    for (index, part) in parts.into_iter().enumerate() {
        let (name, filename) = (form::quoted(&part.name), form::quoted(&part.filename));
        let disposition = format!("form-data; name={name}; filename={filename}");
        let headers = [
            ("Content-Disposition", &*disposition),
            ("Content-Type", OCTET_STREAM),
        ];
        content.push(Piece::Text(form::part_head(&boundary, index, headers)));
        let (file, length) = (Arc::new(part.file), part.size_bytes);
        content.push(Piece::Stretch {
            file,
            offset: 0,
            length,
        });
    }
    content.push(Piece::Text(form::end(&boundary)));
    deliver(answer, FileBody::new(names, content, lease), method)
}

/// What every answer about this file says, also 304, 412 and 416.
fn described(download: &Download, current: &Current<'_>) -> Response {
    let mut answer = Response::default();
    let filename = form::token_or_quoted(&download.filename);
    set(
        &mut answer,
        header::CONTENT_DISPOSITION,
        format_args!("inline;filename={filename}"),
    );
    if let Some(text) = current.modified.and_then(date::format) {
        set(&mut answer, header::LAST_MODIFIED, text);
    }
    if !current.etag.is_empty() {
        set(&mut answer, header::ETAG, current.etag);
    }
    answer
}

/// 200 with the whole file, or 206 with `ranges` of it.
fn send(mut answer: Response, download: Download, ranges: &[Range], method: &Method) -> Response {
    let size = download.size_bytes;
    set(&mut answer, header::ACCEPT_RANGES, "bytes");
    set(&mut answer, header::CONTENT_TYPE, OCTET_STREAM);
    if !ranges.is_empty() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let file = Arc::new(download.file);
    let mut content = Content::default();
    match ranges {
        [] => content.push(stretch(
            &file,
            Range {
                start: 0,
                length: size,
            },
        )),
        [range] => {
            set(
                &mut answer,
                header::CONTENT_RANGE,
                range.content_range(size),
            );
            content.push(stretch(&file, *range));
        }
        _ => {
            let boundary = form::boundary();
            let kind = format_args!("multipart/byteranges; boundary={boundary}");
            set(&mut answer, header::CONTENT_TYPE, kind);
            content = byteranges(&file, ranges, size, &boundary);
        }
    }
    deliver(
        answer,
        FileBody::new(download.filename, content, download.lease),
        method,
    )
}

/// Several stretches, each under a header that says where it belongs.
fn byteranges(file: &Arc<File>, ranges: &[Range], size: u64, boundary: &str) -> Content {
    let mut content = Content::default();
    for (index, range) in ranges.iter().enumerate() {
        let place = range.content_range(size);
        let headers = [("Content-Range", &*place), ("Content-Type", OCTET_STREAM)];
        content.push(Piece::Text(form::part_head(boundary, index, headers)));
        content.push(stretch(file, *range));
    }
    content.push(Piece::Text(form::end(boundary)));
    content
}

fn stretch(file: &Arc<File>, range: Range) -> Piece {
    Piece::Stretch {
        file: Arc::clone(file),
        offset: range.start,
        length: range.length,
    }
}

/// The answer with its length, and with its body unless only the headers were asked for.
fn deliver(mut answer: Response, body: FileBody, method: &Method) -> Response {
    set(&mut answer, header::CONTENT_LENGTH, body.size_bytes());
    if method != Method::HEAD {
        *answer.body_mut() = Body::new(body);
    }
    answer
}

/// 416 in Go's words.
fn not_satisfiable(mut answer: Response, refusal: Refusal, size: u64, method: &Method) -> Response {
    if refusal == Refusal::NoOverlap {
        set(
            &mut answer,
            header::CONTENT_RANGE,
            format_args!("bytes */{size}"),
        );
    }
    set(
        &mut answer,
        header::CONTENT_TYPE,
        "text/plain; charset=utf-8",
    );
    set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    literal(
        answer,
        StatusCode::RANGE_NOT_SATISFIABLE,
        refusal.text(),
        method,
    )
}

/// An answer whose body is `text`.
fn literal(
    mut answer: Response,
    status: StatusCode,
    text: &'static str,
    method: &Method,
) -> Response {
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_LENGTH, text.len());
    if method != Method::HEAD {
        *answer.body_mut() = Body::from(text);
    }
    answer
}

/// The answer 304. Its body is empty but does not say so: axum would announce a length of 0, which
/// a cache may take for the length of the file.
fn not_modified(mut answer: Response) -> Response {
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    let nothing = futures_util::stream::empty::<Result<http_body::Frame<Bytes>, axum::Error>>();
    *answer.body_mut() = Body::new(StreamBody::new(nothing));
    answer
}

/// Sets a header whose value was made here, of characters that headers may have.
fn set(answer: &mut Response, name: HeaderName, value: impl Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        answer.headers_mut().insert(name, value);
    }
}
