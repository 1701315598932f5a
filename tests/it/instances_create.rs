//! Instances come into being: from images, from nothing, with profiles.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    Lximaged, Request, image_api::fingerprint_of, images, instances::INSTANCES,
    multipart::Multipart,
};

fn from(fingerprint: &str) -> Value {
    json!({"type": "image", "fingerprint": fingerprint})
}

#[test]
fn an_instance_has_what_its_image_and_its_maker_gave_it() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let body = json!({"name": "c1", "source": from(&found), "description": "D", "ephemeral": true,
        "config": {"user.a": "b", "user.none": "", "image.os": "mine"}});
    let answer = daemon.post(INSTANCES, &body);
    let operation = answer.operation().clone();
    assert_eq!(operation["description"], "Creating instance");
    let about = json!({"containers": ["/1.0/containers/c1"], "instances": ["/1.0/instances/c1"]});
    assert_eq!(operation["resources"], about);
    assert_eq!(daemon.succeeds(&answer)["metadata"], json!({}));
    let instance = daemon.instance("c1");
    let config = instance["config"].as_object().unwrap();
    for (key, value) in [
        ("user.a", "b"),
        ("image.os", "Testix"),
        ("volatile.base_image", found.as_str()),
        ("volatile.apply_template", "create"),
        ("volatile.last_state.idmap", "[]"),
    ] {
        assert_eq!(config[key], value, "{key}");
    }
    assert!(!config.contains_key("user.none"));
    for key in ["volatile.uuid", "volatile.cloud-init.instance-id"] {
        assert_eq!(config[key].as_str().unwrap().len(), 36);
    }
    assert_eq!(instance["expanded_config"], instance["config"]);
    let root = json!({"root": {"path": "/", "pool": "default", "type": "disk"}});
    for (key, value) in [
        ("architecture", json!("x86_64")),
        ("devices", json!({})),
        ("expanded_devices", root),
        ("ephemeral", json!(true)),
        ("description", json!("D")),
        ("profiles", json!(["default"])),
        ("status", json!("Stopped")),
        ("status_code", json!(102)),
        ("stateful", json!(false)),
        ("last_used_at", json!("1970-01-01T00:00:00Z")),
        ("location", json!("none")),
        ("project", json!("default")),
        ("type", json!("container")),
    ] {
        assert_eq!(instance[key], value, "{key}");
    }
    assert!(daemon.image(&found)["last_used_at"].as_str() > Some("2001"));
}

#[test]
fn the_tree_holds_what_the_image_has_and_nothing_else_of_it() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    let names = daemon.names("storage-pools/default/containers/c1");
    assert!(names.contains(&"rootfs".to_owned()), "{names:?}");
    assert!(names.contains(&"metadata.yaml".to_owned()), "{names:?}");
    assert_eq!(daemon.names("storage-pools/default/.staging"), [""; 0]);
    daemon.succeeds(&daemon.delete("/1.0/instances/c1"));
    assert_eq!(daemon.names("storage-pools/default/containers"), [""; 0]);
}

#[test]
fn an_image_is_named_by_fingerprint_alias_or_properties() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.alias("one/two", &found);
    for (name, source) in [
        ("c1", json!({"type": "image", "fingerprint": found})),
        ("c2", json!({"type": "image", "fingerprint": &found[..12]})),
        ("c3", json!({"type": "image", "alias": "one/two"})),
        (
            "c4",
            json!({"type": "image", "properties": {"os": "Testix"}}),
        ),
        (
            "c5",
            json!({"type": "image", "fingerprint": found, "alias": "nope", "mode": "pull"}),
        ),
    ] {
        daemon.succeeds(&daemon.post(INSTANCES, &json!({"name": name, "source": source})));
        assert_eq!(
            daemon.instance(name)["config"]["volatile.base_image"],
            found
        );
    }
}

#[test]
fn the_newest_image_with_the_properties_is_taken() {
    let daemon = Lximaged::start();
    let dated = |marker: &str, seconds: u64| {
        let metadata = format!(
            "architecture: x86_64\ncreation_date: {seconds}\nproperties:\n  os: X\n  n: {marker}\n"
        );
        daemon.import(&images::unified(&metadata))
    };
    dated("old", 1000);
    let newest = dated("new", 2_000_000_000);
    dated("middle", 1_500_000_000);
    let source = json!({"type": "image", "properties": {"os": "X"}});
    daemon.succeeds(&daemon.post(INSTANCES, &json!({"name": "c1", "source": source})));
    assert_eq!(
        daemon.instance("c1")["config"]["volatile.base_image"],
        newest
    );
}

#[test]
fn an_instance_without_a_name_gets_one() {
    let daemon = Lximaged::start();
    let answer = daemon.post(INSTANCES, &json!({"source": {"type": "none"}}));
    let url = answer.operation()["resources"]["instances"][0].clone();
    daemon.succeeds(&answer);
    assert_eq!(daemon.get(INSTANCES).metadata(), &json!([url]));
}

#[test]
fn profiles_are_those_named_or_the_images_or_default() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let web = json!({"name": "web", "config": {"limits.cpu": "2", "user.x": "web"},
        "devices": {"root": {"type": "disk", "path": "/", "pool": "default", "size": "1GiB"}}});
    daemon
        .post("/1.0/profiles", &web)
        .is_created("/1.0/profiles/web");
    let made = |name: &str, profiles: &Value, config: &Value| {
        let body = json!({"name": name, "source": from(&found), "profiles": profiles,
            "config": config});
        daemon.succeeds(&daemon.post(INSTANCES, &body));
        daemon.instance(name)
    };
    let instance = made("c1", &Value::Null, &json!({}));
    assert_eq!(instance["profiles"], json!(["default"]));
    let instance = made("c2", &json!(["default", "web"]), &json!({"user.x": "own"}));
    assert_eq!(instance["profiles"], json!(["default", "web"]));
    assert_eq!(instance["expanded_config"]["limits.cpu"], "2");
    assert_eq!(instance["expanded_config"]["user.x"], "own");
    assert_eq!(instance["expanded_devices"]["root"]["size"], "1GiB");
    let instance = made("c3", &json!(["web", "default"]), &json!({}));
    assert_eq!(instance["expanded_devices"]["root"]["size"], Value::Null);
    daemon
        .put(
            &format!("/1.0/images/{found}"),
            &json!({"profiles": ["web"]}),
        )
        .is_done();
    let instance = made("c4", &Value::Null, &json!({}));
    assert_eq!(instance["profiles"], json!(["web"]));
}

#[test]
fn a_split_image_makes_an_instance_too() {
    let daemon = Lximaged::start();
    let parts = Multipart::split(
        &images::metadata_tar("s"),
        "rootfs",
        &images::rootfs_tar("s"),
    );
    let found = fingerprint_of(&daemon.import_parts(&parts));
    daemon.init("c1", &found);
    let names = daemon.names("storage-pools/default/containers/c1");
    assert!(names.contains(&"rootfs".to_owned()), "{names:?}");
}

#[test]
fn a_size_becomes_limits() {
    let daemon = Lximaged::start();
    let body = |kind: &str| {
        json!({"name": "c1", "source": {"type": "none"}, "instance_type": kind,
            "config": {"limits.cpu": "5"}})
    };
    daemon.succeeds(&daemon.post(INSTANCES, &body("c1-m2")));
    let config = daemon.instance("c1")["config"].clone();
    assert_eq!(config["limits.memory"], "2048MB");
    assert_eq!(config["limits.cpu"], "5");
    let text = "Provided instance type doesn't exist: x";
    daemon.post(INSTANCES, &body("x")).is_error(400, text);
}

#[test]
fn legacy_paths_tell_types_apart() {
    let daemon = Lximaged::start();
    let body = json!({"name": "c1", "source": {"type": "none"}});
    daemon.succeeds(&daemon.post("/1.0/containers", &body));
    assert_eq!(
        daemon.get("/1.0/containers/c1").metadata()["type"],
        "container"
    );
    assert_eq!(
        daemon.get("/1.0/containers").metadata(),
        &json!(["/1.0/containers/c1"])
    );
    assert_eq!(daemon.get("/1.0/virtual-machines").metadata(), &json!([]));
    daemon
        .get("/1.0/virtual-machines/c1")
        .is_error(404, "Instance not found");
    let machine = json!({"name": "v1", "source": {"type": "none"}});
    if !Path::new("/dev/vhost-vsock").exists() {
        let failed = daemon.finished(&daemon.post("/1.0/virtual-machines", &machine));
        assert_eq!(
            failed["err"],
            "Failed creating instance record: Instance type \"virtual-machine\" is not supported \
             on this server: vhost_vsock kernel module not loaded"
        );
    }
    daemon.allow_machines();
    let answer = daemon.post("/1.0/virtual-machines", &machine);
    let about = json!({"instances": ["/1.0/instances/v1"]});
    assert_eq!(answer.operation()["resources"], about);
    daemon.succeeds(&answer);
    assert_eq!(daemon.instance("v1")["type"], "virtual-machine");
}

#[test]
fn creations_are_announced() {
    let daemon = Lximaged::start();
    let mut events = crate::support::Events::listen(&daemon, "?type=lifecycle");
    daemon.init_empty("c1");
    let event = events.action("instance-created");
    assert_eq!(event["metadata"]["source"], "/1.0/instances/c1");
    let context = json!({"type": "container", "storage-pool": "default"});
    assert_eq!(event["metadata"]["context"], context);
    daemon.succeeds(&daemon.delete("/1.0/instances/c1"));
    let event = events.action("instance-deleted");
    assert_eq!(event["metadata"]["source"], "/1.0/instances/c1");
}

#[test]
fn backups_are_not_taken_in() {
    let daemon = Lximaged::start();
    let request = Request::new("POST", INSTANCES)
        .header("Content-Type", "application/octet-stream")
        .body("anything")
        .chunked();
    let text = "Importing backups of instances is not implemented";
    daemon.send(&request).is_error(501, text);
    daemon.init_empty("c1");
    assert_eq!(
        daemon.get("/1.0/instances/c1/backups").metadata(),
        &json!([])
    );
    let text = "Backups of instances are not implemented";
    daemon
        .post("/1.0/instances/c1/backups", &json!({"name": "b"}))
        .is_error(501, text);
}

#[test]
fn names_that_begin_at_the_root_are_below_the_images() {
    // So do the images that LXD's own tests and pylxd's make.
    let image = crate::support::tar::Tar::new()
        .file("metadata.yaml", images::metadata("a"))
        .directory("rootfs/")
        .file("/rootfs/etc/inittab", "\n")
        .build();
    let daemon = Lximaged::start();
    let found = daemon.import(&image);
    daemon.init("c", &found);
    let file = daemon.get("/1.0/instances/c/files?path=/etc/inittab");
    assert_eq!(file.text(), "\n");
}
