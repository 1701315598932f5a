//! What the daemon does by itself: seen, run by hand, and run again.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Events, Lximaged, beyond_lxd, images};

const NAMES: [&str; 8] = [
    "expiry",
    "operations",
    "tokens",
    "sweep",
    "streams-cache",
    "snapshot-expiry",
    "unpacked-trees",
    "auto-update",
];

impl Lximaged {
    /// The task of this name, as administrators see it.
    #[track_caller]
    fn task(&self, name: &str) -> Value {
        let tasks = self.get("/1.0/lximaged/tasks").metadata().clone();
        let mut tasks = tasks.as_array().unwrap().clone().into_iter();
        tasks.find(|task| task["name"] == name).unwrap()
    }

    /// Runs a task and gives its finished operation.
    #[track_caller]
    fn run_task(&self, name: &str) -> Value {
        let answer = self.post(&format!("/1.0/lximaged/tasks/{name}"), &json!({}));
        self.finished(&answer)
    }

    /// Runs the program on this daemon's directory.
    fn lximaged(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[test]
fn every_task_is_there_with_its_last_and_its_next_run() {
    if !beyond_lxd("it does not show them") {
        return;
    }
    let daemon = Lximaged::start();
    let tasks = daemon.get("/1.0/lximaged/tasks").metadata().clone();
    let names: Vec<_> = tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|task| &task["name"])
        .collect();
    assert_eq!(names, NAMES);
    for name in NAMES {
        let ended = daemon.run_task(name);
        assert_eq!(
            (&ended["status"], &ended["class"]),
            (&json!("Success"), &json!("task"))
        );
        let task = daemon.task(name);
        assert_eq!(task["description"], ended["description"]);
        assert_eq!(task["last_run"]["status"], "Success");
        assert_eq!(task["last_run"]["metadata"], ended["metadata"]);
    }
    assert!(crate::support::soon(crate::support::PATIENCE, || NAMES
        .iter()
        .all(
            |name| daemon.task(name)["next_run"] != "0001-01-01T00:00:00Z"
        )));
    let missing = daemon.post("/1.0/lximaged/tasks/nope", &json!({}));
    missing.is_error(404, "Task \"nope\" not found");
}

#[test]
fn a_task_is_an_operation_of_the_servers_own() {
    if !beyond_lxd("they cannot be begun") {
        return;
    }
    let daemon = Lximaged::start();
    let mut events = Events::listen(&daemon, "?type=operation");
    daemon.run_task("expiry");
    let is_it = |event: &Value| {
        event["metadata"]["description"] == "Cleaning up expired images"
            && event["metadata"]["status"] == "Success"
    };
    let event = events.find(is_it);
    assert!(event.get("project").is_none(), "{event}");
    assert_eq!(
        event["metadata"]["metadata"],
        json!({"removed": [], "failed": []})
    );
}

#[test]
fn a_change_of_settings_brings_a_pass() {
    if !beyond_lxd("its passes cannot be told apart") {
        return;
    }
    let daemon = Lximaged::start();
    let ended = || daemon.task("expiry")["last_run"]["ended_at"].clone();
    let is_later =
        |before: &Value| crate::support::soon(crate::support::PATIENCE, || ended() != *before);
    assert!(is_later(&Value::Null));
    // The timer has begun by then.
    let started = || daemon.task("expiry")["next_run"] != "0001-01-01T00:00:00Z";
    assert!(crate::support::soon(crate::support::PATIENCE, started));
    let before = ended();
    let config = json!({"config": {"images.remote_cache_expiry": "11"}});
    daemon.patch("/1.0", &config).is_done();
    assert!(is_later(&before));
    let before = ended();
    let project = json!({"config": {"images.remote_cache_expiry": "3"}});
    daemon.patch("/1.0/projects/default", &project).is_done();
    assert!(is_later(&before));
}

#[test]
fn bounds_of_auto_update_are_checked() {
    if !beyond_lxd("it has none") {
        return;
    }
    let daemon = Lximaged::start();
    let set = |key: &str, value: &str| daemon.patch("/1.0", &json!({"config": {key: value}}));
    let text = "Value must be a size of 64KiB or more";
    let said = format!("cannot set 'lximaged.auto_update_bandwidth' to '65535': {text}");
    set("lximaged.auto_update_bandwidth", "65535").is_error(400, &said);
    set("lximaged.auto_update_bandwidth", "64KiB").is_done();
    let said = "cannot set 'lximaged.auto_update_parallel' to '0': Value must be between 1 and 64";
    set("lximaged.auto_update_parallel", "0").is_error(400, said);
    set("lximaged.auto_update_parallel", "64").is_done();
}

#[test]
fn the_command_line_shows_and_runs_them() {
    if !beyond_lxd("it has no such commands") {
        return;
    }
    let daemon = Lximaged::start();
    let ran = daemon.lximaged(&["run-task", "sweep"]);
    assert!(ran.status.success(), "{}", said(&ran));
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(told, json!({"unlinked": 0, "damaged": []}));
    let shown = said(&daemon.lximaged(&["status"]));
    for name in NAMES {
        assert!(shown.lines().any(|line| line.starts_with(name)), "{shown}");
    }
    let json = daemon.lximaged(&["status", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["tasks"][3]["last_run"]["status"], "Success");
    let missing = daemon.lximaged(&["run-task", "nope"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        said(&missing).contains("Task \"nope\" not found"),
        "{}",
        said(&missing)
    );
}

#[test]
fn a_sweep_finds_files_that_are_cut_short() {
    if !beyond_lxd("it has no such pass") {
        return;
    }
    let mut daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let path = daemon.dir().join("images").join(&found);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[1..]).unwrap();
    assert_eq!(
        daemon.run_task("sweep")["metadata"]["damaged"],
        json!([found])
    );
    let shown = said(&daemon.lximaged(&["status"]));
    assert!(shown.contains(&format!("damaged: {found}")), "{shown}");
    std::fs::write(&path, whole).unwrap();
    assert_eq!(daemon.run_task("sweep")["metadata"]["damaged"], json!([]));
    daemon.restart();
}
