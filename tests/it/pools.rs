//! Storage pools: what image clients ask of them in passing.

use serde_json::json;

use crate::support::{Lximaged, Request, beyond_lxd};

#[test]
fn a_new_daemon_has_a_pool_and_a_root_disk() {
    if !beyond_lxd("it needs an init command first") {
        return;
    }
    let daemon = Lximaged::start();
    let pool = daemon.get("/1.0/storage-pools/default").metadata().clone();
    assert_eq!(
        (&pool["driver"], &pool["used_by"]),
        (&json!("dir"), &json!(["/1.0/profiles/default"]))
    );
    let devices = daemon.get("/1.0/profiles/default").metadata()["devices"].clone();
    assert_eq!(
        devices,
        json!({"root": {"path": "/", "pool": "default", "type": "disk"}})
    );
}

#[test]
fn a_pool_is_made_shown_and_removed() {
    let daemon = Lximaged::start();
    let body = json!({"name": "one", "driver": "dir", "config": {}});
    daemon
        .post("/1.0/storage-pools", &body)
        .is_created("/1.0/storage-pools/one");
    let source = daemon.dir().join("storage-pools/one");
    let pool = json!({"config": {"source": source}, "description": "", "name": "one",
        "driver": "dir", "used_by": null, "status": "Created", "locations": ["none"]});
    assert_eq!(daemon.get("/1.0/storage-pools/one").metadata(), &pool);
    let objects = daemon.get("/1.0/storage-pools?recursion=1");
    assert!(objects.metadata().as_array().unwrap().contains(&pool));
    let urls = daemon.get("/1.0/storage-pools");
    assert!(
        urls.metadata()
            .as_array()
            .unwrap()
            .contains(&json!("/1.0/storage-pools/one"))
    );
    daemon.delete("/1.0/storage-pools/one").is_done();
    daemon
        .get("/1.0/storage-pools/one")
        .is_error(404, "Storage pool not found");
}

#[test]
fn a_pool_is_described_anew() {
    let daemon = Lximaged::start();
    let body = json!({"name": "one", "driver": "dir"});
    daemon
        .post("/1.0/storage-pools", &body)
        .is_created("/1.0/storage-pools/one");
    let source = daemon.dir().join("storage-pools/one");
    let body = json!({"description": "new", "config": {"source": source, "user.x": "1"}});
    daemon.put("/1.0/storage-pools/one", &body).is_done();
    let pool = daemon.get("/1.0/storage-pools/one").metadata().clone();
    assert_eq!(
        (&pool["description"], &pool["config"]["user.x"]),
        (&json!("new"), &json!("1"))
    );
    let body = json!({"description": "newer", "config": {"user.y": "2"}});
    daemon.patch("/1.0/storage-pools/one", &body).is_done();
    let config = daemon.get("/1.0/storage-pools/one").metadata()["config"].clone();
    assert_eq!(
        (&config["user.x"], &config["user.y"]),
        (&json!("1"), &json!("2"))
    );
}

#[test]
fn bad_pools_are_refused() {
    let daemon = Lximaged::start();
    let post = |name: &str, driver: &str| {
        daemon.post(
            "/1.0/storage-pools",
            &json!({"name": name, "driver": driver}),
        )
    };
    post("", "dir").is_error(400, "No name provided");
    post("a/b", "dir").is_error(400, "Storage pool names may not contain slashes");
    post("a", "").is_error(400, "No driver provided");
    post("a", "nosuch").is_error(500, "Unknown driver");
    post("a b", "dir").is_error(500, "Storage name cannot contain white space");
    post("one", "dir").is_created("/1.0/storage-pools/one");
    let text = "The storage pool already exists: The record already exists";
    post("one", "dir").is_error(409, text);
}

#[test]
fn a_pool_has_a_place_of_its_own() {
    let daemon = Lximaged::start();
    let home = tempfile::tempdir().unwrap();
    let make = |name: &str, source: &std::path::Path| {
        let config = json!({"source": source});
        let body = json!({"name": name, "driver": "dir", "config": config});
        daemon.post("/1.0/storage-pools", &body)
    };
    let refused = |name: &str, source: &std::path::Path, why: &str| {
        let text = format!("Source path '{}' {why}", source.display());
        make(name, source).is_error(500, &text);
    };
    refused("one", &home.path().join("nope"), "doesn't exist");
    refused(
        "one",
        &daemon.dir().join("images"),
        "is within the LXD directory",
    );
    refused(
        "one",
        &daemon.dir().join("storage-pools/two"),
        "doesn't exist",
    );
    std::fs::create_dir_all(home.path().join("full/file")).unwrap();
    refused("one", &home.path().join("full"), "isn't empty");
    let link = home.path().join("link");
    std::os::unix::fs::symlink(daemon.dir().join("images"), &link).unwrap();
    refused("one", &link, "is within the LXD directory");

    let free = home.path().join("free");
    std::fs::create_dir_all(free.join("inner")).unwrap();
    let inner = free.join("inner");
    make("one", &inner).is_created("/1.0/storage-pools/one");
    if beyond_lxd("it lets pools share a directory that is still empty") {
        refused("two", &inner, "is in use by the storage pool \"one\"");
        refused("two", &free, "is in use by the storage pool \"one\"");
    }
}

#[test]
fn a_pool_that_a_profile_names_stays() {
    let daemon = Lximaged::start();
    let body = json!({"name": "one", "driver": "dir"});
    daemon
        .post("/1.0/storage-pools", &body)
        .is_created("/1.0/storage-pools/one");
    let devices = json!({"root": {"type": "disk", "path": "/", "pool": "one"}});
    daemon
        .put("/1.0/profiles/default", &json!({"devices": devices}))
        .is_done();
    let used_by = daemon.get("/1.0/storage-pools/one").metadata()["used_by"].clone();
    assert_eq!(used_by, json!(["/1.0/profiles/default"]));
    let text = "The storage pool is currently in use";
    daemon.delete("/1.0/storage-pools/one").is_error(400, text);
}

#[test]
fn the_space_of_a_pool_is_told() {
    let daemon = Lximaged::start();
    let body = json!({"name": "one", "driver": "dir"});
    daemon
        .post("/1.0/storage-pools", &body)
        .is_created("/1.0/storage-pools/one");
    let space = daemon.get("/1.0/storage-pools/one/resources").metadata()["space"].clone();
    assert!(space["total"].as_u64() >= space["used"].as_u64(), "{space}");
    let answer = daemon.get("/1.0/storage-pools/nope/resources");
    answer.is_error(500, "Storage pool not found");
}

#[test]
fn pools_are_not_renamed() {
    let daemon = Lximaged::start();
    let request = Request::new("POST", "/1.0/storage-pools/one").body("{}");
    daemon.send(&request).is_error(501, "not implemented");
}
