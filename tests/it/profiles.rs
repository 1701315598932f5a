//! Profiles.

use serde_json::json;

use crate::support::{Lximaged, image_api::fingerprint_of, images};

#[test]
fn the_default_profile_is_there() {
    let daemon = Lximaged::start();
    assert_eq!(
        daemon.get("/1.0/profiles").metadata(),
        &json!(["/1.0/profiles/default"])
    );
    let profile = daemon.get("/1.0/profiles/default").metadata().clone();
    let expected = json!({"config": {}, "description": "Default LXD profile",
        "devices": profile["devices"], "name": "default", "used_by": []});
    assert_eq!(profile, expected);
    assert_eq!(
        daemon.get("/1.0/profiles?recursion=1").metadata(),
        &json!([profile])
    );
}

#[test]
fn a_profile_is_made_changed_renamed_and_removed() {
    let daemon = Lximaged::start();
    let body = json!({"name": "web", "config": {"limits.cpu": "2"}, "description": "d"});
    daemon
        .post("/1.0/profiles", &body)
        .is_created("/1.0/profiles/web");
    daemon
        .patch("/1.0/profiles/web", &json!({"config": {"user.x": "1"}}))
        .is_done();
    let config = daemon.get("/1.0/profiles/web").metadata()["config"].clone();
    assert_eq!(config, json!({"limits.cpu": "2", "user.x": "1"}));
    daemon
        .put("/1.0/profiles/web", &json!({"description": "new"}))
        .is_done();
    let profile = daemon.get("/1.0/profiles/web").metadata().clone();
    assert_eq!(
        (&profile["config"], &profile["description"]),
        (&json!({}), &json!("new"))
    );
    let answer = daemon.post("/1.0/profiles/web", &json!({"name": "www"}));
    answer.is_created("/1.0/profiles/www");
    daemon.delete("/1.0/profiles/www").is_done();
    daemon
        .get("/1.0/profiles/www")
        .is_error(404, "Fetch profile: Profile not found");
}

#[test]
fn bad_profiles_are_refused() {
    let daemon = Lximaged::start();
    let post = |name: &str| daemon.post("/1.0/profiles", &json!({"name": name}));
    post("").is_error(400, "No name provided");
    post("a/b").is_error(400, "Profile names may not contain slashes");
    post("..").is_error(400, "Invalid profile name \"..\"");
    let text = "Error inserting \"default\" into database: The profile already exists";
    post("default").is_error(500, text);
    let body = json!({"name": "x", "config": {"nosuch": "1"}});
    daemon
        .post("/1.0/profiles", &body)
        .is_error(400, "Unknown configuration key: nosuch");
}

#[test]
fn the_default_profile_stays() {
    let daemon = Lximaged::start();
    let text = "The \"default\" profile cannot be deleted";
    daemon.delete("/1.0/profiles/default").is_error(403, text);
    let text = "The \"default\" profile cannot be renamed";
    daemon
        .post("/1.0/profiles/default", &json!({"name": "x"}))
        .is_error(403, text);
}

#[test]
fn an_image_loses_a_profile_that_is_removed() {
    let daemon = Lximaged::start();
    daemon
        .post("/1.0/profiles", &json!({"name": "web"}))
        .is_created("/1.0/profiles/web");
    let found = fingerprint_of(&daemon.import_with(&images::container("a"), &[]));
    let path = format!("/1.0/images/{found}");
    daemon.put(&path, &json!({"profiles": ["web"]})).is_done();
    assert_eq!(daemon.image(&found)["profiles"], json!(["web"]));
    daemon.delete("/1.0/profiles/web").is_done();
    assert_eq!(daemon.image(&found)["profiles"], json!([]));
}

#[test]
fn profiles_of_an_unknown_project_are_not_found() {
    let daemon = Lximaged::start();
    let text = "Failed loading project \"nope\": Project not found";
    daemon.get("/1.0/profiles?project=nope").is_error(404, text);
}
