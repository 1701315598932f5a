//! Snapshots of instances.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Lximaged, PATIENCE, Request, images, soon};

const C1: &str = "/1.0/instances/c1";
const SNAPSHOTS: &str = "/1.0/instances/c1/snapshots";
const NEVER: &str = "0001-01-01T00:00:00Z";

fn with_instance() -> Lximaged {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    daemon
}

#[track_caller]
fn snapshot(daemon: &Lximaged, name: &str) {
    daemon.succeeds(&daemon.post(SNAPSHOTS, &json!({"name": name})));
}

#[test]
fn a_snapshot_is_made_read_and_deleted() {
    let daemon = with_instance();
    let mut events = crate::support::Events::listen(&daemon, "?type=lifecycle");
    let answer = daemon.post(SNAPSHOTS, &json!({"name": "s1"}));
    assert_eq!(answer.operation()["description"], "Snapshotting instance");
    let about = json!({"containers": ["/1.0/containers/c1"], "instances": [C1]});
    assert_eq!(answer.operation()["resources"], about);
    daemon.succeeds(&answer);
    let event = events.action("instance-snapshot-created");
    assert_eq!(
        event["metadata"]["source"],
        "/1.0/instances/c1/snapshots/s1"
    );
    let instance = daemon.instance("c1");
    let found = daemon
        .get("/1.0/instances/c1/snapshots/s1")
        .metadata()
        .clone();
    for key in [
        "architecture",
        "config",
        "devices",
        "profiles",
        "expanded_devices",
    ] {
        assert_eq!(found[key], instance[key], "{key}");
    }
    assert_eq!(found["name"], "s1");
    assert_eq!(found["expires_at"], NEVER);
    assert_eq!(found["size"], -1);
    assert_eq!(
        daemon.get(SNAPSHOTS).metadata(),
        &json!(["/1.0/instances/c1/snapshots/s1"])
    );
    let listed = daemon.get("/1.0/instances/c1/snapshots?recursion=1");
    assert_eq!(listed.metadata(), &json!([found]));
    let full = daemon
        .get("/1.0/instances/c1?recursion=1")
        .metadata()
        .clone();
    assert_eq!(full["snapshots"], json!([found]));
    daemon.check();
    let answer = daemon.delete("/1.0/instances/c1/snapshots/s1");
    assert_eq!(answer.operation()["description"], "Deleting snapshot");
    daemon.succeeds(&answer);
    events.action("instance-snapshot-deleted");
    let text = "Failed to fetch snapshot \"s1\" of instance \"c1\" in project \"default\": \
                InstanceSnapshot not found";
    daemon
        .delete("/1.0/instances/c1/snapshots/s1")
        .is_error(404, text);
    daemon
        .get("/1.0/instances/x/snapshots")
        .is_error(404, "Instance not found");
}

#[test]
fn snapshots_get_names_by_the_pattern() {
    let daemon = with_instance();
    let names = || {
        let found = daemon.get(SNAPSHOTS).metadata().clone();
        let found = found.as_array().unwrap().iter();
        let names = found.map(|url| url.as_str().unwrap().rsplit('/').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let make = || daemon.post(SNAPSHOTS, &json!({}));
    daemon.succeeds(&make());
    daemon.succeeds(&make());
    assert_eq!(names(), ["snap0", "snap1"]);
    let pattern = |text: &str| json!({"config": {"snapshots.pattern": text}});
    daemon.patch(C1, &pattern("foo")).is_done();
    daemon.succeeds(&make());
    daemon.succeeds(&make());
    assert_eq!(names()[2..], ["foo", "foo-0"]);
    daemon.patch(C1, &pattern("%d%d")).is_done();
    make().is_error(500, "Snapshot pattern may contain '%d' only once");
}

#[test]
fn bad_names_and_names_that_are_taken_are_refused() {
    let daemon = with_instance();
    snapshot(&daemon, "s1");
    let post = |name: &str| daemon.post(SNAPSHOTS, &json!({"name": name}));
    post("a/b").is_error(400, "Invalid snapshot name: Cannot contain \"/\"");
    post("..").is_error(400, "Invalid snapshot name \"..\"");
    let text = "Failed creating instance snapshot record \"a b\": \
                Invalid instance snapshot name: Cannot contain space or / characters";
    assert_eq!(daemon.fails(&post("a b")), text);
    let text = "Failed creating instance snapshot record \"s1\": Add snapshot info to the \
                database: This \"instances_snapshots\" entry already exists";
    assert_eq!(daemon.fails(&post("s1")), text);
    let stateful = daemon.post(SNAPSHOTS, &json!({"name": "m", "stateful": true}));
    let text = "Unable to create a stateful snapshot. The instance isn't running";
    assert_eq!(daemon.fails(&stateful), text);
    snapshot(&daemon, "s2");
    let rename = |name: &str| daemon.post("/1.0/instances/c1/snapshots/s1", &json!({"name": name}));
    rename("s2").is_error(409, "Name 'c1/s2' already in use");
    rename("a/b").is_error(400, "Invalid snapshot name: Cannot contain \"/\"");
    daemon.check();
}

#[test]
fn a_snapshot_is_renamed() {
    let daemon = with_instance();
    snapshot(&daemon, "s1");
    let mut events = crate::support::Events::listen(&daemon, "?type=lifecycle");
    let answer = daemon.post("/1.0/instances/c1/snapshots/s1", &json!({"name": "s9"}));
    assert_eq!(answer.operation()["description"], "Renaming snapshot");
    daemon.succeeds(&answer);
    let event = events.action("instance-snapshot-renamed");
    assert_eq!(event["metadata"]["context"], json!({"old_name": "c1/s1"}));
    assert_eq!(
        daemon.get(SNAPSHOTS).metadata(),
        &json!(["/1.0/instances/c1/snapshots/s9"])
    );
    daemon.check();
}

#[test]
fn a_snapshot_says_when_it_goes() {
    let daemon = with_instance();
    let when = |name: &str| {
        let path = format!("/1.0/instances/c1/snapshots/{name}");
        daemon.get(&path).metadata()["expires_at"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let date = "2040-01-01T02:00:00+02:00";
    daemon.succeeds(&daemon.post(SNAPSHOTS, &json!({"name": "a", "expires_at": date})));
    assert_eq!(when("a"), date);
    daemon
        .patch(C1, &json!({"config": {"snapshots.expiry": "1d"}}))
        .is_done();
    snapshot(&daemon, "b");
    assert!(when("b").as_str() > "2001", "{}", when("b"));
    let put = |body: Value| daemon.put("/1.0/instances/c1/snapshots/b", &body);
    daemon.succeeds(&put(json!({"expires_at": "2041-01-01T00:00:00Z"})));
    assert_eq!(when("b"), "2041-01-01T00:00:00Z");
    daemon.succeeds(&daemon.patch("/1.0/instances/c1/snapshots/b", &json!({})));
    assert_eq!(when("b"), "2041-01-01T00:00:00Z");
    daemon.succeeds(&put(json!({})));
    assert_eq!(when("b"), NEVER);
    assert_eq!(put(json!({"expires_at": "soon"})).status, 400);
    let stale = Request::new("PUT", "/1.0/instances/c1/snapshots/b").header("If-Match", "x");
    assert_eq!(daemon.send(&stale.json(&json!({}))).status, 412);
}

#[test]
fn going_back_to_a_snapshot_restores_files_and_configuration() {
    let daemon = with_instance();
    let metadata = daemon
        .dir()
        .join("storage-pools/default/containers/c1/metadata.yaml");
    let before = fs::read(&metadata).unwrap();
    daemon
        .patch(C1, &json!({"config": {"user.a": "then"}}))
        .is_done();
    snapshot(&daemon, "s1");
    daemon
        .patch(C1, &json!({"config": {"user.a": "now"}, "ephemeral": true}))
        .is_done();
    fs::write(&metadata, "architecture: x\n").unwrap();
    let answer = daemon.put(C1, &json!({"restore": "s1"}));
    assert_eq!(answer.operation()["description"], "Restoring snapshot");
    daemon.succeeds(&answer);
    let instance = daemon.instance("c1");
    assert_eq!(instance["config"]["user.a"], "then");
    assert_eq!(instance["ephemeral"], false);
    assert_eq!(fs::read(&metadata).unwrap(), before);
    let failed = daemon.fails(&daemon.put(C1, &json!({"restore": "nope"})));
    assert_eq!(failed, "Snapshot c1/nope does not exist");
    daemon.check();
}

#[test]
fn snapshots_go_with_their_instance() {
    let daemon = with_instance();
    snapshot(&daemon, "s1");
    snapshot(&daemon, "s2");
    let mut events = crate::support::Events::listen(&daemon, "?type=lifecycle");
    daemon.succeeds(&daemon.delete(C1));
    let seen = events.action("instance-deleted");
    assert_eq!(seen["metadata"]["source"], C1);
    let deleted = |event: &&Value| event["metadata"]["action"] == "instance-snapshot-deleted";
    assert_eq!(events.seen().iter().filter(deleted).count(), 2);
    daemon.check();
}

#[test]
fn a_snapshot_whose_time_is_over_goes() {
    let mut daemon = with_instance();
    for (name, end) in [
        ("over", "2020-01-01T00:00:00Z"),
        ("never", NEVER),
        ("epoch", "1970-01-01T00:00:00Z"),
        ("later", "2100-01-01T00:00:00Z"),
    ] {
        let body = json!({"name": name, "expires_at": end});
        daemon.succeeds(&daemon.post(SNAPSHOTS, &body));
    }
    daemon.restart();
    let gone = soon(PATIENCE, || {
        daemon.get("/1.0/instances/c1/snapshots/over").status == 404
    });
    assert!(gone);
    let left = daemon.get(SNAPSHOTS).metadata().as_array().unwrap().len();
    assert_eq!(left, 3);
}
