//! Uploads of unified images: what becomes of bytes and headers.

use serde_json::json;

use crate::support::{
    Lximaged, Request, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
};

/// Imports the packed form of one image and checks what the daemon made of it.
#[track_caller]
fn imports(packed: &[u8], suffix: &str) {
    let daemon = Lximaged::start();
    let found = daemon.import(packed);
    assert_eq!(found, fingerprint(&[packed]));
    assert_eq!(daemon.image(&found)["properties"]["description"], "image a");
    let exported = daemon.export(&found);
    assert_eq!(exported.files, [packed]);
    let disposition = format!("inline;filename={found}{suffix}");
    assert_eq!(
        exported.answer.header("content-disposition"),
        Some(disposition.as_str())
    );
}

#[test]
fn a_plain_tar_is_an_image() {
    imports(&images::container("a"), ".tar");
}

#[test]
fn a_gzipped_tar_is_an_image() {
    imports(&images::gzip(&images::container("a")), ".tar.gz");
}

#[test]
fn a_bzipped_tar_is_an_image() {
    imports(&images::bzip2(&images::container("a")), ".tar.bz2");
}

#[test]
fn a_tar_in_xz_is_an_image() {
    imports(&images::xz(&images::container("a")), ".tar.xz");
}

#[test]
fn a_tar_in_lzma_is_an_image() {
    imports(&images::lzma(&images::container("a")), ".tar.lzma");
}

#[test]
fn a_tar_in_zstd_is_an_image() {
    imports(&images::zstd(&images::container("a")), ".tar.zst");
}

#[test]
fn a_tar_in_lz4_is_an_image() {
    if !beyond_lxd("it does not know the format") {
        return;
    }
    let daemon = Lximaged::start();
    let packed = images::lz4(&images::container("a"));
    assert_eq!(daemon.export(&daemon.import(&packed)).files, [packed]);
}

#[test]
fn entries_may_begin_with_a_dot() {
    let image = crate::support::tar::Tar::new()
        .directory("./")
        .file("./rootfs/hello", "hello")
        .file("./metadata.yaml", images::metadata("a"))
        .build();
    imports(&image, ".tar");
}

#[test]
fn an_imported_image_is_shown_with_every_field() {
    let daemon = Lximaged::start();
    let packed = images::gzip(&images::container("a"));
    let found = fingerprint_of(&daemon.import_with(&packed, &[("X-LXD-filename", "a.tar.gz")]));
    let image = daemon.image(&found);
    let expected = json!({
        "auto_update": false,
        "properties": {"description": "image a", "os": "Testix"},
        "public": false,
        "expires_at": "1970-01-01T00:00:00Z",
        "profiles": ["default"],
        "aliases": [],
        "architecture": "x86_64",
        "cached": false,
        "filename": "a.tar.gz",
        "fingerprint": found,
        "size": packed.len(),
        "type": "container",
        "created_at": images::CREATED,
        "last_used_at": "0001-01-01T00:00:00Z",
        "uploaded_at": image["uploaded_at"],
    });
    assert_eq!(image, expected);
    let keys = |value: &serde_json::Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys(&image),
        keys(&expected),
        "the keys come in LXD's order"
    );
}

#[test]
fn a_unified_image_with_a_disk_is_a_virtual_machine() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::virtual_machine("a"));
    assert_eq!(daemon.image(&found)["type"], "virtual-machine");
}

#[test]
fn the_operation_of_an_import_tells_fingerprint_and_size() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let operation = daemon.import_with(&packed, &[]);
    let metadata = json!({
        "fingerprint": fingerprint(&[&packed]),
        "size": packed.len().to_string(),
    });
    assert_eq!(operation["metadata"], metadata);
    assert_eq!(operation["description"], "Downloading image");
}

#[test]
fn headers_make_it_public_and_add_properties() {
    let daemon = Lximaged::start();
    let headers = [
        ("X-LXD-public", "Yes"),
        ("X-LXD-properties", "os=Other&note=a+b%26c"),
        ("X-LXD-properties", "os=Third&more=1"),
    ];
    let image = daemon.image(&fingerprint_of(
        &daemon.import_with(&images::container("a"), &headers),
    ));
    assert_eq!(image["public"], true);
    assert_eq!(image["properties"]["note"], "a b&c");
    assert_eq!(
        image["properties"]["description"], "image a",
        "what was there stays"
    );
}

#[test]
fn an_odd_file_name_is_kept_as_it_came() {
    let daemon = Lximaged::start();
    let headers = [("X-LXD-filename", "../a/b c.tar")];
    let image = daemon.image(&fingerprint_of(
        &daemon.import_with(&images::container("a"), &headers),
    ));
    assert_eq!(image["filename"], "../a/b c.tar");
}

#[test]
fn the_right_fingerprint_in_the_header_is_accepted() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let expected = fingerprint(&[&packed]);
    let operation = daemon.import_with(&packed, &[("X-LXD-fingerprint", &expected)]);
    assert_eq!(fingerprint_of(&operation), expected);
}

#[test]
fn another_fingerprint_than_announced_is_refused() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let announced = "c".repeat(64);
    let operation = daemon.import_with(&packed, &[("X-LXD-fingerprint", &announced)]);
    let found = fingerprint(&[&packed]);
    let text = format!("fingerprints don't match, got {found} expected {announced}");
    assert_eq!(refusal(&operation), text);
    daemon
        .get("/1.0/images")
        .metadata()
        .as_array()
        .unwrap()
        .is_empty()
        .then_some(())
        .unwrap();
}

#[test]
fn the_same_image_twice_is_refused_and_stays_as_it_was() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let found = daemon.import(&packed);
    daemon.alias("mine", &found);
    let before = daemon.image(&found);
    let again = daemon.import_with(&packed, &[("X-LXD-public", "true")]);
    assert_eq!(
        refusal(&again),
        "Image with same fingerprint already exists"
    );
    assert_eq!(again["metadata"]["fingerprint"], found.as_str());
    assert_eq!(daemon.image(&found), before);
}

#[test]
fn properties_may_come_from_the_header_alone() {
    if !beyond_lxd("its daemon dies of a metadata.yaml without properties") {
        return;
    }
    let daemon = Lximaged::start();
    let packed = images::unified("architecture: x86_64\ncreation_date: 1577836800\n");
    let operation = daemon.import_with(&packed, &[("X-LXD-properties", "os=Header")]);
    assert_eq!(
        daemon.image(&fingerprint_of(&operation))["properties"],
        json!({"os": "Header"})
    );
}

#[test]
fn an_upload_of_known_length_is_the_same_as_a_chunked_one() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let request = Request::new("POST", "/1.0/images").body(&packed);
    let operation = daemon.finished(&daemon.send(&request));
    assert_eq!(fingerprint_of(&operation), fingerprint(&[&packed]));
}

#[test]
fn an_image_survives_a_restart_with_everything() {
    let mut daemon = Lximaged::start();
    let packed = images::container("a");
    let found = fingerprint_of(&daemon.import_with(&packed, &[("X-LXD-public", "1")]));
    daemon.alias("mine", &found);
    let before = daemon.image(&found);
    daemon.restart();
    assert_eq!(daemon.image(&found), before);
    assert_eq!(daemon.export(&found).files, [packed]);
}

#[test]
fn an_acknowledged_image_outlives_kill_9_at_once_after_it() {
    let mut daemon = Lximaged::start();
    let packed = images::container("a");
    let found = daemon.import(&packed);
    daemon.kill9();
    daemon.boot();
    assert_eq!(daemon.export(&found).files, [packed]);
}
