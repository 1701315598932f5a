//! Downloads of images: the same bytes, ranges, conditions.

use crate::support::{
    Answer, Lximaged, Request, beyond_lxd,
    image_api::fingerprint_of,
    images,
    multipart::{Multipart, Part},
};

fn with_image() -> (Lximaged, String, Vec<u8>) {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let found = daemon.import(&packed);
    (daemon, found, packed)
}

#[track_caller]
fn get(daemon: &Lximaged, found: &str, name: &str, value: &str) -> Answer {
    let request = Request::new("GET", &format!("/1.0/images/{found}/export"));
    daemon.send(&request.header(name, value))
}

#[test]
fn an_export_is_the_uploaded_file_with_its_headers() {
    let (daemon, found, packed) = with_image();
    let answer = daemon.export(&found).answer;
    assert_eq!(answer.body, packed);
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        answer.header("content-length"),
        Some(packed.len().to_string().as_str())
    );
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    let name = format!("inline;filename={found}.tar");
    assert_eq!(answer.header("content-disposition"), Some(name.as_str()));
    assert!(answer.header("last-modified").unwrap().ends_with(" GMT"));
}

#[test]
fn a_range_gives_that_part() {
    let (daemon, found, packed) = with_image();
    let ranges = [
        ("bytes=0-9", 0..10),
        ("bytes=512-1023", 512..1024),
        ("bytes=-5", packed.len() - 5..packed.len()),
        ("bytes=10230-", 10230..packed.len()),
        ("bytes=10230-99999999", 10230..packed.len()),
    ];
    for (header, range) in ranges {
        let answer = get(&daemon, &found, "Range", header);
        let content = format!("bytes {}-{}/{}", range.start, range.end - 1, packed.len());
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (206, Some(content.as_str()))
        );
        assert_eq!(answer.body, &packed[range], "{header}");
    }
}

#[test]
fn several_ranges_come_as_parts() {
    let (daemon, found, packed) = with_image();
    let answer = get(&daemon, &found, "Range", "bytes=0-1,5-6");
    assert_eq!(answer.status, 206);
    let content_type = answer.header("content-type").unwrap();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let parts = Multipart::parse(&answer.body, boundary);
    assert_eq!(parts[1].bytes, &packed[5..7]);
    assert!(
        parts[1]
            .headers
            .contains(&format!("Content-Range: bytes 5-6/{}", packed.len()))
    );
}

#[test]
fn a_range_beyond_the_end_cannot_be_satisfied() {
    if !beyond_lxd("it announces a longer body than it sends") {
        return;
    }
    let (daemon, found, packed) = with_image();
    let answer = get(&daemon, &found, "Range", "bytes=99999999-");
    assert_eq!(answer.status, 416);
    let content = format!("bytes */{}", packed.len());
    assert_eq!(answer.header("content-range"), Some(content.as_str()));
    assert_eq!(answer.text(), "invalid range: failed to overlap\n");
    for malformed in ["bytes=5-2", "bytes=x", "items=0-1"] {
        let answer = get(&daemon, &found, "Range", malformed);
        assert_eq!(
            (answer.status, answer.text()),
            (416, "invalid range\n".to_owned())
        );
    }
}

#[test]
fn ranges_larger_than_the_file_give_the_file() {
    let (daemon, found, packed) = with_image();
    for header in ["bytes=0-,0-,0-", "bytes="] {
        let answer = get(&daemon, &found, "Range", header);
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, packed.len()),
            "{header}"
        );
    }
}

#[test]
fn an_unchanged_image_is_not_sent_again() {
    let (daemon, found, _) = with_image();
    let modified = daemon
        .export(&found)
        .answer
        .header("last-modified")
        .unwrap()
        .to_owned();
    let same = get(&daemon, &found, "If-Modified-Since", &modified);
    assert_eq!((same.status, same.body.len()), (304, 0));
    let older = get(
        &daemon,
        &found,
        "If-Modified-Since",
        "Mon, 01 Jan 2001 00:00:00 GMT",
    );
    assert_eq!(older.status, 200);
    assert_eq!(
        get(&daemon, &found, "If-Modified-Since", "yesterday").status,
        200
    );
    assert_eq!(get(&daemon, &found, "If-None-Match", "*").status, 304);
    assert_eq!(get(&daemon, &found, "If-None-Match", "\"x\"").status, 200);
}

#[test]
fn a_failed_condition_sends_nothing() {
    if !beyond_lxd("it announces a body and sends none") {
        return;
    }
    let (daemon, found, _) = with_image();
    let older = get(
        &daemon,
        &found,
        "If-Unmodified-Since",
        "Mon, 01 Jan 2001 00:00:00 GMT",
    );
    assert_eq!((older.status, older.body.len()), (412, 0));
    assert_eq!(get(&daemon, &found, "If-Match", "\"x\"").status, 412);
    assert_eq!(get(&daemon, &found, "If-Match", "*").status, 200);
}

#[test]
fn a_range_holds_only_for_the_version_it_names() {
    let (daemon, found, packed) = with_image();
    let modified = daemon
        .export(&found)
        .answer
        .header("last-modified")
        .unwrap()
        .to_owned();
    let request = Request::new("GET", &format!("/1.0/images/{found}/export"));
    let request = request.header("Range", "bytes=0-9");
    let same = daemon.send(&request.clone().header("If-Range", &modified));
    assert_eq!((same.status, same.body.len()), (206, 10));
    let other = daemon.send(&request.header("If-Range", "\"x\""));
    assert_eq!((other.status, other.body.len()), (200, packed.len()));
}

#[test]
fn a_split_image_is_exported_as_two_parts() {
    let daemon = Lximaged::start();
    let (metadata, rootfs) = (
        images::xz(&images::metadata_tar("a")),
        images::rootfs_tar("a"),
    );
    let parts = Multipart::split(&metadata, "rootfs", &rootfs);
    let found = fingerprint_of(&daemon.import_parts(&parts));
    let answer = daemon.export(&found).answer;
    let boundary = answer
        .header("content-type")
        .unwrap()
        .split('=')
        .next_back()
        .unwrap();
    assert_eq!(boundary.len(), 60);
    let part = |name: &str, filename: String, bytes: Vec<u8>| Part {
        headers: vec![
            format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\""),
            "Content-Type: application/octet-stream".to_owned(),
        ],
        bytes,
    };
    let expected = [
        part("metadata", format!("meta-{found}.tar.xz"), metadata),
        part("rootfs", format!("{found}.tar.gz"), rootfs),
    ];
    assert_eq!(Multipart::parse(&answer.body, boundary), expected);
}

#[test]
fn the_root_of_a_virtual_machine_is_exported_as_a_disk() {
    let daemon = Lximaged::start();
    let parts = Multipart::split(&images::metadata_tar("a"), "rootfs.img", &images::qcow2());
    let found = fingerprint_of(&daemon.import_parts(&parts));
    let answer = daemon.export(&found).answer;
    let boundary = answer
        .header("content-type")
        .unwrap()
        .split('=')
        .next_back()
        .unwrap();
    let parts = Multipart::parse(&answer.body, boundary);
    let disposition =
        format!("Content-Disposition: form-data; name=\"rootfs.img\"; filename=\"{found}.qcow2\"");
    assert_eq!(parts[1].headers[0], disposition);
}

#[test]
fn ranges_of_a_split_image_are_ignored() {
    let daemon = Lximaged::start();
    let parts = Multipart::split(&images::metadata_tar("a"), "rootfs", b"root");
    let found = fingerprint_of(&daemon.import_parts(&parts));
    let answer = get(&daemon, &found, "Range", "bytes=0-9");
    assert_eq!((answer.status, answer.header("content-range")), (200, None));
}

#[test]
fn the_head_of_an_export_tells_its_size() {
    if !beyond_lxd("it does not implement it") {
        return;
    }
    let (daemon, found, packed) = with_image();
    let answer = daemon.send(&Request::new(
        "HEAD",
        &format!("/1.0/images/{found}/export"),
    ));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(
        answer.header("content-length"),
        Some(packed.len().to_string().as_str())
    );
    let etag = format!("\"{found}\"");
    assert_eq!(answer.header("etag"), Some(etag.as_str()));
}

#[test]
fn the_fingerprint_is_the_etag_of_an_export() {
    if !beyond_lxd("it has none") {
        return;
    }
    let (daemon, found, packed) = with_image();
    let etag = format!("\"{found}\"");
    assert_eq!(get(&daemon, &found, "If-None-Match", &etag).status, 304);
    let request = Request::new("GET", &format!("/1.0/images/{found}/export"));
    let request = request
        .header("Range", "bytes=100-")
        .header("If-Range", &etag);
    let answer = daemon.send(&request);
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (206, &packed[100..])
    );
}

#[test]
fn an_export_of_nothing_is_not_found() {
    let daemon = Lximaged::start();
    let path = format!("/1.0/images/{}/export", "a".repeat(64));
    daemon.get(&path).is_error(404, "Image not found");
}

#[test]
fn an_export_goes_on_while_the_image_is_deleted() {
    let daemon = Lximaged::start();
    let packed = images::container_of_size("a", 8 << 20);
    let found = daemon.import(&packed);
    let mut slow = daemon.connect().unwrap();
    let head = format!("GET /1.0/images/{found}/export HTTP/1.1\r\nHost: x\r\n\r\n");
    slow.write(head.as_bytes()).unwrap();
    slow.wait_for_bytes().unwrap();
    daemon.remove_image(&found);
    let answer = slow.read_answer("GET").unwrap();
    assert_eq!(answer.body, packed, "the reader gets all of it");
}
