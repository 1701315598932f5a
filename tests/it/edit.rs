//! Changing images: PUT, PATCH, and the `ETag` that guards them.

use serde_json::{Value, json};

use crate::support::{Lximaged, Request, beyond_lxd, images};

fn with_image() -> (Lximaged, String) {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let path = format!("/1.0/images/{found}");
    (daemon, path)
}

#[track_caller]
fn image(daemon: &Lximaged, path: &str) -> Value {
    daemon.get(path).metadata().clone()
}

#[test]
fn put_replaces_what_can_be_written() {
    let (daemon, found) = with_image();
    let body = json!({"auto_update": true, "public": true, "profiles": [],
        "properties": {"os": "New", "empty": ""}, "expires_at": "2030-01-01T02:00:00+02:00"});
    daemon.put(&found, &body).is_done();
    let image = image(&daemon, &found);
    assert_eq!(
        (&image["auto_update"], &image["public"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(image["properties"], json!({"os": "New"}));
    assert_eq!(image["expires_at"], "2030-01-01T02:00:00+02:00");
    assert_eq!(image["profiles"], json!([]));
}

#[test]
fn put_of_nothing_resets_all_but_the_expiry() {
    let (daemon, found) = with_image();
    let body = json!({"public": true, "expires_at": "2030-01-01T00:00:00Z", "profiles": []});
    daemon.put(&found, &body).is_done();
    daemon.put(&found, &json!({})).is_done();
    let image = image(&daemon, &found);
    assert_eq!(
        (&image["public"], &image["properties"]),
        (&json!(false), &json!({}))
    );
    assert_eq!(image["expires_at"], "2030-01-01T00:00:00Z");
    assert_eq!(image["profiles"], json!(["default"]));
}

#[test]
fn patch_merges_properties() {
    let (daemon, found) = with_image();
    daemon
        .patch(&found, &json!({"properties": {"os": "", "new": "1"}}))
        .is_done();
    let properties = json!({"description": "image a", "new": "1"});
    assert_eq!(image(&daemon, &found)["properties"], properties);
    daemon.patch(&found, &json!({"public": true})).is_done();
    let image = image(&daemon, &found);
    assert_eq!(
        (&image["public"], &image["properties"]),
        (&json!(true), &properties)
    );
}

#[test]
fn patch_with_null_properties_changes_nothing() {
    if !beyond_lxd("it drops the connection") {
        return;
    }
    let (daemon, found) = with_image();
    let before = image(&daemon, &found);
    daemon.patch(&found, &json!({"properties": null})).is_done();
    assert_eq!(image(&daemon, &found), before);
}

#[test]
fn a_stale_etag_changes_nothing() {
    let (daemon, found) = with_image();
    let etag = daemon.get(&found).header("etag").unwrap().to_owned();
    let put = |etag: &str, public: bool| {
        let request = Request::new("PUT", &found).json(&json!({"public": public}));
        daemon.send(&request.header("If-Match", etag))
    };
    put(&etag, true).is_done();
    let current = daemon.get(&found).header("etag").unwrap().to_owned();
    assert_ne!(current, etag);
    let bare = |etag: &str| etag.trim_matches('"').to_owned();
    let text = format!("ETag doesn't match: {} vs {}", bare(&current), bare(&etag));
    put(&etag, false).is_error(412, &text);
    assert_eq!(image(&daemon, &found)["public"], true);
}

#[test]
fn the_etag_of_an_image_is_computed_as_lxd_does() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("<&>"));
    let value = r#"[false,false,{"description":"image \u003c\u0026\u003e","os":"Testix"}]"#;
    let etag = format!(
        "\"{}\"",
        crate::support::fingerprint(&[value.as_bytes(), b"\n"])
    );
    let answer = daemon.get(&format!("/1.0/images/{found}"));
    assert_eq!(answer.header("etag"), Some(etag.as_str()));
}

#[test]
fn an_unknown_profile_is_refused() {
    let (daemon, found) = with_image();
    let answer = daemon.put(&found, &json!({"profiles": ["nope"]}));
    answer.is_error(400, "Profile 'nope' doesn't exist");
}

#[test]
fn a_malformed_date_is_refused() {
    let (daemon, found) = with_image();
    let text = "parsing time \"\\\"x\\\"\" as \"\\\"2006-01-02T15:04:05Z07:00\\\"\": \
                cannot parse \"x\\\"\" as \"2006\"";
    daemon
        .put(&found, &json!({"expires_at": "x"}))
        .is_error(400, text);
    let text = "parsing time \"\\\"2030-02-30T00:00:00Z\\\"\": day out of range";
    daemon
        .put(&found, &json!({"expires_at": "2030-02-30T00:00:00Z"}))
        .is_error(400, text);
}

#[test]
fn changing_nothing_is_not_found() {
    let daemon = Lximaged::start();
    let nothing = "a".repeat(64);
    let put = daemon.put(&format!("/1.0/images/{nothing}"), &json!({}));
    put.is_error(404, "Image not found");
    let patch = daemon.patch(&format!("/1.0/images/{nothing}"), &json!({}));
    patch.is_error(404, "Image not found");
}
