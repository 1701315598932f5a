//! Copies of instances and of their snapshots.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Lximaged, beyond_lxd, images, instances::INSTANCES};

fn copy_of(source: &str, more: &Value) -> Value {
    let mut body = json!({"type": "copy", "source": source});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// A daemon with an instance `c1` that has a snapshot and something of its own.
fn with_source() -> Lximaged {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let body = json!({"name": "c1", "config": {"user.a": "b"}, "devices": {"n": {"type": "none"}},
        "source": {"type": "image", "fingerprint": found}});
    daemon.succeeds(&daemon.post(INSTANCES, &body));
    let dated = json!({"name": "s1", "expires_at": "2040-01-01T00:00:00Z"});
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &dated));
    daemon
}

#[test]
fn a_copy_takes_along_what_makes_the_instance_and_nothing_that_names_it() {
    let daemon = with_source();
    let before = daemon.instance("c1");
    let body = json!({"name": "c2", "source": copy_of("c1", &json!({}))});
    let answer = daemon.post(INSTANCES, &body);
    let about = json!({"containers": ["/1.0/containers/c2", "/1.0/containers/c1"],
        "instances": ["/1.0/instances/c2", "/1.0/instances/c1"]});
    assert_eq!(answer.operation()["resources"], about);
    daemon.succeeds(&answer);
    let copy = daemon.instance("c2");
    assert_eq!(copy["devices"], before["devices"]);
    assert_eq!(copy["profiles"], before["profiles"]);
    for key in ["user.a", "image.os", "volatile.base_image"] {
        assert_eq!(copy["config"][key], before["config"][key], "{key}");
    }
    assert_eq!(copy["config"]["volatile.apply_template"], "copy");
    for key in ["volatile.uuid", "volatile.cloud-init.instance-id"] {
        assert_ne!(copy["config"][key], before["config"][key], "{key}");
    }
    let snapshots = |name: &str| {
        let path = format!("/1.0/instances/{name}/snapshots?recursion=1");
        daemon.get(&path).metadata().clone()
    };
    assert_eq!(snapshots("c2"), snapshots("c1"));
    daemon.check();
}

#[test]
fn what_is_asked_for_goes_over_what_is_copied() {
    let daemon = with_source();
    let body = json!({"name": "c2", "config": {"user.a": "other"}, "profiles": ["default"],
        "devices": {"n": {"type": "none", "user.x": "1"}}, "ephemeral": true,
        "source": copy_of("c1", &json!({"instance_only": true}))});
    daemon.succeeds(&daemon.post(INSTANCES, &body));
    let copy = daemon.instance("c2");
    assert_eq!(copy["config"]["user.a"], "other");
    assert_eq!(copy["devices"]["n"]["user.x"], "1");
    assert_eq!(copy["ephemeral"], true);
    assert_eq!(
        daemon.get("/1.0/instances/c2/snapshots").metadata(),
        &json!([])
    );
}

#[test]
fn a_snapshot_is_copied_as_it_was() {
    let daemon = with_source();
    daemon
        .patch("/1.0/instances/c1", &json!({"config": {"user.a": "later"}}))
        .is_done();
    let body = json!({"name": "c2", "source": copy_of("c1/s1", &json!({}))});
    let answer = daemon.post(INSTANCES, &body);
    let about = &answer.operation()["resources"]["instances"];
    assert_eq!(about, &json!(["/1.0/instances/c2", "/1.0/instances/c1/s1"]));
    daemon.succeeds(&answer);
    assert_eq!(daemon.instance("c2")["config"]["user.a"], "b");
    let text = "Failed to fetch snapshot \"x\" of instance \"c1\" in project \"default\": \
                InstanceSnapshot not found";
    let body = json!({"name": "c3", "source": copy_of("c1/x", &json!({}))});
    daemon.post(INSTANCES, &body).is_error(404, text);
}

#[test]
fn copies_go_to_other_projects_and_pools() {
    let daemon = with_source();
    let project = json!({"name": "p", "config": {"features.profiles": "false"}});
    daemon
        .post("/1.0/projects", &project)
        .is_created("/1.0/projects/p");
    let pool = json!({"name": "second", "driver": "dir"});
    daemon
        .post("/1.0/storage-pools", &pool)
        .is_created("/1.0/storage-pools/second");
    let root = json!({"root": {"type": "disk", "path": "/", "pool": "second"}});
    let body = json!({"name": "c1", "devices": root,
        "source": copy_of("c1", &json!({"project": "default"}))});
    daemon.succeeds(&daemon.post("/1.0/instances?project=p", &body));
    let copy = daemon.get("/1.0/instances/c1?project=p").metadata().clone();
    assert_eq!(
        copy["expanded_devices"],
        json!({"n": {"type": "none"}, "root": root["root"]})
    );
    daemon.check();
    daemon.succeeds(&daemon.delete("/1.0/instances/c1"));
    daemon.check();
}

#[test]
fn a_copy_is_brought_up_to_date() {
    let daemon = with_source();
    let refresh = json!({"name": "c2", "source": copy_of("c1", &json!({"refresh": true}))});
    daemon.succeeds(&daemon.post(INSTANCES, &refresh));
    let path = "/1.0/instances/c1/snapshots";
    daemon.succeeds(&daemon.post(path, &json!({"name": "s2"})));
    daemon.succeeds(&daemon.delete("/1.0/instances/c1/snapshots/s1"));
    daemon.succeeds(&daemon.post("/1.0/instances/c2/snapshots", &json!({"name": "own"})));
    daemon.succeeds(&daemon.post(INSTANCES, &refresh));
    let snapshots = daemon.get("/1.0/instances/c2/snapshots");
    assert_eq!(
        snapshots.metadata(),
        &json!(["/1.0/instances/c2/snapshots/s2"])
    );
    daemon.check();
}

#[test]
fn a_copy_does_not_share_what_is_written_later() {
    let daemon = with_source();
    let body = json!({"name": "c2", "source": copy_of("c1", &json!({}))});
    daemon.succeeds(&daemon.post(INSTANCES, &body));
    let tree = daemon.dir().join("storage-pools/default/containers");
    fs::write(tree.join("c2/metadata.yaml"), "architecture: other\n").unwrap();
    let source = fs::read_to_string(tree.join("c1/metadata.yaml")).unwrap();
    assert!(source.contains("x86_64"), "{source}");
}

#[test]
fn an_instance_is_not_refreshed_from_one_of_another_type() {
    if !beyond_lxd("it has no virtual machines here") {
        return;
    }
    let daemon = with_source();
    daemon.allow_machines();
    let machine = json!({"name": "v", "type": "virtual-machine", "source": {"type": "none"}});
    daemon.succeeds(&daemon.post(INSTANCES, &machine));
    let refreshed = json!({"name": "v", "source": copy_of("c1", &json!({"refresh": true}))});
    let text =
        "Source instance's type \"container\" doesn't match instance type \"virtual-machine\"";
    assert_eq!(daemon.fails(&daemon.post(INSTANCES, &refreshed)), text);
}
