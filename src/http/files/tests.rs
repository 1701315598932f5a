//! The tables of what LXD answers, through the same server code that real clients talk to.

use std::{
    io::Write,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::response::Response;
use http::{HeaderMap, HeaderName, Method, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const SIZE: usize = 10240;
const EXACT: &str = "Tue, 24 Nov 2026 08:54:24 GMT";
const OLDER: &str = "Thu, 01 Jan 2009 00:00:00 GMT";

fn bytes_of(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

fn file_of(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

fn download(size: usize) -> Download {
    let mut download = Download::new(file_of(&bytes_of(size)), "fp.tar")
        .unwrap()
        .tagged("fp");
    download.modified = Some(datetime!(2026-11-24 08:54:24.4 UTC));
    download
}

fn request(headers: &[(HeaderName, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (name.clone(), value.parse().unwrap()))
        .collect()
}

fn get(headers: &[(HeaderName, &str)]) -> Response {
    unified(download(SIZE), &Method::GET, &request(headers))
}

/// Status, headers in the order of their names, and body.
async fn read(response: Response) -> (u16, Vec<String>, Vec<u8>) {
    let (head, body) = response.into_parts();
    let mut headers: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    (
        head.status.as_u16(),
        headers,
        body.collect().await.unwrap().to_bytes().to_vec(),
    )
}

fn without_boundary(headers: &[String]) -> (Vec<String>, String) {
    let kind = headers
        .iter()
        .find(|header| header.contains("boundary="))
        .unwrap();
    let boundary = kind.split("boundary=").nth(1).unwrap().to_owned();
    assert_eq!(boundary.len(), 60);
    (
        headers
            .iter()
            .map(|header| header.replace(&boundary, "B"))
            .collect(),
        boundary,
    )
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[tokio::test]
async fn a_whole_file_comes_with_these_headers() {
    let (status, headers, body) = read(get(&[])).await;
    assert_eq!(status, 200);
    assert_eq!(
        headers,
        [
            "accept-ranges: bytes",
            "content-disposition: inline;filename=fp.tar",
            "content-length: 10240",
            "content-type: application/octet-stream",
            "etag: \"fp\"",
            "last-modified: Tue, 24 Nov 2026 08:54:24 GMT",
        ]
    );
    assert_eq!(body, bytes_of(SIZE));
}

#[tokio::test]
async fn a_range_comes_with_its_place_and_length() {
    for (range, place, start, length) in [
        ("bytes=0-9", "bytes 0-9/10240", 0, 10),
        ("bytes=-5", "bytes 10235-10239/10240", 10235, 5),
        ("bytes=10230-", "bytes 10230-10239/10240", 10230, 10),
        (
            "bytes=10000-99999999",
            "bytes 10000-10239/10240",
            10000,
            240,
        ),
        ("bytes=-0", "bytes 10240-10239/10240", 10240, 0),
    ] {
        let (status, headers, body) = read(get(&[(header::RANGE, range)])).await;
        assert_eq!(status, 206, "{range}");
        assert_eq!(
            headers,
            [
                "accept-ranges: bytes",
                "content-disposition: inline;filename=fp.tar",
                &format!("content-length: {length}"),
                &format!("content-range: {place}"),
                "content-type: application/octet-stream",
                "etag: \"fp\"",
                "last-modified: Tue, 24 Nov 2026 08:54:24 GMT",
            ]
        );
        assert_eq!(body, bytes_of(SIZE)[start..start + length], "{range}");
    }
}

#[tokio::test]
async fn several_ranges_come_as_byteranges_with_the_right_length() {
    let (status, headers, body) = read(get(&[(header::RANGE, "bytes=0-1,65-66")])).await;
    let (headers, boundary) = without_boundary(&headers);
    assert_eq!(status, 206);
    assert_eq!(
        headers,
        [
            "accept-ranges: bytes",
            "content-disposition: inline;filename=fp.tar",
            &format!("content-length: {}", body.len()),
            "content-type: multipart/byteranges; boundary=B",
            "etag: \"fp\"",
            "last-modified: Tue, 24 Nov 2026 08:54:24 GMT",
        ]
    );
    assert_eq!(
        text(&body).replace(&boundary, "B"),
        "--B\r\nContent-Range: bytes 0-1/10240\r\nContent-Type: application/octet-stream\r\n\r\n\
         \0\u{1}\r\n\
         --B\r\nContent-Range: bytes 65-66/10240\r\nContent-Type: application/octet-stream\r\n\r\n\
         AB\r\n--B--\r\n"
    );
}

#[tokio::test]
async fn ranges_that_are_not_worth_it_get_the_whole_file() {
    for range in ["bytes=", "bytes=0-10239,0-10239"] {
        let (status, headers, body) = read(get(&[(header::RANGE, range)])).await;
        assert_eq!((status, body.len()), (200, SIZE), "{range}");
        assert!(headers.contains(&"content-type: application/octet-stream".to_owned()));
    }
}

#[tokio::test]
async fn a_range_behind_the_end_is_told_the_size() {
    for method in [Method::GET, Method::HEAD] {
        let wanted = request(&[(header::RANGE, "bytes=99999999-")]);
        let (status, headers, body) = read(unified(download(SIZE), &method, &wanted)).await;
        assert_eq!(status, 416);
        assert_eq!(
            headers,
            [
                "content-disposition: inline;filename=fp.tar",
                "content-length: 33",
                "content-range: bytes */10240",
                "content-type: text/plain; charset=utf-8",
                "etag: \"fp\"",
                "last-modified: Tue, 24 Nov 2026 08:54:24 GMT",
                "x-content-type-options: nosniff",
            ]
        );
        let expected = if method == Method::GET {
            "invalid range: failed to overlap\n"
        } else {
            ""
        };
        assert_eq!(text(&body), expected);
    }
}

#[tokio::test]
async fn a_malformed_range_is_not_told_the_size() {
    for range in ["bytes=5-2", "bytes=x", "items=0-1"] {
        let (status, headers, body) = read(get(&[(header::RANGE, range)])).await;
        assert_eq!((status, &*text(&body)), (416, "invalid range\n"), "{range}");
        assert!(
            !headers
                .iter()
                .any(|header| header.starts_with("content-range")),
            "{range}"
        );
        assert!(
            headers.contains(&"content-length: 14".to_owned()),
            "{range}"
        );
    }
}

#[tokio::test]
async fn what_the_client_has_already_is_not_sent() {
    for (name, value) in [
        (header::IF_MODIFIED_SINCE, EXACT),
        (header::IF_NONE_MATCH, "*"),
        (header::IF_NONE_MATCH, "\"fp\""),
    ] {
        let (status, headers, body) = read(get(&[(name, value)])).await;
        assert_eq!((status, body.len()), (304, 0), "{value}");
        assert_eq!(
            headers,
            [
                "content-disposition: inline;filename=fp.tar",
                "etag: \"fp\"",
                "last-modified: Tue, 24 Nov 2026 08:54:24 GMT",
            ]
        );
    }
    for (name, value) in [
        (header::IF_MODIFIED_SINCE, OLDER),
        (header::IF_MODIFIED_SINCE, "xx"),
        (header::IF_NONE_MATCH, "\"x\""),
    ] {
        assert_eq!(read(get(&[(name, value)])).await.0, 200, "{value}");
    }
}

#[tokio::test]
async fn what_the_client_no_longer_wants_is_not_sent() {
    for (name, value) in [
        (header::IF_UNMODIFIED_SINCE, OLDER),
        (header::IF_MATCH, "\"x\""),
    ] {
        let (status, headers, body) = read(get(&[(name, value)])).await;
        assert_eq!((status, body.len()), (412, 0), "{value}");
        assert_eq!(
            headers,
            [
                "content-disposition: inline;filename=fp.tar",
                "content-length: 0",
                "content-type: application/octet-stream",
                "etag: \"fp\"",
                "last-modified: Tue, 24 Nov 2026 08:54:24 GMT",
            ]
        );
    }
    assert_eq!(read(get(&[(header::IF_MATCH, "*")])).await.0, 200);
    assert_eq!(read(get(&[(header::IF_MATCH, "\"fp\"")])).await.0, 200);
}

#[tokio::test]
async fn a_resume_goes_on_only_with_the_same_file() {
    let resume = |value| {
        read(get(&[
            (header::RANGE, "bytes=5-"),
            (header::IF_RANGE, value),
        ]))
    };
    for same in [EXACT, "\"fp\""] {
        assert_eq!(resume(same).await.0, 206, "{same}");
    }
    for other in [OLDER, "\"x\"", "W/\"fp\""] {
        assert_eq!(resume(other).await.0, 200, "{other}");
    }
}

#[tokio::test]
async fn head_gets_the_headers_of_get_and_no_body() {
    for headers in [vec![], vec![(header::RANGE, "bytes=0-9")]] {
        let headers = request(&headers);
        let (status, expected, _) = read(unified(download(SIZE), &Method::GET, &headers)).await;
        let (head_status, got, body) = read(unified(download(SIZE), &Method::HEAD, &headers)).await;
        assert_eq!((head_status, got, body.len()), (status, expected, 0));
    }
}

#[tokio::test]
async fn without_tag_and_time_neither_is_sent() {
    let mut download = Download::new(file_of(b"x"), "a \"b\"\r\n.tar").unwrap();
    assert!(download.modified.is_some());
    download.modified = Some(OffsetDateTime::UNIX_EPOCH);
    let headers = request(&[(header::IF_MODIFIED_SINCE, EXACT)]);
    let (status, headers, _) = read(unified(download, &Method::GET, &headers)).await;
    assert_eq!(status, 200);
    assert_eq!(
        headers,
        [
            "accept-ranges: bytes",
            "content-disposition: inline;filename=\"a \\\"b\\\"__.tar\"",
            "content-length: 1",
            "content-type: application/octet-stream",
        ]
    );
}

fn parts() -> Vec<Part> {
    let part = |name: &str, filename: &str, content: &[u8]| Part {
        name: name.to_owned(),
        filename: filename.to_owned(),
        file: file_of(content),
        size_bytes: content.len() as u64,
    };
    vec![
        part("metadata", "meta-fp.tar", b"META"),
        part("rootfs", "fp.squashfs", b"ROOT"),
    ]
}

#[tokio::test]
async fn a_split_image_comes_as_a_form_that_ends_once() {
    let (status, headers, body) = read(split(parts(), &Method::GET, Box::new(()))).await;
    let (headers, boundary) = without_boundary(&headers);
    assert_eq!(status, 200);
    assert_eq!(
        headers,
        [
            &format!("content-length: {}", body.len()),
            "content-type: multipart/form-data; boundary=B",
        ]
    );
    assert_eq!(
        text(&body).replace(&boundary, "B"),
        "--B\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"meta-fp.tar\"\r\n\
         Content-Type: application/octet-stream\r\n\r\nMETA\r\n\
         --B\r\nContent-Disposition: form-data; name=\"rootfs\"; filename=\"fp.squashfs\"\r\n\
         Content-Type: application/octet-stream\r\n\r\nROOT\r\n--B--\r\n"
    );
}

#[tokio::test]
async fn head_of_a_split_image_tells_its_length() {
    let (_, expected, _) = read(split(parts(), &Method::GET, Box::new(()))).await;
    let (status, headers, body) = read(split(parts(), &Method::HEAD, Box::new(()))).await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(headers[0], expected[0]);
}

#[tokio::test]
async fn files_of_every_size_around_the_chunk_arrive_whole() {
    let chunk = body::CHUNK_BYTES;
    for size in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 5 * chunk + 7] {
        let answer = unified(download(size), &Method::GET, &HeaderMap::new());
        assert_eq!(answer.body().size_hint().exact(), Some(size as u64));
        let (_, _, body) = read(answer).await;
        assert!(body == bytes_of(size), "{size}");
    }
}

/// The same file, but not in memory (on a file system that lies in memory it stays there).
fn cold(download: Download) -> Download {
    download.file.sync_all().unwrap();
    rustix::fs::fadvise(&download.file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    download
}

#[tokio::test]
async fn files_that_have_to_be_read_from_disk_arrive_whole() {
    let chunk = body::CHUNK_BYTES;
    for size in [1, chunk, chunk + 1, 5 * chunk + 7] {
        let answer = unified(cold(download(size)), &Method::GET, &HeaderMap::new());
        assert!(read(answer).await.2 == bytes_of(size), "{size}");
        let half_cold = cold(download(size));
        half_cold.file.read_at(&mut vec![0; size / 2], 0).unwrap();
        let answer = unified(half_cold, &Method::GET, &HeaderMap::new());
        assert!(read(answer).await.2 == bytes_of(size), "{size}");
    }
}

#[tokio::test]
async fn a_chunk_from_disk_that_is_still_being_sent_is_not_overwritten() {
    let size = 6 * body::CHUNK_BYTES;
    let mut body = unified(cold(download(size)), &Method::GET, &HeaderMap::new()).into_body();
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        kept.push(frame.unwrap().into_data().unwrap());
    }
    assert!(kept.concat() == bytes_of(size));
}

#[tokio::test]
async fn a_file_from_disk_that_is_shorter_than_promised_fails_the_body() {
    let mut download = cold(download(body::CHUNK_BYTES));
    download.size_bytes += 1;
    let body = unified(download, &Method::GET, &HeaderMap::new()).into_body();
    assert!(body.collect().await.is_err());
}

/// Tells whether it was dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn leased(size: usize) -> (Download, impl Fn() -> bool) {
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Flag(Arc::clone(&dropped));
    (
        Download {
            lease: Box::new(flag),
            ..download(size)
        },
        move || dropped.load(Ordering::SeqCst),
    )
}

#[tokio::test]
async fn the_lease_is_held_until_the_last_chunk() {
    let (download, is_free) = leased(body::CHUNK_BYTES + 1);
    let mut body = unified(download, &Method::GET, &HeaderMap::new()).into_body();
    assert!(!is_free());
    assert_eq!(
        body.frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
            .len(),
        body::CHUNK_BYTES
    );
    assert!(!is_free());
    assert_eq!(
        body.frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
            .len(),
        1
    );
    assert!(is_free() && body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn the_lease_is_free_when_the_client_goes_or_wants_only_headers() {
    let (download, is_free) = leased(3 * body::CHUNK_BYTES);
    let mut body = unified(download, &Method::GET, &HeaderMap::new()).into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(is_free());
    let (download, is_free) = leased(1);
    let answer = unified(download, &Method::HEAD, &HeaderMap::new());
    assert!(is_free());
    drop(answer);
}

#[tokio::test]
async fn chunks_are_used_again_once_they_are_sent() {
    let mut body = unified(
        download(8 * body::CHUNK_BYTES),
        &Method::GET,
        &HeaderMap::new(),
    );
    let mut places = std::collections::HashSet::new();
    while let Some(frame) = body.body_mut().frame().await {
        places.insert(frame.unwrap().into_data().unwrap().as_ptr());
    }
    assert!(places.len() <= 3, "{}", places.len());
}

#[tokio::test]
async fn a_chunk_that_is_still_being_sent_is_not_overwritten() {
    let size = 6 * body::CHUNK_BYTES;
    let mut body = unified(download(size), &Method::GET, &HeaderMap::new()).into_body();
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        kept.push(frame.unwrap().into_data().unwrap());
    }
    assert!(kept.concat() == bytes_of(size));
}

#[tokio::test]
async fn a_file_that_is_cut_during_the_transfer_fails_the_body() {
    let chunk = body::CHUNK_BYTES;
    let file = file_of(&bytes_of(4 * chunk));
    let other = file.try_clone().unwrap();
    let (mut download, is_free) = leased(0);
    download.file = file;
    download.size_bytes = 4 * chunk as u64;
    let mut body = unified(download, &Method::GET, &HeaderMap::new()).into_body();
    body.frame().await.unwrap().unwrap();
    other.set_len(chunk as u64 + 1).unwrap();
    // One chunk may have been read ahead.
    let mut result = body.frame().await.unwrap();
    if result.is_ok() {
        result = body.frame().await.unwrap();
    }
    assert!(result.is_err());
    assert!(is_free());
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn a_file_that_is_deleted_or_grows_during_the_transfer_arrives_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let size = 3 * body::CHUNK_BYTES;
    std::fs::write(&path, bytes_of(size)).unwrap();
    let download = Download::new(File::open(&path).unwrap(), "x").unwrap();
    let answer = unified(download, &Method::GET, &HeaderMap::new());
    let writer = File::options().write(true).open(&path).unwrap();
    writer.write_all_at(b"more", size as u64).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(read(answer).await.2 == bytes_of(size));
}

/// What a client that sends `request` reads until the connection closes.
async fn over_the_wire(request: &str, answer: fn(&Method, &HeaderMap) -> Response) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let router = axum::Router::new().route(
        "/",
        axum::routing::any(move |method: Method, headers: HeaderMap| async move {
            answer(&method, &headers)
        }),
    );
    let service = hyper_util::service::TowerToHyperService::new(router);
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
    let mut answer = Vec::new();
    let talk = async {
        client.write_all(request.as_bytes()).await.unwrap();
        client.read_to_end(&mut answer).await.unwrap();
    };
    let (_, ()) = tokio::join!(connection, talk);
    answer
}

fn head_of(answer: &[u8]) -> String {
    text(answer)
        .split("\r\n\r\n")
        .next()
        .unwrap()
        .to_lowercase()
}

#[tokio::test]
async fn a_not_modified_answer_announces_no_length() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: \"fp\"\r\n\r\n";
    let answer = over_the_wire(request, |method, headers| {
        unified(download(SIZE), method, headers)
    })
    .await;
    let head = head_of(&answer);
    assert!(head.starts_with("http/1.1 304"), "{head}");
    assert!(
        !head.contains("content-length") && !head.contains("transfer-encoding"),
        "{head}"
    );
    assert!(answer.ends_with(b"\r\n\r\n"));
}

#[tokio::test]
async fn a_head_answer_announces_the_length_of_the_file() {
    let request = "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = over_the_wire(request, |method, headers| {
        unified(download(SIZE), method, headers)
    })
    .await;
    assert!(
        head_of(&answer).contains("content-length: 10240"),
        "{}",
        head_of(&answer)
    );
    assert!(answer.ends_with(b"\r\n\r\n"));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_cuts_the_connection() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let short = |method: &Method, headers: &HeaderMap| {
        let mut download = download(3 * body::CHUNK_BYTES);
        download.size_bytes += 1;
        unified(download, method, headers)
    };
    let answer = over_the_wire(request, short).await;
    let promised = 3 * body::CHUNK_BYTES + 1;
    assert!(head_of(&answer).contains(&format!("content-length: {promised}")));
    let received = answer.len() - head_of(&answer).len() - 4;
    assert!(received < promised, "{received}");
}

#[tokio::test]
async fn a_split_image_that_cannot_be_read_never_ends_well_formed() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let short = |method: &Method, _: &HeaderMap| {
        let mut parts = parts();
        parts[0].size_bytes += 1;
        split(parts, method, Box::new(()))
    };
    let answer = text(&over_the_wire(request, short).await);
    assert!(!answer.contains("--\r\n"), "{answer}");
}
