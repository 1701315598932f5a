//! What is told of instances: lists, filters, and whom they use.

use serde_json::{Value, json};

use crate::support::{Lximaged, images, instances::INSTANCES};

/// A daemon with an instance in each of two projects.
fn with_two_projects() -> Lximaged {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let project = json!({"name": "p", "config": {"features.profiles": "false"}});
    daemon
        .post("/1.0/projects", &project)
        .is_created("/1.0/projects/p");
    let body = json!({"name": "c2", "source": {"type": "none"}});
    daemon.succeeds(&daemon.post("/1.0/instances?project=p", &body));
    daemon
}

#[test]
fn instances_are_listed_by_project_as_deep_as_asked() {
    let daemon = with_two_projects();
    assert_eq!(
        daemon.get(INSTANCES).metadata(),
        &json!(["/1.0/instances/c1"])
    );
    let other = daemon.get("/1.0/instances?project=p");
    assert_eq!(other.metadata(), &json!(["/1.0/instances/c2?project=p"]));
    assert_eq!(
        daemon.get("/1.0/instances?project=nope").metadata(),
        &json!([])
    );
    let all = daemon.get("/1.0/instances?all-projects=true");
    let urls = json!(["/1.0/instances/c1", "/1.0/instances/c2?project=p"]);
    assert_eq!(all.metadata(), &urls);
    let plain = daemon.get("/1.0/instances?recursion=1").metadata().clone();
    assert_eq!(plain, json!([daemon.instance("c1")]));
    let full = daemon.get("/1.0/instances?recursion=2").metadata().clone();
    assert_eq!(full[0]["backups"], Value::Null);
    assert_eq!(full[0]["snapshots"], Value::Null);
    let state = json!({"status": "Stopped", "status_code": 102, "disk": {}, "network": null,
        "memory": {"usage": 0, "usage_peak": 0, "swap_usage": 0, "swap_usage_peak": 0},
        "pid": 0, "processes": 0, "cpu": {"usage": 0}});
    assert_eq!(full[0]["state"], state);
    let one = daemon.get("/1.0/instances/c1?recursion=1");
    assert_eq!(one.metadata(), &full[0]);
    assert_eq!(
        one.header("etag"),
        daemon.get("/1.0/instances/c1").header("etag")
    );
}

#[test]
fn lists_are_filtered() {
    let daemon = with_two_projects();
    let body = json!({"name": "d1", "source": {"type": "none"}, "config": {"user.a": "b"}});
    daemon.succeeds(&daemon.post(INSTANCES, &body));
    let names = |filter: &str| daemon.get(&format!("/1.0/instances?filter={filter}"));
    let d1 = json!(["/1.0/instances/d1"]);
    assert_eq!(names("config.user.a+eq+b").metadata(), &d1);
    assert_eq!(names("name+eq+d.*").metadata(), &d1);
    assert_eq!(names("status+eq+running").metadata(), &json!([]));
    names("x").is_error(500, "Invalid filter: clause has no operator");
    daemon
        .get("/1.0/instances?instance-type=x")
        .is_error(500, "Invalid instance type");
    daemon
        .get("/1.0/instances?all-projects=true&project=default")
        .is_error(400, "Cannot specify a project when requesting all projects");
}

#[test]
fn what_instances_use_names_them() {
    let daemon = with_two_projects();
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &json!({"name": "s"})));
    let used_by = |path: &str| daemon.get(path).metadata()["used_by"].clone();
    let (c1, c2) = ("/1.0/instances/c1", "/1.0/instances/c2?project=p");
    let snapshot = "/1.0/instances/c1/snapshots/s";
    assert_eq!(used_by("/1.0/profiles/default"), json!([c1, c2]));
    let pool = json!([c1, snapshot, c2, "/1.0/profiles/default"]);
    assert_eq!(used_by("/1.0/storage-pools/default"), pool);
    assert_eq!(used_by("/1.0/projects/p"), json!([c2]));
    daemon
        .delete("/1.0/projects/p")
        .is_error(500, "Only empty projects can be removed");
    daemon.succeeds(&daemon.delete("/1.0/instances/c2?project=p"));
    daemon.delete("/1.0/projects/p").is_done();
}

#[test]
fn instances_and_snapshots_are_volumes() {
    let daemon = with_two_projects();
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &json!({"name": "s"})));
    let base = "/1.0/storage-pools/default/volumes";
    let c1 = format!("{base}/container/c1");
    let snapshot = format!("{c1}/snapshots/s");
    assert_eq!(daemon.get(base).metadata(), &json!([c1, snapshot]));
    let everywhere = daemon.get(&format!("{base}/container?all-projects=true"));
    let c2 = format!("{base}/container/c2?project=p");
    assert_eq!(everywhere.metadata(), &json!([c1, snapshot, c2]));
    let volume = json!({"config": {}, "description": "", "name": "c1", "type": "container",
        "used_by": ["/1.0/instances/c1"], "location": "none", "content_type": "filesystem",
        "project": "default", "created_at": "0001-01-01T00:00:00Z"});
    assert_eq!(daemon.get(&c1).metadata(), &volume);
    let filtered = daemon.get(&format!("{base}?recursion=1&filter=name+eq+c1"));
    assert_eq!(filtered.metadata(), &json!([volume]));
    let text = "Storage volumes of type \"container\" cannot be deleted with the storage API";
    daemon.delete(&c1).is_error(400, text);
    let text = "Renaming storage volumes of type \"container\" is not allowed";
    daemon.post(&c1, &json!({"name": "x"})).is_error(400, text);
    let text = "Volumes of instances are changed through their instances";
    daemon
        .put(&c1, &json!({"description": "x"}))
        .is_error(501, text);
    daemon
        .patch(&c1, &json!({"description": "x"}))
        .is_error(501, text);
    daemon
        .get(&format!("{base}/virtual-machine/c1"))
        .is_error(404, "Storage pool volume not found");
}

#[test]
fn an_instance_outlives_the_daemon_and_its_image() {
    let mut daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &json!({"name": "s"})));
    let before = daemon
        .get("/1.0/instances/c1?recursion=1")
        .metadata()
        .clone();
    daemon.remove_image(&found);
    daemon.restart();
    let after = daemon
        .get("/1.0/instances/c1?recursion=1")
        .metadata()
        .clone();
    assert_eq!(after, before);
    daemon.succeeds(&daemon.put("/1.0/instances/c1", &json!({"restore": "s"})));
}
