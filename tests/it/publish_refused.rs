//! What is not published, and that nothing is left of it.

use serde_json::{Value, json};

use crate::support::{Lximaged, daemon::Options, images, publishing::large};

fn with_instance() -> Lximaged {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    daemon
}

fn from(kind: &str, name: &str) -> Value {
    json!({"source": {"type": kind, "name": name}})
}

#[test]
fn sources_that_are_none_are_refused_as_lxd_does() {
    let daemon = with_instance();
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &json!({"name": "s"})));
    for (kind, name, text) in [
        ("instance", "", "No source provided"),
        ("snapshot", "c1", "Not a snapshot"),
        ("instance", "c1/s", "This is a snapshot"),
        ("container", "c1/s", "This is a snapshot"),
    ] {
        let answer = daemon.post("/1.0/images", &from(kind, name));
        assert_eq!(daemon.fails(&answer), text, "{kind} {name}");
    }
    for (kind, name) in [
        ("instance", "c2"),
        ("snapshot", "c1/t"),
        ("instance", "../c1"),
        ("snapshot", "c1/../s"),
    ] {
        let answer = daemon.post("/1.0/images", &from(kind, name));
        answer.is_error(404, "Instance not found");
    }
}

#[test]
fn compression_is_judged_before_anything_is_done() {
    let daemon = with_instance();
    let long = "x".repeat(65536);
    for algorithm in [
        "sh -c id",
        "/tmp/x",
        "gzip;id",
        "$(id)",
        "lz4",
        "zstd -o S",
        "xz --files=S",
        "gzip -S x",
        "squashfs --pack-file S",
        "zstd --patch-from=S",
        "zstd --filelist=S",
        "gzip -20",
        long.as_str(),
    ] {
        let answer = daemon.publish_with("c1", &json!({"compression_algorithm": algorithm}));
        assert_eq!(answer.status, 400, "{algorithm}");
        let text = answer.json["error"].as_str().unwrap();
        assert!(
            text.starts_with("Invalid compression algorithm \""),
            "{text}"
        );
    }
    let blank = daemon.publish_with("c1", &json!({"compression_algorithm": " "}));
    blank.is_error(400, "No compression algorithm specified");
    assert_eq!(daemon.images("default").len(), 1);
}

#[test]
fn an_alias_that_is_taken_leaves_the_image_without_any() {
    let daemon = with_instance();
    let old = daemon.images("default")[0]["fingerprint"].clone();
    daemon.alias("taken", old.as_str().unwrap());
    let wish = json!({"aliases": [{"name": "free"}, {"name": "taken"}]});
    let text = daemon.fails(&daemon.publish_with("c1", &wish));
    assert_eq!(text, "Alias already exists: taken");
    assert_eq!(daemon.images("default").len(), 2);
    assert_eq!(daemon.get("/1.0/images/aliases/free").status, 404);
}

#[test]
fn a_project_that_is_full_takes_no_more() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container_of_size("a", 3_000_000));
    daemon.init("c1", &found);
    let root = json!({"path": "/", "pool": "default", "type": "disk", "size": "1MB"});
    let profile = json!({"devices": {"root": root}});
    daemon.patch("/1.0/profiles/default", &profile).is_done();
    let config = json!({"config": {"limits.disk": "5MB"}});
    daemon.patch("/1.0/projects/default", &config).is_done();
    for algorithm in ["none", "gzip", "squashfs"] {
        let wish = json!({"compression_algorithm": algorithm});
        let text = daemon.fails(&daemon.publish_with("c1", &wish));
        assert!(text.contains("exceeding quota of "), "{algorithm}: {text}");
        assert_eq!(daemon.names("staging"), [""; 0], "{algorithm}");
    }
    assert_eq!(daemon.images("default").len(), 1);
}

#[test]
fn a_full_disk_says_so_and_nothing_is_left() {
    let options = Options::default().tmpfs_mib(12);
    let daemon = options.expect_error("No space left on device").start();
    let found = daemon.import(&images::container_of_size("a", 4_000_000));
    daemon.init("c1", &found);
    for algorithm in ["none", "gzip", "zstd", "xz -0", "squashfs"] {
        let wish = json!({"compression_algorithm": algorithm});
        let text = daemon.fails(&daemon.publish_with("c1", &wish));
        assert!(
            text.contains("No space left on device"),
            "{algorithm}: {text}"
        );
        assert_eq!(daemon.names("staging"), [""; 0], "{algorithm}");
    }
}

#[test]
fn a_daemon_that_is_killed_leaves_nothing() {
    let mut daemon = Lximaged::start();
    let found = daemon.import(&large());
    daemon.init("c1", &found);
    let answer = daemon.publish_for_long("c1");
    assert_eq!(answer.status, 202);
    daemon.kill9();
    daemon.boot();
    assert_eq!(daemon.names("staging"), [""; 0]);
    assert_eq!(daemon.images("default").len(), 1);
    daemon.publish("c1", &json!({"compression_algorithm": "zstd"}));
}

#[test]
fn metadata_that_no_import_would_take_is_refused() {
    let daemon = with_instance();
    let file = daemon
        .dir()
        .join("storage-pools/default/containers/c1/metadata.yaml");
    std::fs::write(&file, "architecture: x86_64\n").unwrap();
    let text = daemon.fails(&daemon.publish_with("c1", &json!({})));
    assert_eq!(text, "Missing creation date");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    let text = daemon.fails(&daemon.publish_with("c1", &json!({})));
    assert_eq!(text, "Cannot read non-regular file");
    assert_eq!(daemon.images("default").len(), 1);
}

#[test]
fn who_may_not_use_a_project_publishes_nothing_of_it() {
    let daemon = with_instance();
    let address = daemon.listen();
    let stranger = Lximaged::stranger(address);
    let answer = stranger.post("/1.0/images", &from("instance", "c1"));
    answer.is_error(403, "not authorized");
}
