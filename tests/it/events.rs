//! What a listener at `/1.0/events` hears.

use serde_json::{Value, json};

use crate::support::{Events, Lximaged, Request, image_api::fingerprint_of, images};

#[track_caller]
fn action(events: &mut Events, action: &str) -> Value {
    events.action(action)["metadata"].clone()
}

fn me() -> Value {
    json!({"username": "root", "protocol": "unix", "address": "@"})
}

#[test]
fn an_import_is_told_as_operation_and_lifecycle() {
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "?type=operation,lifecycle");
    let found = daemon.import(&images::container("a"));
    let created = events.action("image-created");
    let metadata = json!({"action": "image-created", "source": format!("/1.0/images/{found}"),
        "context": {"type": "container"}, "requestor": me()});
    let expected = json!({"type": "lifecycle", "timestamp": created["timestamp"],
        "metadata": metadata, "location": "none", "project": "default"});
    assert_eq!(created, expected);
    let mut events = Events::listen(&daemon, "?type=operation");
    daemon.remove_image(&found);
    let ended = events.find(|event| {
        event["metadata"]["description"] == "Deleting image"
            && event["metadata"]["status"] == "Success"
    });
    assert_eq!(
        (&ended["type"], &ended["project"]),
        (&json!("operation"), &json!("default"))
    );
}

#[test]
fn every_change_of_an_operation_is_told() {
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "?type=operation");
    let ended = daemon.import_with(&images::container("a"), &[]);
    let mine = |event: &Value| event["metadata"]["id"] == ended["id"];
    let last = events.find(|event| mine(event) && event["metadata"]["status"] == "Success");
    assert_eq!(last["metadata"], ended);
    let told = |status: &str| {
        let mut seen = events.seen().iter();
        seen.any(|event| mine(event) && event["metadata"]["status"] == status)
    };
    assert!(told("Pending") && told("Running"), "{:#?}", events.seen());
}

#[test]
fn the_life_of_an_image_is_told() {
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    let found = daemon.import(&images::container("a"));
    let source = format!("/1.0/images/{found}");
    action(&mut events, "image-created");
    daemon.patch(&source, &json!({"public": true})).is_done();
    let updated = json!({"action": "image-updated", "source": source, "requestor": me()});
    assert_eq!(action(&mut events, "image-updated"), updated);
    daemon.export(&found);
    assert_eq!(
        action(&mut events, "image-retrieved")["source"],
        source.as_str()
    );
    daemon
        .post(&format!("/1.0/images/{found}/secret"), &json!({}))
        .operation();
    assert_eq!(
        action(&mut events, "image-secret-created")["source"],
        source.as_str()
    );
    daemon.remove_image(&found);
    assert_eq!(
        action(&mut events, "image-deleted")["source"],
        source.as_str()
    );
}

#[test]
fn the_life_of_an_alias_is_told() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    daemon.alias("x", &found);
    let created = action(&mut events, "image-alias-created");
    assert_eq!(created["source"], "/1.0/images/aliases/x");
    assert_eq!(created["context"], json!({"target": found}));
    daemon
        .put("/1.0/images/aliases/x", &json!({"target": found}))
        .is_done();
    assert_eq!(
        action(&mut events, "image-alias-updated")["context"],
        json!({"target": found})
    );
    daemon.delete("/1.0/images/aliases/x").is_done();
    let deleted = action(&mut events, "image-alias-deleted");
    assert_eq!(
        (&deleted["source"], &deleted["context"]),
        (&json!("/1.0/images/aliases/x"), &Value::Null)
    );
}

#[test]
fn changed_settings_are_told() {
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    daemon
        .patch("/1.0", &json!({"config": {"user.x": "1"}}))
        .is_done();
    assert_eq!(action(&mut events, "config-updated")["source"], "/1.0");
}

#[test]
fn requests_are_told_as_logging() {
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "?type=logging");
    daemon.get("/1.0/images?recursion=1").metadata();
    let wanted = |event: &Value| {
        let context = &event["metadata"]["context"];
        context["method"] == "GET" && context["url"] == "/1.0/images?recursion=1"
    };
    let event = events.find(wanted);
    assert_eq!(event["type"], "logging");
    assert_eq!(event["metadata"]["message"], "Handling API request");
    assert_eq!(event["metadata"]["level"], "debug");
    assert_eq!(event.get("project"), None);
    let context = json!({"ip": "@", "method": "GET", "protocol": "unix",
        "url": "/1.0/images?recursion=1", "username": "root"});
    assert_eq!(event["metadata"]["context"], context);
}

#[test]
fn a_listener_hears_only_its_project() {
    let daemon = Lximaged::start();
    daemon
        .post("/1.0/projects", &json!({"name": "p1"}))
        .is_created("/1.0/projects/p1");
    let mut here = Events::listen(&daemon, "?type=lifecycle");
    let mut there = Events::listen(&daemon, "?type=lifecycle&project=p1");
    let mut everywhere = Events::listen(&daemon, "?type=lifecycle&all-projects=true");
    let request = Request::new("POST", "/1.0/images?project=p1").body(images::container("a"));
    let found = fingerprint_of(&daemon.finished(&daemon.send(&request)));
    let created = there.action("image-created");
    let source = format!("/1.0/images/{found}?project=p1");
    assert_eq!(
        (&created["project"], &created["metadata"]["source"]),
        (&json!("p1"), &json!(source))
    );
    assert_eq!(everywhere.action("image-created")["project"], "p1");
    daemon.import(&images::container("b"));
    assert_eq!(
        here.action("image-created")["project"],
        "default",
        "the first it hears of"
    );
}

#[test]
fn a_listener_hears_only_its_types() {
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    daemon.import(&images::container("a"));
    events.action("image-created");
    assert!(
        events
            .seen()
            .iter()
            .all(|event| event["type"] == "lifecycle")
    );
}

#[test]
fn a_listener_that_names_no_type_hears_everything() {
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "");
    daemon.import(&images::container("a"));
    for wanted in ["operation", "lifecycle", "logging"] {
        let seen = events.seen().iter().any(|event| event["type"] == wanted);
        if !seen {
            events.find(|event| event["type"] == wanted);
        }
    }
}

#[test]
fn a_bad_listener_is_refused() {
    let daemon = Lximaged::start();
    let text = "\"bogus\" isn't a supported event type";
    daemon.get("/1.0/events?type=bogus").is_error(500, text);
    daemon
        .get("/1.0/events?project=nope")
        .is_error(500, "Project not found");
    let text = "Cannot specify a project when requesting all projects";
    daemon
        .get("/1.0/events?project=default&all-projects=true")
        .is_error(500, text);
}

#[test]
fn a_request_that_is_no_websocket_is_refused() {
    let daemon = Lximaged::start();
    let answer = daemon.get("/1.0/events");
    assert_eq!(
        (answer.status, answer.text()),
        (400, "Bad Request\n".to_owned())
    );
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[test]
fn listeners_are_told_goodbye_when_the_daemon_stops() {
    let mut daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "");
    daemon.stop();
    events.closed();
}
