//! What projects let their instances be and have.

use serde_json::{Value, json};

use crate::support::Lximaged;

/// A daemon with a project `p` of this configuration, whose default profile has a root disk.
fn with_project(config: &[(&str, &str)]) -> Lximaged {
    let daemon = Lximaged::start();
    let mut settings = json!({});
    for (key, value) in config {
        settings[*key] = json!(value);
    }
    let project = json!({"name": "p", "config": settings});
    daemon
        .post("/1.0/projects", &project)
        .is_created("/1.0/projects/p");
    daemon.put(PROFILE, &json!({"devices": root()})).is_done();
    daemon
}

const PROFILE: &str = "/1.0/profiles/default?project=p";

fn root() -> Value {
    json!({"root": {"type": "disk", "path": "/", "pool": "default"}})
}

fn post(daemon: &Lximaged, name: &str, config: &Value, devices: &Value) -> crate::support::Answer {
    let body = json!({"name": name, "source": {"type": "none"}, "config": config,
        "devices": devices});
    daemon.post("/1.0/instances?project=p", &body)
}

const ALLOWED: &str = "Failed checking if instance creation allowed: ";

#[test]
fn instances_are_counted() {
    let daemon = with_project(&[("limits.instances", "2"), ("limits.containers", "1")]);
    let none = json!({});
    daemon.succeeds(&post(&daemon, "c1", &none, &none));
    let text = "Reached maximum number of instances of type \"container\" in project \"p\"";
    post(&daemon, "c2", &none, &none).is_error(500, text);
    daemon.allow_machines();
    let machine = json!({"name": "v1", "source": {"type": "none"}});
    let machines = "/1.0/virtual-machines?project=p";
    daemon.succeeds(&daemon.post(machines, &machine));
    let text = "Reached maximum number of instances in project \"p\"";
    post(&daemon, "c3", &none, &none).is_error(500, text);
    let resources = daemon.get("/1.0/projects/p/state").metadata()["resources"].clone();
    assert_eq!(resources["containers"], json!({"Limit": 1, "Usage": 1}));
    assert_eq!(
        resources["virtual-machines"],
        json!({"Limit": -1, "Usage": 1})
    );
    assert_eq!(resources["instances"], json!({"Limit": 2, "Usage": 2}));
    let text = "Can't change limits.instances in project \"p\": \"limits.instances\" is too low: \
                there currently are 2 total instances in project \"p\"";
    daemon
        .patch(
            "/1.0/projects/p",
            &json!({"config": {"limits.instances": "1"}}),
        )
        .is_error(500, text);
}

#[test]
fn sums_are_limited() {
    let daemon = with_project(&[("limits.memory", "1GB"), ("limits.disk", "3GB")]);
    let sized = json!({"root": {"type": "disk", "path": "/", "pool": "default", "size": "1GB"}});
    let memory = |text: &str| json!({"limits.memory": text});
    let usage = "Failed getting usage of project entities: ";
    let rows = [
        (
            json!({}),
            "Instance \"c1\" in project \"p\" has no \"limits.memory\" config, either \
            directly or via a profile",
        ),
        (
            memory("50%"),
            "Failed parsing \"limits.memory\" for instance \"c1\" in project \"p\"",
        ),
    ];
    for (config, reason) in rows {
        let text = format!("{ALLOWED}{usage}{reason}");
        post(&daemon, "c1", &config, &sized).is_error(500, &text);
    }
    let text = format!(
        "{ALLOWED}{usage}Instance \"c1\" in project \"p\" has no \"size\" config \
        set on the root device either directly or via a profile"
    );
    post(&daemon, "c1", &memory("1MB"), &json!({})).is_error(500, &text);
    let over = "Reached maximum aggregate value \"1GB\" for \"limits.memory\" in project \"p\"";
    let text = format!("{ALLOWED}{over}");
    post(&daemon, "c1", &memory("2GB"), &sized).is_error(500, &text);
    daemon.succeeds(&post(&daemon, "c1", &memory("600MB"), &sized));
    post(&daemon, "c2", &memory("401MB"), &sized).is_error(500, &text);
    daemon.succeeds(&post(&daemon, "c2", &memory("400MB"), &sized));
    let text = format!("Failed checking if instance update allowed: {over}");
    let path = "/1.0/instances/c2?project=p";
    daemon
        .patch(path, &json!({"config": {"limits.memory": "3GB"}}))
        .is_error(500, &text);
    daemon
        .put(
            path,
            &json!({"config": {"limits.memory": "3GB"}, "devices": sized}),
        )
        .is_error(500, &text);
}

#[test]
fn a_restricted_project_keeps_its_instances_from_the_host() {
    let daemon = with_project(&[("restricted", "true")]);
    let none = json!({});
    let key = |key: &str, reason: &str| {
        format!(
            "{ALLOWED}Invalid value \"true\" for config {key:?} on container \"c1\" of \
            project \"p\": {reason}"
        )
    };
    let privileged = json!({"security.privileged": "true"});
    let reason = "Privileged containers are forbidden";
    post(&daemon, "c1", &privileged, &none).is_error(500, &key("security.privileged", reason));
    let nested = json!({"security.nesting": "true"});
    let reason = "Container nesting is forbidden";
    post(&daemon, "c1", &nested, &none).is_error(500, &key("security.nesting", reason));
    let raw = json!({"raw.lxc": "lxc.environment=x"});
    let text = format!(
        "{ALLOWED}Use of low-level config \"raw.lxc\" on container \"c1\" of \
        project \"p\" is forbidden"
    );
    post(&daemon, "c1", &raw, &none).is_error(500, &text);
    let disk = json!({"x": {"type": "disk", "path": "/x", "source": "/"}});
    let text = format!(
        "{ALLOWED}Invalid device \"x\" on container \"c1\" of project \"p\": \
        Attaching disks not backed by a pool is forbidden"
    );
    post(&daemon, "c1", &none, &disk).is_error(500, &text);
    daemon.succeeds(&post(&daemon, "c1", &none, &none));
    let text = "Project \"p\" doesn't allow for snapshot creation";
    daemon
        .post("/1.0/instances/c1/snapshots?project=p", &json!({}))
        .is_error(500, text);
    let answer = daemon.patch(
        "/1.0/instances/c1?project=p",
        &json!({"config": privileged}),
    );
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .contains("Failed checking if instance update allowed")
    );
    // Nor does a profile help.
    let text = "Failed checking if profile update allowed: Invalid value \"true\" for config \
                \"security.privileged\" on  \"default\" of project \"p\": \
                Privileged containers are forbidden";
    let body = json!({"config": privileged, "devices": root()});
    daemon.put(PROFILE, &body).is_error(500, text);
    assert_eq!(daemon.get(PROFILE).metadata()["config"], json!({}));
}

#[test]
fn a_project_that_shares_profiles_cannot_be_restricted() {
    let daemon = Lximaged::start();
    let shares = json!({"features.profiles": "false", "restricted": "true"});
    let text = "Projects without their own profiles cannot be restricted";
    daemon
        .post("/1.0/projects", &json!({"name": "p", "config": shares}))
        .is_error(400, text);
}
