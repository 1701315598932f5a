//! Instances that do not come into being, and what they leave: nothing.

use serde_json::{Value, json};

use crate::support::{Lximaged, images, instances::INSTANCES};

const RECORD: &str = "Failed creating instance record: ";

#[test]
fn images_that_are_not_there_are_told() {
    let daemon = Lximaged::start();
    daemon.import(&images::container("a"));
    let post = |source: Value| daemon.post(INSTANCES, &json!({"name": "c1", "source": source}));
    post(json!({"type": "image", "alias": "nope"})).is_error(404, "Image alias not found");
    let text = "Must specify one of alias, fingerprint or properties for init from image";
    post(json!({"type": "image"})).is_error(500, text);
    post(json!({"type": "image", "alias": ""})).is_error(500, text);
    let none = json!({"type": "image", "properties": {"os": "Nope"}});
    post(none).is_error(500, "No matching image could be found");
    let remote = json!({"type": "image", "server": "https://x", "properties": {"os": "Nope"}});
    let text = "Property match is only supported for local images";
    post(remote).is_error(500, text);
    let answer = post(json!({"type": "image", "fingerprint": "ffffffffffff"}));
    assert_eq!(
        daemon.fails(&answer),
        "Image not provided for instance creation"
    );
    assert_eq!(daemon.instance_names("default"), [""; 0]);
}

#[test]
fn sources_that_are_none_are_told() {
    let daemon = Lximaged::start();
    let post = |source: Value| daemon.post(INSTANCES, &json!({"name": "c1", "source": source}));
    post(json!({"type": "alien"})).is_error(400, "Unknown source type alien");
    post(json!({})).is_error(400, "Unknown source type ");
    post(json!({"type": "migration"})).is_error(501, "Mode \"\" not implemented");
    let text = "Migration between servers is not implemented";
    post(json!({"type": "migration", "mode": "pull"})).is_error(501, text);
    post(json!({"type": "copy"})).is_error(400, "Must specify a source instance");
    let text = "Failed to fetch instance \"x\" in project \"default\": Instance not found";
    post(json!({"type": "copy", "source": "x"})).is_error(404, text);
    let none = json!({"type": "none"});
    let body = json!({"name": "c1", "source": none, "type": "alien"});
    daemon
        .post(INSTANCES, &body)
        .is_error(400, "Invalid instance type");
    let body = json!({"name": "c1", "source": none});
    daemon
        .post("/1.0/instances?target=x", &body)
        .is_error(400, "Target only allowed when clustered");
    daemon
        .post("/1.0/instances?project=nope", &body)
        .is_error(404, "Failed loading project: Project not found");
}

#[test]
fn names_that_no_host_could_have_are_refused() {
    let daemon = Lximaged::start();
    let long = "a".repeat(64);
    for (name, reason) in [
        (
            "bad name",
            "Name can only contain alphanumeric and hyphen characters",
        ),
        (
            "a_b",
            "Name can only contain alphanumeric and hyphen characters",
        ),
        (
            "ünï",
            "Name can only contain alphanumeric and hyphen characters",
        ),
        ("-a", "Name must not start with \"-\" character"),
        ("a-", "Name must not end with \"-\" character"),
        ("1a", "Name must not start with a number"),
        (long.as_str(), "Name must be 1-63 characters long"),
    ] {
        let body = json!({"name": name, "source": {"type": "none"}});
        let text = format!("Invalid instance name: {reason}");
        daemon.post(INSTANCES, &body).is_error(400, &text);
    }
    let body = json!({"name": "a/b", "source": {"type": "none"}});
    let text = "The character \"/\" is reserved for snapshots";
    daemon.post(INSTANCES, &body).is_error(400, text);
}

#[test]
fn bad_configuration_is_told_by_the_operation() {
    let daemon = Lximaged::start();
    let disk = json!({"d": {"type": "disk"}});
    let nowhere = json!({"root": {"type": "disk", "path": "/", "pool": "none"}});
    let missing = json!({"d": {"type": "disk", "path": "/x", "source": "/no/such"}});
    let rows: [(Value, Value, &str); 8] = [
        (
            json!({"nothing": "x"}),
            json!({}),
            "Unknown configuration key: nothing",
        ),
        (json!({"limits.memory": "x"}), json!({}), "Invalid value: x"),
        (
            json!({"volatile.foo": "x"}),
            json!({}),
            "Unknown configuration key: volatile.foo",
        ),
        (
            json!({"security.secureboot": "true"}),
            json!({}),
            "Unknown configuration key: security.secureboot",
        ),
        (
            json!({}),
            json!({"d": {"type": "alien"}}),
            "Invalid device type alien",
        ),
        (
            json!({}),
            disk,
            "Failed initialising instance: Invalid devices: Device validation failed for \"d\": \
             Disk entry is missing the required \"source\" or \"path\" property",
        ),
        (
            json!({}),
            nowhere,
            "Failed initialising instance: Failed loading storage pool: Storage pool not found",
        ),
        (
            json!({}),
            missing,
            "Failed initialising instance: Failed add validation for device \"d\": \
             Missing source path \"/no/such\" for disk \"d\"",
        ),
    ];
    for (config, devices, reason) in rows {
        let body = json!({"name": "c1", "source": {"type": "none"}, "config": config,
            "devices": devices});
        let failed = daemon.fails(&daemon.post(INSTANCES, &body));
        assert_eq!(failed, format!("{RECORD}{reason}"));
    }
    assert_eq!(daemon.instance_names("default"), [""; 0]);
}

#[test]
fn profiles_have_to_be_there_once_and_give_a_root_disk() {
    let daemon = Lximaged::start();
    let post = |profiles: Value| {
        let body = json!({"name": "c1", "source": {"type": "none"}, "profiles": profiles});
        daemon.post(INSTANCES, &body)
    };
    post(json!(["nope"])).is_error(500, "Requested profile \"nope\" doesn't exist");
    let twice = daemon.fails(&post(json!(["default", "default"])));
    assert_eq!(twice, format!("{RECORD}Duplicate profile found in request"));
    let text = "Failed initialising instance: Failed getting root disk: \
                No root device could be found";
    assert_eq!(daemon.fails(&post(json!([]))), format!("{RECORD}{text}"));
}

#[test]
fn a_name_is_given_once() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let body = json!({"name": "c1", "source": {"type": "none"}});
    let text = "Add instance info to the database: This \"instances\" entry already exists";
    let failed = daemon.fails(&daemon.post(INSTANCES, &body));
    assert_eq!(failed, format!("{RECORD}{text}"));
}

#[test]
fn an_image_makes_instances_of_its_type_and_architecture_only() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let source = json!({"type": "image", "fingerprint": found});
    let body = json!({"name": "v1", "source": source, "type": "virtual-machine"});
    let text = "Requested image's type \"container\" doesn't match instance type \
                \"virtual-machine\"";
    assert_eq!(daemon.fails(&daemon.post(INSTANCES, &body)), text);
    let foreign = "architecture: s390x\ncreation_date: 1\n";
    let found = daemon.import(&images::unified(foreign));
    let source = json!({"type": "image", "fingerprint": found});
    let failed = daemon.fails(&daemon.post(INSTANCES, &json!({"name": "c1", "source": source})));
    let text = "Requested architecture isn't supported by this host";
    assert_eq!(failed, format!("{RECORD}{text}"));
}
