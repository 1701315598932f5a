//! Bringing images up to date.

use serde_json::json;

use crate::support::{
    Events, Options, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    pulls::Pair,
};

/// A pair whose target has the first version of an image, and the fingerprints of both versions.
fn with_two_versions(options: Options) -> (Pair, String, String) {
    let pair = Pair::with(options);
    let old = pair.source.import_public(&images::container("old"));
    pair.source.alias("a", &old);
    let more = json!({"auto_update": true, "aliases": [{"name": "mine", "description": "my own"}]});
    pair.pull_as(&pair.target, "default", &json!({"alias": "a"}), &more);
    let new = pair.source.import_public(&images::container("new"));
    (pair, old, new)
}

/// The source's alias means the second version from now on.
fn move_on(pair: &Pair, new: &str) {
    let body = json!({"target": new, "description": ""});
    pair.source.put("/1.0/images/aliases/a", &body).is_done();
}

#[test]
fn the_newer_image_takes_the_place_of_the_older_one() {
    let (pair, old, new) = with_two_versions(Options::default());
    let unchanged = pair.refresh(&old);
    assert_eq!(unchanged["metadata"]["refreshed"], false);
    assert_eq!(unchanged["description"], "Refreshing image");
    move_on(&pair, &new);
    let mut events = Events::listen(&pair.target, "?type=lifecycle");
    let operation = pair.refresh(&old);
    assert_eq!(operation["metadata"], json!({"refreshed": true}));
    assert_eq!(pair.target.get(&format!("/1.0/images/{old}")).status, 404);
    let image = pair.target.image(&new);
    assert_eq!(
        image["aliases"],
        json!([{"name": "mine", "description": "my own"}])
    );
    assert_eq!(image["auto_update"], true);
    assert_eq!(image["update_source"]["alias"], "a");
    let refreshed = events.action("image-refreshed");
    assert_eq!(
        refreshed["metadata"]["source"],
        format!("/1.0/images/{old}")
    );
    let actions: Vec<_> = events
        .seen()
        .iter()
        .map(|event| &event["metadata"]["action"])
        .collect();
    assert_eq!(actions, ["image-created", "image-refreshed"]);
    assert_eq!(pair.target.names("images"), [new]);
}

#[test]
fn what_the_user_has_edited_stays() {
    if !beyond_lxd("it forgets all edits") {
        return;
    }
    let (pair, old, new) = with_two_versions(Options::default());
    let path = format!("/1.0/images/{old}");
    let profile = json!({"name": "special"});
    assert_eq!(pair.target.post("/1.0/profiles", &profile).status, 201);
    let mut image = pair.target.image(&old);
    let released = image["properties"].as_object().unwrap().clone();
    image["properties"]["mine"] = json!("yes");
    image["public"] = json!(true);
    image["expires_at"] = json!("2040-01-01T00:00:00Z");
    image["profiles"] = json!(["special"]);
    pair.target.put(&path, &image).is_done();
    move_on(&pair, &new);
    assert_eq!(pair.refresh(&old)["metadata"]["refreshed"], true);
    let image = pair.target.image(&new);
    assert_eq!(image["properties"]["mine"], "yes");
    assert_eq!(
        image["properties"].as_object().unwrap().len(),
        released.len() + 1
    );
    assert_eq!(
        (&image["public"], &image["expires_at"], &image["profiles"]),
        (
            &json!(true),
            &json!("2040-01-01T00:00:00Z"),
            &json!(["special"])
        )
    );
}

#[test]
fn an_image_without_a_source_stays_as_it_is() {
    let pair = Pair::start();
    let found = pair.target.import(&images::container("a"));
    let text = format!(
        "Failed to update image \"{found}\" in project \"default\": Image source not found"
    );
    assert_eq!(refusal(&pair.refresh(&found)), text);
    let missing = pair.target.post("/1.0/images/ffff/refresh", &json!({}));
    missing.is_error(404, "Image not found");
}

#[test]
fn a_failure_leaves_the_old_image_serving() {
    let options = Options::default().expect_error("failed to update the image");
    let (pair, old, new) = with_two_versions(options);
    // Its name is gone, and is the beginning of an image's fingerprint now.
    pair.source.delete("/1.0/images/aliases/a").is_done();
    let named = (0..1000).map(|number| images::container(&number.to_string()));
    let packed = named
        .into_iter()
        .find(|packed| fingerprint(&[packed]).starts_with('a'));
    pair.source.import_public(&packed.unwrap());
    let operation = pair.refresh(&old);
    assert_eq!(
        (&operation["status"], &operation["metadata"]["refreshed"]),
        (&json!("Success"), &json!(false))
    );
    if beyond_lxd("it says so in its log only") {
        let error = operation["metadata"]["error"].as_str().unwrap();
        assert!(error.contains("Image not found"), "{error}");
    }
    let alias = pair.target.get("/1.0/images/aliases/mine");
    assert_eq!(alias.metadata()["target"], *old);
    pair.source.alias("a", &new);
    assert_eq!(pair.refresh(&old)["metadata"]["refreshed"], true);
}

#[test]
fn a_newer_image_that_is_here_already_takes_over() {
    if !beyond_lxd("it leaves the two side by side") {
        return;
    }
    let (pair, old, new) = with_two_versions(Options::default());
    move_on(&pair, &new);
    assert_eq!(
        fingerprint_of(&pair.pull(&json!({"fingerprint": new}))),
        new
    );
    assert_eq!(pair.refresh(&old)["metadata"]["refreshed"], true);
    let image = pair.target.image(&new);
    assert_eq!(image["aliases"][0]["name"], "mine");
    assert_eq!(image["auto_update"], true);
    assert_eq!(image["update_source"]["alias"], "a");
    assert_eq!(pair.target.names("images"), [new]);
}

#[test]
fn another_project_keeps_the_older_image() {
    let (pair, old, new) = with_two_versions(Options::default());
    crate::support::trust::project(&pair.target, "p1");
    let source = json!({"fingerprint": old});
    pair.pull_as(&pair.target, "p1", &source, &json!({}));
    move_on(&pair, &new);
    assert_eq!(pair.refresh(&old)["metadata"]["refreshed"], true);
    assert_eq!(pair.target.names("images").len(), 2);
    let path = format!("/1.0/images/{old}/export?project=p1");
    assert_eq!(pair.target.get(&path).body, images::container("old"));
}
