//! One publish after the other, in sight of whoever waits.

use serde_json::{Value, json};

use crate::support::{Lximaged, PATIENCE, http::Answer, images, publishing::large, soon};

const KEY: &str = "create_image_from_container_pack_progress";

/// A daemon on which `slow` takes long to publish, and `c1` does not.
fn with_instances() -> Lximaged {
    let daemon = Lximaged::start();
    let found = daemon.import(&large());
    daemon.init("slow", &found);
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    daemon
}

/// Waits until an operation shows this.
#[track_caller]
fn shows(daemon: &Lximaged, answer: &Answer, text: &str) {
    let mut last = Value::Null;
    let shown = soon(PATIENCE, || {
        last = daemon.told(answer);
        last[KEY]
            .as_str()
            .is_some_and(|told| told.starts_with(text))
    });
    assert!(shown, "{text} is not shown, but {last}");
}

#[test]
fn one_after_the_other_and_everybody_sees_where_they_stand() {
    let daemon = with_instances();
    let slow = daemon.publish_for_long("slow");
    shows(&daemon, &slow, "Image pack: ");
    let progress = daemon.told(&slow)["progress"].clone();
    assert_eq!(progress["stage"], "create_image_from_container_pack");
    assert!(progress["percent"].is_string() && progress["speed"].is_string());
    let first = daemon.publish_with("c1", &json!({}));
    let second = daemon.publish_with("c1", &json!({"properties": {}}));
    shows(&daemon, &first, "Waiting: 1 before this one");
    shows(&daemon, &second, "Waiting: 2 before this one");
    assert_eq!(daemon.cancel(&slow)["status"], "Cancelled");
    daemon.succeeds(&first);
    daemon.succeeds(&second);
}

#[test]
fn who_waits_can_give_up_and_holds_nothing() {
    let daemon = with_instances();
    let slow = daemon.publish_for_long("slow");
    let gone = daemon.publish_with("c1", &json!({}));
    let last = daemon.publish_with("c1", &json!({"properties": {}}));
    shows(&daemon, &last, "Waiting: 2 before this one");
    let operation = daemon.cancel(&gone);
    assert_eq!(
        (&operation["status"], &operation["err"]),
        (&json!("Cancelled"), &json!(""))
    );
    shows(&daemon, &last, "Waiting: 1 before this one");
    // The instance is free for everybody meanwhile.
    daemon.succeeds(&daemon.delete("/1.0/instances/c1"));
    daemon.cancel(&slow);
    assert_eq!(daemon.fails(&last), "Instance not found");
    assert_eq!(daemon.images("default").len(), 2);
}

#[test]
fn what_is_cancelled_leaves_nothing() {
    let daemon = with_instances();
    for algorithm in ["xz -9 -e", "zstd --ultra -22", "squashfs", "bzip2"] {
        let answer = daemon.publish_with("slow", &json!({"compression_algorithm": algorithm}));
        shows(&daemon, &answer, "Image pack: ");
        let operation = daemon.cancel(&answer);
        assert_eq!(operation["status"], "Cancelled", "{algorithm}: {operation}");
        assert_eq!(daemon.names("staging"), [""; 0], "{algorithm}");
    }
    assert_eq!(daemon.images("default").len(), 2);
}

#[test]
fn projects_take_turns() {
    let daemon = with_instances();
    let config = json!({"features.images": "false", "features.profiles": "false"});
    let project = json!({"name": "p", "config": config});
    assert_eq!(daemon.post("/1.0/projects", &project).status, 201);
    let body = json!({"name": "c2", "source": {"type": "none"}});
    daemon.succeeds(&daemon.post("/1.0/instances?project=p", &body));
    let slow = daemon.publish_for_long("slow");
    shows(&daemon, &slow, "Image pack: ");
    let many = [1, 2].map(|_| daemon.publish_with("c1", &json!({})));
    shows(&daemon, &many[1], "Waiting: 2 before this one");
    let body = json!({"source": {"type": "instance", "name": "c2"}});
    let few = daemon.post("/1.0/images?project=p", &body);
    shows(&daemon, &few, "Waiting: 1 before this one");
    shows(&daemon, &many[1], "Waiting: 3 before this one");
    for operation in [&slow, &many[0], &many[1]] {
        daemon.cancel(operation);
    }
    daemon.succeeds(&few);
}

#[test]
fn more_at_once_when_the_server_is_told_so() {
    let daemon = with_instances();
    let slow = daemon.publish_for_long("slow");
    let waiting = daemon.publish_with("c1", &json!({}));
    shows(&daemon, &waiting, "Waiting: 1 before this one");
    for bad in ["0", "65", "many"] {
        let config = json!({"config": {"lximaged.publish_parallel": bad}});
        let text = format!(
            "cannot set 'lximaged.publish_parallel' to '{bad}': Value must be between 1 and 64"
        );
        daemon.patch("/1.0", &config).is_error(400, &text);
    }
    let config = json!({"config": {"lximaged.publish_parallel": "2"}});
    daemon.patch("/1.0", &config).is_done();
    daemon.succeeds(&waiting);
    daemon.cancel(&slow);
}

#[test]
fn an_instance_that_is_published_is_not_deleted_meanwhile() {
    let daemon = with_instances();
    let slow = daemon.publish_for_long("slow");
    shows(&daemon, &slow, "Image pack: ");
    let deleting = daemon.delete("/1.0/instances/slow");
    daemon.cancel(&slow);
    // It waited, or was told to try again.
    if deleting.status == 202 && daemon.finished(&deleting)["status"] == "Success" {
        assert_eq!(daemon.get("/1.0/instances/slow").status, 404);
    }
}

#[test]
fn a_daemon_that_is_stopped_does_not_wait_for_it() {
    let mut daemon = with_instances();
    let slow = daemon.publish_for_long("slow");
    shows(&daemon, &slow, "Image pack: ");
    daemon.publish_with("c1", &json!({}));
    daemon.signal(rustix::process::Signal::TERM);
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.ended_within(PATIENCE).is_some());
    daemon.boot();
    assert_eq!(daemon.names("staging"), [""; 0]);
}

#[test]
fn who_waits_for_the_instance_holds_nobody_up() {
    let daemon = with_instances();
    let config = json!({"config": {"lximaged.publish_parallel": "2"}});
    daemon.patch("/1.0", &config).is_done();
    let slow = daemon.publish_for_long("slow");
    shows(&daemon, &slow, "Image pack: ");
    // Who comes after the deletion waits for it.
    let deleting = daemon.delete("/1.0/instances/slow");
    let waiting = daemon.publish_with("slow", &json!({}));
    shows(&daemon, &waiting, "Waiting: the instance is in use");
    daemon.publish("c1", &json!({}));
    daemon.cancel(&slow);
    daemon.succeeds(&deleting);
    assert_eq!(daemon.fails(&waiting), "Instance not found");
}
