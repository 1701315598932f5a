//! Images that are to be kept up to date are: at the start, again and again, and by hand.

use serde_json::{Value, json};

use crate::support::{
    Events, PATIENCE, beyond_lxd, image_api::fingerprint_of, images, pulls::Pair, soon,
};

/// A pair whose target keeps the first version of an image up to date, and its fingerprint.
fn with_image() -> (Pair, String) {
    let pair = Pair::start();
    let old = pair.source.import_public(&images::container("old"));
    pair.source.alias("a", &old);
    let found = pull(&pair, "a", "mine");
    assert_eq!(found, old);
    (pair, old)
}

fn pull(pair: &Pair, alias: &str, name: &str) -> String {
    let more = json!({"auto_update": true, "aliases": [{"name": name, "description": ""}]});
    fingerprint_of(&pair.pull_as(&pair.target, "default", &json!({"alias": alias}), &more))
}

/// A newer image at the source, by the name of the older one.
fn release(pair: &Pair, alias: &str, content: &str) -> String {
    let new = pair.source.import_public(&images::container(content));
    let body = json!({"target": new, "description": ""});
    pair.source
        .put(&format!("/1.0/images/aliases/{alias}"), &body)
        .is_done();
    new
}

fn target_of(pair: &Pair, alias: &str) -> Value {
    let alias = pair.target.get(&format!("/1.0/images/aliases/{alias}"));
    alias.metadata()["target"].clone()
}

/// Has the target look after all its images, and gives what it tells.
fn update(pair: &Pair) -> Value {
    let answer = pair
        .target
        .post("/1.0/lximaged/tasks/auto-update", &json!({}));
    let ended = pair.target.finished(&answer);
    assert_eq!(
        (&ended["status"], &ended["description"]),
        (&json!("Success"), &json!("Updating images"))
    );
    ended["metadata"].clone()
}

#[test]
fn a_start_brings_the_newer_image() {
    let (mut pair, old) = with_image();
    let new = release(&pair, "a", "new");
    pair.target.restart();
    assert!(soon(PATIENCE, || target_of(&pair, "mine") == *new));
    assert_eq!(pair.target.get(&format!("/1.0/images/{old}")).status, 404);
    let image = pair.target.image(&new);
    assert_eq!(
        (&image["auto_update"], &image["cached"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(image["update_source"]["alias"], "a");
    assert!(soon(PATIENCE, || pair.target.names("images") == [new.as_str()]));
}

#[test]
fn an_interval_of_none_leaves_it() {
    let (mut pair, old) = with_image();
    let config = json!({"config": {"images.auto_update_interval": "0"}});
    pair.target.patch("/1.0", &config).is_done();
    release(&pair, "a", "new");
    pair.target.restart();
    if beyond_lxd("it cannot be asked to look") {
        assert_eq!(update(&pair)["checked"], 0);
    }
    assert_eq!(target_of(&pair, "mine"), *old);
}

#[test]
fn a_pass_tells_what_it_did() {
    if !beyond_lxd("its passes cannot be begun") {
        return;
    }
    let (pair, old) = with_image();
    let unchanged = json!({"checked": 1, "updated": [], "failing": []});
    assert_eq!(update(&pair), unchanged);
    let new = release(&pair, "a", "new");
    let mut events = Events::listen(&pair.target, "?type=lifecycle");
    let updated = json!([{"project": "default", "from": old, "to": new}]);
    assert_eq!(update(&pair)["updated"], updated);
    let created = events.action("image-created");
    assert_eq!(created["metadata"]["source"], format!("/1.0/images/{new}"));
    assert!(
        created["metadata"]
            .get("requestor")
            .is_none_or(Value::is_null)
    );
    assert_eq!(update(&pair), unchanged);
}

#[test]
fn one_that_fails_stays_is_told_and_holds_no_other_up() {
    if !beyond_lxd("it says so in its log only") {
        return;
    }
    let (pair, old) = with_image();
    let second = pair.source.import_public(&images::container("b old"));
    pair.source.alias("b", &second);
    pull(&pair, "b", "other");
    pair.source.delete("/1.0/images/aliases/a").is_done();
    let new = release(&pair, "b", "b new");
    let told = update(&pair);
    assert_eq!(told["checked"], 2);
    assert_eq!(told["updated"][0]["to"], new);
    let failing = &told["failing"][0];
    assert_eq!(
        (&failing["fingerprint"], &failing["project"]),
        (&json!(old), &json!("default"))
    );
    assert!(
        failing["error"]
            .as_str()
            .unwrap()
            .contains("Image not found"),
        "{failing}"
    );
    assert_eq!(
        (target_of(&pair, "mine"), target_of(&pair, "other")),
        (json!(old), json!(new))
    );
    let status = pair.target.command(&["status"]).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(
        status.contains(&old[..12]) && status.contains("failed 1 times"),
        "{status}"
    );
    // It is back, and newer.
    let newer = pair.source.import_public(&images::container("newer"));
    pair.source.alias("a", &newer);
    let told = update(&pair);
    assert_eq!(
        (&told["failing"], &told["updated"][0]["to"]),
        (&json!([]), &json!(newer))
    );
}

#[test]
fn two_images_of_one_alias_become_one() {
    if !beyond_lxd("it leaves the two side by side") {
        return;
    }
    let (pair, old) = with_image();
    // Another project follows the same alias.
    crate::support::trust::project(&pair.target, "p1");
    let more = json!({"auto_update": true, "public": true});
    pair.pull_as(&pair.target, "p1", &json!({"alias": "a"}), &more);
    let new = release(&pair, "a", "new");
    let told = update(&pair);
    assert_eq!(told["updated"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(target_of(&pair, "mine"), *new);
    let there = pair.target.get(&format!("/1.0/images/{new}?project=p1"));
    assert_eq!(there.metadata()["public"], true);
    assert_eq!(
        pair.target
            .get(&format!("/1.0/images/{old}?project=p1"))
            .status,
        404
    );
    assert_eq!(pair.target.names("images"), [new]);
}

#[test]
fn a_killed_daemon_has_the_older_image_and_then_the_newer() {
    let (mut pair, old) = with_image();
    let new = release(&pair, "a", "new");
    for _ in 0..3 {
        let mut connection = pair.target.connect().unwrap();
        let post = "POST /1.0/lximaged/tasks/auto-update HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
        connection.write(post.as_bytes()).unwrap();
        connection.wait_for_bytes().unwrap();
        pair.target.kill9();
        pair.target.boot();
        let target = target_of(&pair, "mine");
        assert!(target == *old || target == *new, "{target}");
        let path = format!("/1.0/images/{}/export", target.as_str().unwrap());
        let whole = if target == *new { "new" } else { "old" };
        assert!(pair.target.get(&path).body == images::container(whole));
    }
    assert!(soon(PATIENCE, || target_of(&pair, "mine") == *new));
    pair.target.check();
}

#[test]
fn bandwidth_is_bounded_for_what_nobody_waits_for() {
    if !beyond_lxd("it has no bounds") {
        return;
    }
    let (pair, old) = with_image();
    let config = json!({"config": {"lximaged.auto_update_bandwidth": "64KiB"}});
    pair.target.patch("/1.0", &config).is_done();
    // Half a minute of it.
    let slow = pair
        .source
        .import_public(&images::container_of_size("new", 2 << 20));
    let body = json!({"target": slow, "description": ""});
    pair.source.put("/1.0/images/aliases/a", &body).is_done();
    let begun = std::time::Instant::now();
    let answer = pair
        .target
        .post("/1.0/lximaged/tasks/auto-update", &json!({}));
    let path = format!(
        "/1.0/operations/{}",
        answer.operation()["id"].as_str().unwrap()
    );
    let operation = pair.target.get(&path).metadata().clone();
    assert_eq!(
        (&operation["status"], &operation["may_cancel"]),
        (&json!("Running"), &json!(true))
    );
    assert_eq!(target_of(&pair, "mine"), *old);
    // Somebody joins, and waits for it: it is held back no longer.
    assert_eq!(fingerprint_of(&pair.pull(&json!({"alias": "a"}))), slow);
    pair.target.finished(&answer);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    assert_eq!(target_of(&pair, "mine"), *slow);
}

#[test]
fn a_pass_can_be_ended_and_changes_nothing_then() {
    if !beyond_lxd("it cannot") {
        return;
    }
    let (pair, old) = with_image();
    let config = json!({"config": {"lximaged.auto_update_bandwidth": "64KiB"}});
    pair.target.patch("/1.0", &config).is_done();
    let slow = pair
        .source
        .import_public(&images::container_of_size("new", 2 << 20));
    let body = json!({"target": slow, "description": ""});
    pair.source.put("/1.0/images/aliases/a", &body).is_done();
    let answer = pair
        .target
        .post("/1.0/lximaged/tasks/auto-update", &json!({}));
    let path = format!(
        "/1.0/operations/{}",
        answer.operation()["id"].as_str().unwrap()
    );
    let staged = || !pair.target.names("staging").is_empty();
    assert!(soon(PATIENCE, staged));
    pair.target.delete(&path).is_done();
    let ended = pair.target.get(&format!("{path}/wait")).metadata().clone();
    assert_eq!(
        (&ended["status"], &ended["metadata"]["failing"]),
        (&json!("Cancelled"), &json!([]))
    );
    assert_eq!(target_of(&pair, "mine"), *old);
    assert!(soon(PATIENCE, || pair.target.names("staging").is_empty()));
}
