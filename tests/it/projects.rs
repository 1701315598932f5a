//! Projects.

use serde_json::json;

use crate::support::{Lximaged, Request, beyond_lxd, image_api::fingerprint_of, images};

#[test]
fn the_default_project_is_there() {
    let daemon = Lximaged::start();
    assert_eq!(
        daemon.get("/1.0/projects").metadata(),
        &json!(["/1.0/projects/default"])
    );
    let project = daemon.get("/1.0/projects/default").metadata().clone();
    assert_eq!(project["description"], "Default LXD project");
    assert_eq!(project["config"]["features.images"], "true");
    assert_eq!(project["used_by"], json!(["/1.0/profiles/default"]));
    assert_eq!(
        daemon.get("/1.0/projects?recursion=1").metadata(),
        &json!([project])
    );
}

#[test]
fn a_project_is_made_changed_and_removed() {
    let daemon = Lximaged::start();
    let body = json!({"name": "p1", "description": "mine"});
    daemon
        .post("/1.0/projects", &body)
        .is_created("/1.0/projects/p1");
    let project = daemon.get("/1.0/projects/p1").metadata().clone();
    let config = json!({"features.images": "true", "features.profiles": "true",
        "features.storage.volumes": "true"});
    assert_eq!(
        (&project["config"], &project["description"]),
        (&config, &json!("mine"))
    );
    assert_eq!(
        project["used_by"],
        json!(["/1.0/profiles/default?project=p1"])
    );
    daemon
        .put(
            "/1.0/projects/p1",
            &json!({"description": "new", "config": config}),
        )
        .is_done();
    assert_eq!(
        daemon.get("/1.0/projects/p1").metadata()["description"],
        "new"
    );
    daemon
        .patch("/1.0/projects/p1", &json!({"description": "newer"}))
        .is_done();
    assert_eq!(
        daemon.get("/1.0/projects/p1").metadata()["description"],
        "newer"
    );
    daemon.delete("/1.0/projects/p1").is_done();
    daemon
        .get("/1.0/projects/p1")
        .is_error(404, "Project not found");
}

#[test]
fn a_project_with_images_stays() {
    let daemon = Lximaged::start();
    daemon
        .post("/1.0/projects", &json!({"name": "p1"}))
        .is_created("/1.0/projects/p1");
    let request = Request::new("POST", "/1.0/images?project=p1").body(images::container("a"));
    let found = fingerprint_of(&daemon.finished(&daemon.send(&request)));
    daemon
        .delete("/1.0/projects/p1")
        .is_error(500, "Only empty projects can be removed");
    let used_by = daemon.get("/1.0/projects/p1").metadata()["used_by"].clone();
    let image = json!(format!("/1.0/images/{found}?project=p1"));
    assert!(used_by.as_array().unwrap().contains(&image), "{used_by}");
}

#[test]
fn bad_projects_are_refused() {
    let daemon = Lximaged::start();
    let names = [
        ("", "No name provided"),
        ("a/b", "Project names may not contain slashes"),
        ("a b", "Project names may not contain spaces"),
        ("a_b", "Project names may not contain underscores"),
        ("a'b", "Project names may not contain quotes"),
        ("*", "Reserved project name"),
        (".", "Invalid project name \".\""),
    ];
    for (name, text) in names {
        daemon
            .post("/1.0/projects", &json!({"name": name}))
            .is_error(400, text);
    }
    let text = "Failed creating project \"default\": Failed adding database record: \
                This \"projects\" entry already exists";
    daemon
        .post("/1.0/projects", &json!({"name": "default"}))
        .is_error(409, text);
}

#[test]
fn bad_project_settings_are_refused() {
    let daemon = Lximaged::start();
    let post = |key: &str, value: &str| {
        daemon.post(
            "/1.0/projects",
            &json!({"name": "p1", "config": {key: value}}),
        )
    };
    let start = "Invalid project configuration key";
    let text = format!("{start} \"features.images\" value: Invalid value for a boolean \"x\"");
    post("features.images", "x").is_error(400, &text);
    let key = "images.remote_cache_expiry";
    let text = format!("{start} \"{key}\" value: Invalid value for an integer \"x\"");
    post(key, "x").is_error(400, &text);
    post("nosuch", "x").is_error(400, &format!("{start} \"nosuch\""));
}

#[test]
fn the_default_project_stays() {
    let daemon = Lximaged::start();
    let text = "The 'default' project cannot be deleted";
    daemon.delete("/1.0/projects/default").is_error(403, text);
    let text = "The 'default' project cannot be renamed";
    daemon
        .post("/1.0/projects/default", &json!({"name": "x"}))
        .is_error(403, text);
    let text = "You can't change the features of the default project";
    daemon
        .put("/1.0/projects/default", &json!({"config": {}}))
        .is_error(400, text);
}

#[test]
fn an_empty_project_can_be_renamed() {
    let daemon = Lximaged::start();
    daemon
        .post("/1.0/projects", &json!({"name": "p1"}))
        .is_created("/1.0/projects/p1");
    let answer = daemon.post("/1.0/projects/p1", &json!({"name": "p2"}));
    assert_eq!(answer.operation()["description"], "Renaming project");
    assert_eq!(daemon.finished(&answer)["status"], "Success");
    daemon.get("/1.0/projects/p2").metadata();
    daemon
        .get("/1.0/projects/p1")
        .is_error(404, "Project not found");
}

#[test]
fn a_project_without_images_of_its_own_shares_the_defaults() {
    let daemon = Lximaged::start();
    let body = json!({"name": "p1", "config": {"features.images": "false"}});
    daemon
        .post("/1.0/projects", &body)
        .is_created("/1.0/projects/p1");
    let request = Request::new("POST", "/1.0/images?project=p1").body(images::container("a"));
    let found = fingerprint_of(&daemon.finished(&daemon.send(&request)));
    assert_eq!(daemon.image(&found)["fingerprint"], found.as_str());
    assert_eq!(daemon.images("p1").len(), 1);
}

#[test]
fn the_state_of_a_project_is_told() {
    let daemon = Lximaged::start();
    let state = daemon.get("/1.0/projects/default/state").metadata().clone();
    assert_eq!(state["resources"]["disk"], json!({"Limit": -1, "Usage": 0}));
}

#[test]
fn a_project_whose_images_are_only_cached_can_be_deleted() {
    if !beyond_lxd("it takes them for contents") {
        return;
    }
    let mut daemon = Lximaged::start();
    for name in ["p1", "p2"] {
        let answer = daemon.post("/1.0/projects", &json!({ "name": name }));
        assert_eq!(answer.status, 201);
    }
    let import = |daemon: &Lximaged, project: &str, marker: &str| {
        let path = format!("/1.0/images?project={project}");
        let request = Request::new("POST", &path).body(images::container(marker));
        fingerprint_of(&daemon.finished(&daemon.send(&request)))
    };
    let shared = import(&daemon, "p1", "a");
    import(&daemon, "p1", "b");
    import(&daemon, "default", "a");
    import(&daemon, "p2", "c");
    daemon.stop();
    daemon.edit_database("UPDATE images SET cached = 1 WHERE project_id = (SELECT id FROM projects WHERE name = 'p1')");
    daemon.boot();
    daemon.delete("/1.0/projects/p1").is_done();
    daemon
        .get("/1.0/projects/p1")
        .is_error(404, "Project not found");
    assert_eq!(daemon.images("default")[0]["fingerprint"], shared.as_str());
    assert_eq!(daemon.export(&shared).files.len(), 1);
    let text = "Only empty projects can be removed";
    daemon.delete("/1.0/projects/p2").is_error(500, text);
    assert_eq!(daemon.images("p2").len(), 1);
}
