//! Removing images.

use serde_json::json;

use crate::support::{Lximaged, Request, image_api::fingerprint_of, images, multipart::Multipart};

#[test]
fn a_deleted_image_is_gone_with_files_and_aliases() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.alias("mine", &found);
    let answer = daemon.delete(&format!("/1.0/images/{found}"));
    let operation = answer.operation();
    assert_eq!(operation["description"], "Deleting image");
    assert_eq!(
        operation["resources"],
        json!({"images": [format!("/1.0/images/{found}")]})
    );
    assert_eq!(daemon.finished(&answer)["status"], "Success");
    daemon
        .get(&format!("/1.0/images/{found}"))
        .is_error(404, "Image not found");
    daemon
        .get("/1.0/images/aliases/mine")
        .is_error(404, "Image alias not found");
    assert!(daemon.names("images").is_empty());
}

#[test]
fn a_deleted_split_image_leaves_neither_file() {
    let daemon = Lximaged::start();
    let parts = Multipart::split(&images::metadata_tar("a"), "rootfs", b"root");
    let found = fingerprint_of(&daemon.import_parts(&parts));
    daemon.remove_image(&found[..12]);
    assert!(daemon.names("images").is_empty());
}

#[test]
fn deleting_nothing_is_not_found() {
    let daemon = Lximaged::start();
    daemon
        .delete(&format!("/1.0/images/{}", "a".repeat(64)))
        .is_error(404, "Image not found");
}

#[test]
fn a_deleted_image_can_be_imported_again() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let found = daemon.import(&packed);
    daemon.remove_image(&found);
    assert_eq!(daemon.import(&packed), found);
}

#[test]
fn the_file_stays_while_another_project_has_the_image() {
    let daemon = Lximaged::start();
    daemon
        .post("/1.0/projects", &json!({"name": "p1"}))
        .is_created("/1.0/projects/p1");
    let packed = images::container("a");
    let found = daemon.import(&packed);
    let request = Request::new("POST", "/1.0/images?project=p1").body(&packed);
    assert_eq!(
        fingerprint_of(&daemon.finished(&daemon.send(&request))),
        found
    );
    daemon.remove_image(&found);
    assert_eq!(daemon.names("images"), [found.as_str()]);
    let answer = daemon.get(&format!("/1.0/images/{found}/export?project=p1"));
    assert_eq!(answer.body, packed);
    daemon.finished(&daemon.delete(&format!("/1.0/images/{found}?project=p1")));
    assert!(daemon.names("images").is_empty());
}
