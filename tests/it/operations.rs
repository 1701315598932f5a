//! Operations: their shape, waiting for them, cancelling them.

use serde_json::{Value, json};

use crate::support::{Lximaged, images};

/// A token operation, which runs until somebody ends it.
fn with_token() -> (Lximaged, String) {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let answer = daemon.post(&format!("/1.0/images/{found}/secret"), &json!({}));
    let id = answer.operation()["id"].as_str().unwrap().to_owned();
    (daemon, id)
}

#[test]
fn an_operation_has_lxds_fields_in_lxds_order() {
    let daemon = Lximaged::start();
    let answer = daemon.upload(&images::container("a"), &[]);
    let operation = answer.operation().clone();
    let shape = json!({"id": operation["id"], "class": "task", "description": "Downloading image",
        "created_at": operation["created_at"], "updated_at": operation["updated_at"],
        "status": "Running", "status_code": 103, "resources": null, "metadata": null,
        "may_cancel": false, "err": "", "location": "none"});
    assert_eq!(operation, shape);
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&operation), keys(&shape));
    let ended = daemon.finished(&answer);
    assert_eq!(
        (&ended["status"], &ended["status_code"]),
        (&json!("Success"), &json!(200))
    );
    assert_eq!(ended["id"], operation["id"]);
}

#[test]
fn a_failed_operation_says_why() {
    let daemon = Lximaged::start();
    let ended = daemon.import_with(b"garbage", &[]);
    assert_eq!(
        (&ended["status"], &ended["status_code"]),
        (&json!("Failure"), &json!(400))
    );
    assert_eq!(ended["err"], "Unsupported compression");
}

#[test]
fn operations_are_listed_by_status() {
    let (daemon, id) = with_token();
    let url = format!("/1.0/operations/{id}");
    let list = daemon.get("/1.0/operations").metadata().clone();
    assert!(
        list["running"].as_array().unwrap().contains(&json!(url)),
        "{list}"
    );
    let list = daemon.get("/1.0/operations?recursion=1").metadata().clone();
    let running = list["running"].as_array().unwrap();
    let operation = running
        .iter()
        .find(|operation| operation["id"] == id.as_str())
        .unwrap();
    assert_eq!(
        operation,
        daemon.get(&format!("/1.0/operations/{id}")).metadata()
    );
}

#[test]
fn a_wait_that_times_out_tells_how_it_stands() {
    let (daemon, id) = with_token();
    let operation = daemon.get(&format!("/1.0/operations/{id}/wait?timeout=0"));
    assert_eq!(operation.metadata()["status"], "Running");
    let operation = daemon.get(&format!("/1.0/operations/{id}/wait?timeout=1"));
    assert_eq!(operation.metadata()["status"], "Running");
}

#[test]
fn a_wait_ends_when_the_operation_does() {
    let (daemon, id) = with_token();
    let path = format!("/1.0/operations/{id}/wait");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| daemon.get(&path).metadata().clone());
        daemon.delete(&format!("/1.0/operations/{id}")).is_done();
        let ended = waiting.join().unwrap();
        assert_eq!(
            (&ended["status"], &ended["status_code"]),
            (&json!("Cancelled"), &json!(401))
        );
    });
}

#[test]
fn a_bad_timeout_is_refused() {
    let (daemon, id) = with_token();
    let answer = daemon.get(&format!("/1.0/operations/{id}/wait?timeout=x"));
    answer.is_error(500, "strconv.Atoi: parsing \"x\": invalid syntax");
}

#[test]
fn a_token_is_ended_once() {
    let (daemon, id) = with_token();
    daemon.delete(&format!("/1.0/operations/{id}")).is_done();
    let answer = daemon.delete(&format!("/1.0/operations/{id}"));
    answer.is_error(400, "Only running operations can be cancelled");
}

#[test]
fn an_unknown_operation_is_not_found() {
    let daemon = Lximaged::start();
    let id = "00000000-0000-4000-8000-000000000000";
    daemon
        .get(&format!("/1.0/operations/{id}"))
        .is_error(404, "Operation not found");
    daemon
        .get(&format!("/1.0/operations/{id}/wait"))
        .is_error(404, "Operation not found");
    daemon
        .delete(&format!("/1.0/operations/{id}"))
        .is_error(404, "Operation not found");
    daemon
        .get("/1.0/operations/nonsense")
        .is_error(404, "Operation not found");
}

#[test]
fn only_websocket_operations_have_a_websocket() {
    let (daemon, id) = with_token();
    let answer = daemon.get(&format!("/1.0/operations/{id}/websocket?secret=x"));
    answer.is_error(500, "Only websocket operations can be connected");
    let answer = daemon.get("/1.0/operations/nope/websocket");
    answer.is_error(400, "missing secret");
}

#[test]
fn an_unknown_project_has_none_of_the_operations() {
    let (daemon, id) = with_token();
    let list = daemon
        .get("/1.0/operations?project=nope")
        .metadata()
        .clone();
    assert!(
        list.is_object() && !list.to_string().contains(&id),
        "{list}"
    );
}

#[test]
fn tokens_of_other_projects_are_not_listed() {
    let (daemon, _) = with_token();
    daemon
        .post("/1.0/projects", &json!({"name": "p1"}))
        .is_created("/1.0/projects/p1");
    let list = daemon
        .get("/1.0/operations?recursion=1&project=p1")
        .metadata()
        .clone();
    assert!(!list.to_string().contains("token"), "{list}");
}
