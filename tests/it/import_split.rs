//! Uploads of split images: two files in one multipart body.

use crate::support::{
    Lximaged, Request, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    multipart::{CONTENT_TYPE, Multipart},
};

fn container() -> (Vec<u8>, Vec<u8>) {
    (
        images::xz(&images::metadata_tar("a")),
        images::rootfs_tar("a"),
    )
}

/// What the daemon says of a body that is no split image.
#[track_caller]
fn refused(parts: &Multipart) -> String {
    let daemon = Lximaged::start();
    let text = refusal(&daemon.import_parts(parts));
    assert!(daemon.images("default").is_empty());
    text
}

/// What it says of a body that ends before its time, or of no body.
#[track_caller]
fn refused_body(content_type: &str, body: &[u8]) -> String {
    let daemon = Lximaged::start();
    refusal(&daemon.import_with(body, &[("Content-Type", content_type)]))
}

#[test]
fn a_split_container_is_one_image_of_two_files() {
    let daemon = Lximaged::start();
    let (metadata, rootfs) = container();
    let operation = daemon.import_parts(&Multipart::split(&metadata, "rootfs", &rootfs));
    let found = fingerprint_of(&operation);
    assert_eq!(found, fingerprint(&[&metadata, &rootfs]));
    let image = daemon.image(&found);
    assert_eq!(image["type"], "container");
    assert_eq!(image["filename"], "root.img", "the name of the root file");
    assert_eq!(image["size"], metadata.len() + rootfs.len());
    assert_eq!(
        daemon.names("images"),
        [found.clone(), format!("{found}.rootfs")]
    );
}

#[test]
fn a_split_virtual_machine_is_known_by_the_name_of_its_part() {
    let daemon = Lximaged::start();
    let metadata = images::metadata_tar("a");
    let parts = Multipart::split(&metadata, "rootfs.img", &images::qcow2());
    let found = fingerprint_of(&daemon.import_parts(&parts));
    assert_eq!(daemon.image(&found)["type"], "virtual-machine");
}

#[test]
fn a_split_image_takes_properties_and_public_from_headers() {
    let daemon = Lximaged::start();
    let (metadata, rootfs) = container();
    let parts = Multipart::split(&metadata, "rootfs", &rootfs);
    let request = Request::new("POST", "/1.0/images")
        .header("Content-Type", CONTENT_TYPE)
        .header("X-LXD-public", "true")
        .header("X-LXD-filename", "ignored")
        .header("X-LXD-properties", "os=Header")
        .body(parts.body());
    let image = daemon.image(&fingerprint_of(&daemon.finished(&daemon.send(&request))));
    assert_eq!(
        (&image["public"], &image["properties"]["os"]),
        (&true.into(), &"Header".into())
    );
    assert_eq!(image["filename"], "root.img");
}

#[test]
fn only_the_last_element_of_a_part_file_name_is_kept() {
    let daemon = Lximaged::start();
    let (metadata, rootfs) = container();
    let parts =
        Multipart::new()
            .part("metadata", "m", &metadata)
            .part("rootfs", "/etc/../r.x", &rootfs);
    assert_eq!(
        daemon.image(&fingerprint_of(&daemon.import_parts(&parts)))["filename"],
        "r.x"
    );
}

#[test]
fn a_third_part_is_ignored() {
    let daemon = Lximaged::start();
    let (metadata, rootfs) = container();
    let parts = Multipart::split(&metadata, "rootfs", &rootfs).part("more", "x", b"x");
    let operation = daemon.import_parts(&parts);
    assert_eq!(
        fingerprint_of(&operation),
        fingerprint(&[&metadata, &rootfs])
    );
}

#[test]
fn parts_of_other_names_or_order_are_refused() {
    let (metadata, rootfs) = container();
    let swapped = Multipart::new()
        .part("rootfs", "r", &rootfs)
        .part("metadata", "m", &metadata);
    assert_eq!(refused(&swapped), "Invalid multipart image");
    let strange = Multipart::split(&metadata, "roofs", &rootfs);
    assert_eq!(refused(&strange), "Invalid multipart image");
    let nameless = Multipart::new().raw_part(&["X: y"], &metadata);
    assert_eq!(refused(&nameless), "Invalid multipart image");
}

#[test]
fn a_missing_second_part_is_refused() {
    let (metadata, _) = container();
    assert_eq!(
        refused(&Multipart::new().part("metadata", "m", &metadata)),
        "EOF"
    );
}

#[test]
fn a_body_without_its_end_is_refused() {
    let (metadata, rootfs) = container();
    let parts = Multipart::split(&metadata, "rootfs", &rootfs);
    assert_eq!(
        refused_body(CONTENT_TYPE, &parts.without_end()),
        "unexpected EOF"
    );
    let body = parts.body();
    let cut = &body[..body.len() - rootfs.len()];
    assert_eq!(refused_body(CONTENT_TYPE, cut), "unexpected EOF");
}

#[test]
fn a_body_without_parts_is_refused() {
    let content_type = CONTENT_TYPE;
    assert_eq!(refused_body(content_type, b""), "multipart: NextPart: EOF");
    assert_eq!(
        refused_body(content_type, b"garbage"),
        "multipart: NextPart: EOF"
    );
    let text = refused_body("multipart/form-data", b"garbage");
    assert_eq!(text, "multipart: boundary is empty");
}

#[test]
fn an_empty_metadata_part_is_refused() {
    assert_eq!(refused(&Multipart::split(b"", "rootfs", b"x")), "EOF");
}

#[test]
fn a_multipart_type_that_is_not_form_data_is_an_ordinary_upload() {
    let text = refused_body("multipart/mixed; boundary=x", b"garbage");
    assert_eq!(text, "Unsupported compression");
}

#[test]
fn one_fingerprint_cannot_have_two_layouts() {
    if !beyond_lxd("it overwrites the stored files") {
        return;
    }
    let daemon = Lximaged::start();
    let (metadata, rootfs) = (images::metadata_tar("a"), images::rootfs_tar("a"));
    let parts = Multipart::split(&metadata, "rootfs", &rootfs);
    let found = fingerprint_of(&daemon.import_parts(&parts));
    let joined = [metadata.clone(), rootfs.clone()].concat();
    let (first, rest) = joined.split_at(metadata.len() + 7);
    refusal(&daemon.import_with(&joined, &[]));
    refusal(&daemon.import_parts(&Multipart::split(first, "rootfs", rest)));
    assert_eq!(daemon.export(&found).files, [metadata, rootfs]);
}

#[test]
fn a_second_layout_is_refused_in_another_project_too() {
    if !beyond_lxd("it overwrites the stored files") {
        return;
    }
    let daemon = Lximaged::start();
    daemon
        .post("/1.0/projects", &serde_json::json!({"name": "other"}))
        .is_created("/1.0/projects/other");
    let (metadata, rootfs) = (images::metadata_tar("a"), images::rootfs_tar("a"));
    let found =
        fingerprint_of(&daemon.import_parts(&Multipart::split(&metadata, "rootfs", &rootfs)));
    let joined = [metadata.clone(), rootfs.clone()].concat();
    let request = Request::new("POST", "/1.0/images?project=other")
        .body(joined)
        .chunked();
    refusal(&daemon.finished(&daemon.send(&request)));
    assert_eq!(daemon.export(&found).files, [metadata, rootfs]);
}
