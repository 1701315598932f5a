//! Instances are edited, renamed, moved and deleted.

use serde_json::{Value, json};

use crate::support::{Lximaged, Request, image_api::fingerprint_of, images, instances::INSTANCES};

const C1: &str = "/1.0/instances/c1";

/// The configuration with keys laid over it; clients send back what they read.
fn with(config: &Value, over: &Value) -> Value {
    let mut config = config.as_object().unwrap().clone();
    config.extend(over.as_object().unwrap().clone());
    config.into()
}

#[test]
fn put_replaces_what_can_be_written() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let config = with(&daemon.instance("c1")["config"], &json!({"user.x": "1"}));
    let device = json!({"d": {"type": "none"}});
    let body = json!({"config": config, "devices": device, "profiles": ["default"],
        "ephemeral": true, "description": "new", "architecture": "z80"});
    let answer = daemon.put(C1, &body);
    assert_eq!(answer.operation()["description"], "Updating instance");
    daemon.succeeds(&answer);
    let instance = daemon.instance("c1");
    assert_eq!(instance["config"], config);
    assert_eq!(instance["devices"], device);
    assert_eq!(instance["description"], "new");
    assert_eq!(instance["ephemeral"], true);
    assert_eq!(instance["architecture"], "x86_64");
}

#[test]
fn put_refuses_what_may_not_be() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let config = daemon.instance("c1")["config"].clone();
    let put = |over: Value, devices: Value, profiles: Value| {
        let body = json!({"config": with(&config, &over), "devices": devices,
            "profiles": profiles});
        daemon.put(C1, &body)
    };
    let (none, default) = (json!({}), json!(["default"]));
    let moved = json!({"root": {"type": "disk", "path": "/", "pool": "nope"}});
    let second = json!({"other": {"type": "disk", "path": "/", "pool": "default"}});
    let alien = json!({"x": {"type": "alien"}});
    let rows = [
        (
            json!({"bogus": "x"}),
            none.clone(),
            default.clone(),
            "Invalid config: Unknown configuration key: bogus",
        ),
        (
            none.clone(),
            alien,
            default.clone(),
            "Invalid devices: Device validation failed for \"x\": \
             Failed loading device \"x\": Unsupported device type",
        ),
        (
            none.clone(),
            moved,
            default.clone(),
            "Cannot update root disk device pool name to \"nope\"",
        ),
        (
            none.clone(),
            second,
            default,
            "Invalid expanded devices: Failed detecting root disk device: \
             More than one root device found",
        ),
        (
            none.clone(),
            none.clone(),
            json!(["default", "default"]),
            "Duplicate profile found in request",
        ),
    ];
    for (over, devices, profiles, reason) in rows {
        assert_eq!(daemon.fails(&put(over, devices, profiles)), reason);
    }
    put(none.clone(), none, json!(["nope"])).is_error(404, "Profile not found");
    let failed = daemon.fails(&daemon.put(C1, &json!({"profiles": ["default"]})));
    assert_eq!(failed, "Volatile idmap keys can't be deleted by the user");
    assert_eq!(daemon.instance("c1")["config"], config);
}

#[test]
fn patch_lays_over_at_once() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let before = daemon.instance("c1");
    daemon
        .patch(C1, &json!({"config": {"user.y": "2"}, "ephemeral": true}))
        .is_done();
    let after = daemon.instance("c1");
    assert_eq!(
        after["config"],
        with(&before["config"], &json!({"user.y": "2"}))
    );
    assert_eq!(after["ephemeral"], true);
    assert_eq!(after["profiles"], json!(["default"]));
    daemon
        .patch(C1, &json!({"config": {"user.y": ""}}))
        .is_done();
    assert_eq!(daemon.instance("c1")["config"], before["config"]);
    let text = "Invalid config: Unknown configuration key: nothing";
    daemon
        .patch(C1, &json!({"config": {"nothing": "2"}}))
        .is_error(500, text);
    let text = "json: cannot unmarshal number into Go struct field InstancePut.config of type \
                map[string]string";
    daemon.patch(C1, &json!({"config": 5})).is_error(400, text);
}

#[test]
fn only_the_state_that_was_seen_is_changed() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let tag = daemon.get(C1).header("etag").unwrap().to_owned();
    daemon
        .patch(C1, &json!({"config": {"user.a": "b"}}))
        .is_done();
    let stale = Request::new("PATCH", C1)
        .header("If-Match", &tag)
        .json(&json!({"config": {"user.a": "c"}}));
    assert_eq!(daemon.send(&stale).status, 412);
    let stale = Request::new("PUT", C1)
        .header("If-Match", &tag)
        .json(&json!({}));
    assert_eq!(daemon.send(&stale).status, 412);
    let tag = daemon.get(C1).header("etag").unwrap().to_owned();
    let fresh = Request::new("PATCH", C1)
        .header("If-Match", &tag)
        .json(&json!({"config": {"user.a": "c"}}));
    daemon.send(&fresh).is_done();
}

#[test]
fn a_renamed_instance_keeps_what_it_has() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    daemon.init_empty("c2");
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &json!({"name": "s"})));
    let answer = daemon.post(C1, &json!({"name": "c9"}));
    assert_eq!(answer.operation()["description"], "Renaming instance");
    daemon.succeeds(&answer);
    daemon.get(C1).is_error(404, "Instance not found");
    let snapshots = daemon.get("/1.0/instances/c9/snapshots");
    assert_eq!(
        snapshots.metadata(),
        &json!(["/1.0/instances/c9/snapshots/s"])
    );
    // What was to be applied first still is.
    assert_eq!(
        daemon.instance("c9")["config"]["volatile.apply_template"],
        "create"
    );
    let post = |body: Value| daemon.post("/1.0/instances/c9", &body);
    post(json!({"name": "c2"})).is_error(409, "Name \"c2\" already in use");
    post(json!({"name": ""})).is_error(409, "Name \"c9\" already in use");
    let text = "Invalid instance name: Name can only contain alphanumeric and hyphen characters";
    post(json!({"name": "bad name"})).is_error(400, text);
    let text = "Migration between servers is not implemented";
    post(json!({"migration": true})).is_error(501, text);
    daemon.check();
}

#[test]
fn an_instance_moves_between_projects_and_pools() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &json!({"name": "s"})));
    let shared = json!({"name": "p", "config": {"features.profiles": "false"}});
    daemon
        .post("/1.0/projects", &shared)
        .is_created("/1.0/projects/p");
    let there = json!({"name": "c1", "project": "p", "migration": true});
    daemon.succeeds(&daemon.post(C1, &there));
    assert_eq!(daemon.instance_names("default"), [""; 0]);
    assert_eq!(daemon.instance_names("p"), ["c1"]);
    daemon.check();
    let pool = json!({"name": "second", "driver": "dir"});
    daemon
        .post("/1.0/storage-pools", &pool)
        .is_created("/1.0/storage-pools/second");
    let there = json!({"name": "c2", "pool": "second", "migration": true});
    daemon.succeeds(&daemon.post("/1.0/instances/c1?project=p", &there));
    let moved = daemon.get("/1.0/instances/c2?project=p").metadata().clone();
    assert_eq!(moved["expanded_devices"]["root"]["pool"], "second");
    daemon.check();
}

#[test]
fn a_protected_instance_is_not_deleted() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let protect = |value: &str| json!({"config": {"security.protection.delete": value}});
    daemon.patch(C1, &protect("true")).is_done();
    assert_eq!(daemon.fails(&daemon.delete(C1)), "Container is protected");
    daemon.patch(C1, &protect("")).is_done();
    daemon.succeeds(&daemon.delete(C1));
    daemon.delete(C1).is_error(404, "Instance not found");
    daemon.delete(INSTANCES).is_error(501, "not implemented");
}

#[test]
fn a_profile_changes_the_instances_that_use_it() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    daemon
        .patch("/1.0/profiles/default", &json!({"config": {"user.p": "1"}}))
        .is_done();
    assert_eq!(daemon.instance("c1")["expanded_config"]["user.p"], "1");
    let text = "At least one instance relies on this profile's root disk device";
    daemon
        .put("/1.0/profiles/default", &json!({}))
        .is_error(500, text);
    let source = json!({"devices": {"x": {"type": "disk", "path": "/x", "source": "/no/such"}}});
    let text = "The following instances failed to update (profile change still saved):\n \
                - Project: default, Instance: c1: Failed add validation for device \"x\": \
                Missing source path \"/no/such\" for disk \"x\"\n";
    daemon
        .patch("/1.0/profiles/default", &source)
        .is_error(500, text);
    let saved = daemon.get("/1.0/profiles/default").metadata().clone();
    assert_eq!(saved["devices"]["x"]["source"], "/no/such");
    assert_eq!(saved["used_by"], json!([C1]));
}

#[test]
fn what_instances_use_stays() {
    let daemon = Lximaged::start();
    let web = json!({"name": "web"});
    daemon
        .post("/1.0/profiles", &web)
        .is_created("/1.0/profiles/web");
    let found = fingerprint_of(&daemon.import_with(&images::container("a"), &[]));
    let body = json!({"name": "c1", "profiles": ["default", "web"],
        "source": {"type": "image", "fingerprint": found}});
    daemon.succeeds(&daemon.post(INSTANCES, &body));
    let text = "Profile is currently in use";
    daemon.delete("/1.0/profiles/web").is_error(500, text);
    daemon
        .post("/1.0/profiles/web", &json!({"name": "www"}))
        .is_created("/1.0/profiles/www");
    assert_eq!(daemon.instance("c1")["profiles"], json!(["default", "www"]));
    daemon
        .delete("/1.0/storage-pools/default")
        .is_error(400, "The storage pool is currently in use");
    // The image may go; the instance has what it needs of it.
    daemon.remove_image(&found);
    assert_eq!(
        daemon.instance("c1")["config"]["volatile.base_image"],
        found
    );
}

#[test]
fn what_all_are_to_do_means_those_to_whom_it_means_anything() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let put = |action: &str| daemon.put("/1.0/instances", &json!({"state": {"action": action}}));
    put("alien").is_error(400, "Unknown action: 'alien'");
    let answer = put("stop");
    assert_eq!(answer.operation()["description"], "Stopping instance");
    assert_eq!(answer.operation()["resources"]["instances"], json!([]));
    daemon.succeeds(&answer);
}
