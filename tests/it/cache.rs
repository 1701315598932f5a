//! Images that instances needed: cached, used, and gone in the end.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{
    PATIENCE, beyond_lxd,
    clock::{self, ago},
    image_api::fingerprint_of,
    images,
    pulls::Pair,
    soon,
};

/// A pair whose target has made an instance from an image of the source, and its fingerprint.
fn with_instance() -> (Pair, String) {
    let pair = Pair::start();
    let found = pair.source.import_public(&images::container("old"));
    pair.source.alias("a", &found);
    assert_eq!(make(&pair, "c1", &json!({"alias": "a"})), found);
    (pair, found)
}

/// Makes an instance from an image of the source, and tells which image that was.
#[track_caller]
fn make(pair: &Pair, name: &str, source: &Value) -> String {
    make_in(pair, "default", name, source)
}

#[track_caller]
fn make_in(pair: &Pair, project: &str, name: &str, source: &Value) -> String {
    let source = pair.from(source);
    let devices = json!({"root": {"type": "disk", "path": "/", "pool": "default"}});
    let body = json!({"name": name, "source": source, "devices": devices});
    let path = format!("/1.0/instances?project={project}");
    pair.target.succeeds(&pair.target.post(&path, &body));
    let path = format!("/1.0/instances/{name}?project={project}");
    let instance = pair.target.get(&path).metadata().clone();
    instance["config"]["volatile.base_image"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A newer image at the source, by the name of the older one.
fn release(pair: &Pair, content: &str) -> String {
    let new = pair.source.import_public(&images::container(content));
    let body = json!({"target": new, "description": ""});
    pair.source.put("/1.0/images/aliases/a", &body).is_done();
    new
}

fn run(pair: &Pair, args: &[&str]) -> Output {
    let output = pair.target.command(args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn set_last_used(pair: &Pair, project: &str, fingerprint: &str, when: &str) {
    run(
        pair,
        &[
            "debug",
            "set-last-used",
            "--project",
            project,
            fingerprint,
            when,
        ],
    );
}

/// Lets expire what is to, and gives what that tells.
fn expire(pair: &Pair) -> Value {
    serde_json::from_slice(&run(pair, &["run-task", "expiry"]).stdout).unwrap()
}

fn has(pair: &Pair, fingerprint: &str) -> bool {
    pair.target
        .get(&format!("/1.0/images/{fingerprint}"))
        .status
        == 200
}

#[test]
fn an_image_for_an_instance_is_cached_private_and_kept_up_to_date() {
    let (pair, found) = with_instance();
    let image = pair.target.image(&found);
    let is = |key: &str| image[key].clone();
    assert_eq!(
        (is("cached"), is("public"), is("auto_update")),
        (json!(true), json!(false), json!(true))
    );
    assert_eq!(image["aliases"], json!([]));
    assert_eq!(image["update_source"]["alias"], "a");
    assert_ne!(image["last_used_at"], "0001-01-01T00:00:00Z");
    // Somebody asks for the image itself.
    assert_eq!(fingerprint_of(&pair.pull(&json!({"alias": "a"}))), found);
    assert_eq!(pair.target.image(&found)["cached"], false);
    make(&pair, "c2", &json!({"alias": "a"}));
    assert_eq!(pair.target.image(&found)["cached"], false);
}

#[test]
fn one_asked_for_by_fingerprint_is_not_kept_up_to_date() {
    let pair = Pair::start();
    let found = pair.source.import_public(&images::container("a"));
    assert_eq!(make(&pair, "c1", &json!({"fingerprint": found})), found);
    let image = pair.target.image(&found);
    assert_eq!(
        (&image["cached"], &image["auto_update"]),
        (&json!(true), &json!(false))
    );
    assert!(image["update_source"].is_null());
}

#[test]
fn settings_say_whether_it_is_kept_up_to_date() {
    let pair = Pair::start();
    let config = json!({"config": {"images.auto_update_cached": "false"}});
    pair.target.patch("/1.0", &config).is_done();
    let project = json!({"name": "p1", "config": {"images.auto_update_cached": "true"}});
    assert_eq!(pair.target.post("/1.0/projects", &project).status, 201);
    let found = pair.source.import_public(&images::container("a"));
    pair.source.alias("a", &found);
    make(&pair, "c1", &json!({"alias": "a"}));
    make_in(&pair, "p1", "c1", &json!({"alias": "a"}));
    assert_eq!(pair.target.image(&found)["auto_update"], false);
    let there = pair.target.get(&format!("/1.0/images/{found}?project=p1"));
    assert_eq!(there.metadata()["auto_update"], true);
}

#[test]
fn an_instance_does_not_wait_for_a_newer_image() {
    let (pair, old) = with_instance();
    let new = release(&pair, "new");
    assert_eq!(make(&pair, "c2", &json!({"alias": "a"})), old);
    let config = json!({"config": {"images.auto_update_interval": "0"}});
    pair.target.patch("/1.0", &config).is_done();
    assert_eq!(make(&pair, "c3", &json!({"alias": "a"})), new);
}

#[test]
fn an_instance_is_made_although_the_server_is_gone() {
    if !beyond_lxd("it fails") {
        return;
    }
    let (mut pair, found) = with_instance();
    let from = pair.from(&json!({"alias": "a"}));
    pair.source.stop();
    let make = |name: &str| {
        let body = json!({"name": name, "source": from});
        pair.target
            .succeeds(&pair.target.post("/1.0/instances", &body));
        pair.target.instance(name)["config"]["volatile.base_image"].clone()
    };
    assert_eq!(make("c2"), found);
    // Even when it would have been asked.
    let config = json!({"config": {"images.auto_update_interval": "0"}});
    pair.target.patch("/1.0", &config).is_done();
    assert_eq!(make("c3"), found);
    pair.source.boot();
}

#[test]
fn a_cached_image_is_updated_and_stays_cached() {
    let (mut pair, old) = with_instance();
    let used = pair.target.image(&old)["last_used_at"].clone();
    let new = release(&pair, "new");
    pair.target.restart();
    assert!(soon(PATIENCE, || has(&pair, &new)));
    assert!(soon(PATIENCE, || !has(&pair, &old)));
    let image = pair.target.image(&new);
    assert_eq!(
        (&image["cached"], &image["auto_update"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(image["last_used_at"], used);
    assert_eq!(make(&pair, "c2", &json!({"alias": "a"})), new);
}

#[test]
fn what_nobody_used_for_ten_days_goes_and_not_before() {
    let (pair, found) = with_instance();
    let kept = pair.target.import(&images::container("kept"));
    set_last_used(&pair, "default", &kept, &ago(1000 * clock::DAY));
    set_last_used(&pair, "default", &found, &ago(10 * clock::DAY - 60));
    assert_eq!(expire(&pair)["removed"], json!([]));
    assert!(has(&pair, &found));
    set_last_used(&pair, "default", &found, &ago(10 * clock::DAY));
    let removed = json!([{"project": "default", "fingerprint": found}]);
    assert_eq!(expire(&pair)["removed"], removed);
    assert!(!has(&pair, &found) && has(&pair, &kept));
    assert_eq!(pair.target.names("images"), [kept]);
    // The instance does not mind, and the next one fetches it again.
    assert_eq!(make(&pair, "c2", &json!({"alias": "a"})), found);
}

#[test]
fn files_stay_that_another_project_needs() {
    let (pair, found) = with_instance();
    crate::support::trust::project(&pair.target, "p1");
    let source = json!({"fingerprint": found});
    pair.pull_as(&pair.target, "p1", &source, &json!({}));
    set_last_used(&pair, "default", &found, &ago(11 * clock::DAY));
    expire(&pair);
    assert!(!has(&pair, &found));
    let path = format!("/1.0/images/{found}/export?project=p1");
    assert_eq!(pair.target.get(&path).body, images::container("old"));
    // Deleted there too, and brought in here again: there it stays gone.
    pair.target.succeeds(
        &pair
            .target
            .delete(&format!("/1.0/images/{found}?project=p1")),
    );
    assert_eq!(pair.target.import(&images::container("old")), found);
    assert_eq!(pair.target.get(&path).status, 404);
}

#[test]
fn a_start_lets_expire_what_is_over_by_then() {
    if !beyond_lxd("its clock is another") {
        return;
    }
    let (mut pair, found) = with_instance();
    let last_run = |pair: &Pair| {
        let tasks = pair.target.get("/1.0/lximaged/tasks").metadata().clone();
        tasks[0]["last_run"]["metadata"].clone()
    };
    let mut start = |time: &str| {
        pair.target.stop();
        pair.target.set_time(time);
        pair.target.boot();
        assert!(soon(PATIENCE, || !last_run(&pair).is_null()));
        (last_run(&pair), has(&pair, &found))
    };
    // A clock that is wrong by years empties nothing.
    let (told, is_here) = start("+3650d");
    assert!(
        told["waiting"].as_str().unwrap().contains("jumped ahead"),
        "{told}"
    );
    assert!(is_here);
    let nothing = json!({"removed": [], "failed": []});
    assert_eq!(start("-3650d"), (nothing.clone(), true));
    assert_eq!(start("+863400s"), (nothing, true));
    let (told, is_here) = start("+864600s");
    assert_eq!(
        (told["removed"].as_array().unwrap().len(), is_here),
        (1, false)
    );
}
