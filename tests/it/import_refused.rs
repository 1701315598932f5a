//! Uploads that are no images, and the texts that say so. Nothing is left of them.

use crate::support::{Lximaged, Request, beyond_lxd, image_api::refusal, images, tar::Tar};

#[track_caller]
fn refused(body: &[u8]) -> String {
    let daemon = Lximaged::start();
    let text = daemon.refuses(body);
    assert!(daemon.images("default").is_empty());
    text
}

#[track_caller]
fn refused_metadata(metadata: &str) -> String {
    refused(&images::unified(metadata))
}

#[test]
fn an_empty_body_is_refused() {
    assert_eq!(refused(b""), "EOF");
}

#[test]
fn garbage_is_refused() {
    assert_eq!(refused(b"no image at all"), "Unsupported compression");
    assert_eq!(
        refused(&images::noise("x", 100_000)),
        "Unsupported compression"
    );
}

#[test]
fn an_archive_without_metadata_is_refused() {
    let archive = Tar::new()
        .directory("rootfs/")
        .file("rootfs/hello", "hello")
        .build();
    let text = "Metadata tarball is missing metadata.yaml";
    assert_eq!(refused(&archive), text);
    assert_eq!(refused(&images::gzip(&archive)), text);
    assert_eq!(refused(&images::qcow2()), text);
}

#[test]
fn an_absolute_metadata_file_does_not_count() {
    let archive = Tar::new()
        .file("/metadata.yaml", images::metadata("a"))
        .directory("rootfs/");
    assert_eq!(
        refused(&archive.build()),
        "Metadata tarball is missing metadata.yaml"
    );
}

#[test]
fn an_archive_that_is_cut_off_is_refused() {
    let packed = images::gzip(&images::container_of_size("a", 200_000));
    assert_eq!(refused(&packed[..20]), "unexpected EOF");
    assert_eq!(refused(&images::container("a")[..300]), "unexpected EOF");
    // Whether it is noticed in the archive or in the metadata depends on the decoder.
    assert!(refused(&packed[..100]).ends_with("unexpected EOF"));
    let xz = images::xz(&images::container("a"));
    assert!(refused(&xz[..xz.len() / 2]).ends_with("unexpected EOF"));
}

#[test]
fn damaged_compressed_data_is_refused() {
    let text = "Metadata tarball is missing metadata.yaml";
    let junk = images::noise("junk", 5000);
    assert_eq!(refused(&[b"\x1f\x8b".as_slice(), &junk].concat()), text);
    assert_eq!(refused(&[b"\xfd7zXZ\0".as_slice(), &junk].concat()), text);
    let bzip2 = images::bzip2(&images::container("a"));
    assert_eq!(refused(&bzip2[..bzip2.len() / 2]), text);
    let zstd = images::zstd(&images::container("a"));
    assert_eq!(refused(&zstd[..zstd.len() / 2]), text);
}

#[test]
fn an_image_without_a_root_is_refused() {
    assert_eq!(refused(&images::metadata_tar("a")), "Invalid instance type");
}

#[test]
fn an_architecture_must_be_given_and_known() {
    let text = "Architecture isn't supported: ";
    assert_eq!(refused_metadata("creation_date: 1\n"), text);
    assert_eq!(
        refused_metadata("Architecture: x86_64\ncreation_date: 1\n"),
        text
    );
    assert_eq!(refused_metadata("~\n"), text);
    let text = "Architecture isn't supported: foo";
    assert_eq!(
        refused_metadata("architecture: foo\ncreation_date: 1\n"),
        text
    );
}

#[test]
fn a_creation_date_must_be_given() {
    assert_eq!(
        refused_metadata("architecture: x86_64\n"),
        "Missing creation date"
    );
    let zero = "architecture: x86_64\ncreation_date: 0\n";
    assert_eq!(refused_metadata(zero), "Missing creation date");
}

#[test]
fn empty_metadata_is_refused() {
    assert_eq!(refused_metadata(""), "EOF");
}

#[test]
fn metadata_of_the_wrong_shape_is_refused_in_the_parsers_words() {
    let shapes = [
        (
            "[]",
            "  line 1: cannot unmarshal !!seq into api.ImageMetadata",
        ),
        (
            "foo",
            "  line 1: cannot unmarshal !!str `foo` into api.ImageMetadata",
        ),
        (
            "5",
            "  line 1: cannot unmarshal !!int `5` into api.ImageMetadata",
        ),
        (
            "architecture: x86_64\ncreation_date: abc\n",
            "  line 2: cannot unmarshal !!str `abc` into int64",
        ),
        (
            "architecture: x86_64\nproperties: aaaaaaaaaaaaaa\n",
            "  line 2: cannot unmarshal !!str `aaaaaaa...` into map[string]string",
        ),
    ];
    let daemon = Lximaged::start();
    for (metadata, text) in shapes {
        let found = daemon.refuses(&images::unified(metadata));
        assert_eq!(
            found,
            format!("yaml: unmarshal errors:\n{text}"),
            "{metadata}"
        );
    }
}

#[test]
fn metadata_that_is_no_yaml_is_refused_in_the_parsers_words() {
    let daemon = Lximaged::start();
    let refused = |metadata: &str| daemon.refuses(&images::unified(metadata));
    assert_eq!(
        refused("architecture: [x\n"),
        "yaml: line 1: did not find expected ',' or ']'"
    );
    assert_eq!(
        refused("a: b: c\n"),
        "yaml: mapping values are not allowed in this context"
    );
    assert_eq!(refused("a: *x\n"), "yaml: unknown anchor 'x' referenced");
    assert_eq!(
        refused("a: \u{1}\n"),
        "yaml: control characters are not allowed"
    );
}

#[test]
fn dates_beyond_year_9999_are_refused() {
    if !beyond_lxd("it stores them and then fails every list") {
        return;
    }
    let daemon = Lximaged::start();
    let metadata = "architecture: x86_64\ncreation_date: 253402300800\n";
    daemon.refuses(&images::unified(metadata));
    let metadata = "architecture: x86_64\ncreation_date: 1\nexpiry_date: 253402300800\n";
    daemon.refuses(&images::unified(metadata));
    assert!(daemon.images("default").is_empty());
}

#[test]
fn a_json_content_type_makes_bad_json_a_bad_request() {
    let daemon = Lximaged::start();
    let send = |content_type: &str, body: &str| {
        let request = Request::new("POST", "/1.0/images").body(body);
        daemon.send(&request.header("Content-Type", content_type))
    };
    let text = "invalid character 'o' in literal null (expecting 'u')";
    send("application/json", "no json").is_error(400, text);
    send("application/json", "").is_error(400, "EOF");
    let operation = daemon.finished(&send("application/json; charset=utf-8", "no json"));
    assert_eq!(refusal(&operation), "Unsupported compression");
}

#[test]
fn json_that_asks_for_no_known_source_is_refused() {
    let daemon = Lximaged::start();
    let body = serde_json::json!({"source": {"type": "moon"}});
    daemon
        .post("/1.0/images", &body)
        .is_error(500, "Invalid images JSON");
}

#[test]
fn json_without_a_source_is_a_bad_request() {
    if !beyond_lxd("it drops the connection") {
        return;
    }
    let daemon = Lximaged::start();
    for body in ["{}", "null", "{\"source\":null}"] {
        let request = Request::new("POST", "/1.0/images").body(body);
        assert_eq!(daemon.send(&request).status, 400, "{body}");
    }
}

#[test]
fn an_upload_to_an_unknown_project_is_not_found() {
    let daemon = Lximaged::start();
    let request = Request::new("POST", "/1.0/images?project=nope").body(images::container("a"));
    let text = "Fetch project database object: Project not found";
    daemon.send(&request).is_error(404, text);
}
