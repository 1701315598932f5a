//! `metadata.yaml` and the templates of instances, read and written by their users.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::{Events, Lximaged, Options, Request, images, tar::Tar};

const METADATA: &str = "/1.0/instances/c1/metadata";
const TEMPLATES: &str = "/1.0/instances/c1/metadata/templates";

fn image() -> Vec<u8> {
    let metadata = images::metadata("meta")
        + "templates:\n  /etc/hostname:\n    when: [create, copy]\n    template: hostname.tpl\n";
    Tar::new()
        .file("metadata.yaml", metadata)
        .directory("rootfs/")
        .directory("templates/")
        .file("templates/hostname.tpl", "{{ container.name }}\n")
        .build()
}

/// A daemon with the container `c1`.
fn started() -> Lximaged {
    let daemon = Lximaged::start();
    daemon.init("c1", &daemon.import(&image()));
    daemon
}

#[test]
fn metadata_is_read_replaced_and_changed() {
    let daemon = started();
    let answer = daemon.get("/1.0/instances/c1/metadata");
    let tag = answer.header("etag").unwrap().to_owned();
    let template = json!({"when": ["create", "copy"], "create_only": false,
        "template": "hostname.tpl", "properties": null});
    assert_eq!(
        answer.metadata()["templates"],
        json!({"/etc/hostname": template})
    );
    assert_eq!(answer.metadata()["architecture"], "x86_64");
    // LXD: whatever the client saw last.
    let stale = [("If-Match", "other")];
    let put = Request::new("PUT", "/1.0/instances/c1/metadata").headers(&stale);
    daemon
        .send(&put.json(&json!({"architecture": "x86_64"})))
        .is_done();
    let patch = Request::new("PATCH", "/1.0/instances/c1/metadata").header("If-Match", &tag);
    let patch = daemon.send(&patch.json(&json!({"properties": {"a": "b"}})));
    assert_eq!(patch.status, 412);
    daemon
        .patch(
            "/1.0/instances/c1/metadata",
            &json!({"properties": {"a": "b"}}),
        )
        .is_done();
    daemon
        .patch(
            METADATA,
            &json!({"properties": {"c": "d"}, "creation_date": 7}),
        )
        .is_done();
    let expected = json!({"architecture": "x86_64", "creation_date": 7, "expiry_date": 0,
        "properties": {"a": "b", "c": "d"}, "templates": {}});
    assert_eq!(*daemon.get(METADATA).metadata(), expected);
    let wrong = "json: cannot unmarshal string into Go struct field ImageMetadata.creation_date of type int64";
    daemon
        .patch(METADATA, &json!({"creation_date": "x"}))
        .is_error(400, wrong);
    assert_eq!(*daemon.get(METADATA).metadata(), expected);
}

#[test]
fn without_a_file_there_is_nothing_until_it_is_written() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let answer = daemon.get(METADATA);
    if answer.metadata()["architecture"] == "" {
        assert_eq!(answer.header("etag"), None);
    }
    daemon
        .patch(METADATA, &json!({"properties": {"a": "b"}}))
        .is_done();
    assert_eq!(
        daemon.get(METADATA).metadata()["properties"],
        json!({"a": "b"})
    );
    assert_eq!(*daemon.get(TEMPLATES).metadata(), json!([]));
}

#[test]
fn templates_are_listed_read_written_and_deleted() {
    let daemon = started();
    assert_eq!(
        *daemon
            .get("/1.0/instances/c1/metadata/templates")
            .metadata(),
        json!(["hostname.tpl"])
    );
    let answer = daemon.get("/1.0/instances/c1/metadata/templates?path=hostname.tpl");
    assert_eq!(answer.text(), "{{ container.name }}\n");
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "inline;filename=hostname.tpl"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let post = Request::new("POST", "/1.0/instances/c1/metadata/templates?path=new.tpl");
    daemon.send(&post.body(b"\x00\xff")).is_done();
    let ranged = Request::new("GET", &format!("{TEMPLATES}?path=new.tpl"));
    assert_eq!(
        daemon.send(&ranged.header("Range", "bytes=1-1")).body,
        b"\xff"
    );
    daemon
        .delete("/1.0/instances/c1/metadata/templates?path=new.tpl")
        .is_done();
    let gone = format!("{TEMPLATES}?path=new.tpl");
    daemon
        .delete(&gone)
        .is_error(404, "Template \"new.tpl\" not found");
    daemon
        .get(&gone)
        .is_error(404, "Template \"new.tpl\" not found");
    for method in ["POST", "DELETE"] {
        let answer = daemon.send(&Request::new(method, TEMPLATES).body("x"));
        answer.is_error(400, "missing path argument");
    }
    daemon
        .put(TEMPLATES, &json!({}))
        .is_error(501, "not implemented");
    let absent = "/1.0/instances/none/metadata";
    daemon.get(absent).is_error(404, "Instance not found");
    daemon
        .get("/1.0/instances/c1%2Fs/metadata")
        .is_error(400, "Invalid instance name");
}

#[test]
fn names_that_lead_elsewhere_are_refused_and_change_nothing() {
    let daemon = started();
    for name in [
        "..%2Fx.tpl",
        "a%2Fb.tpl",
        "%2Fetc%2Fpasswd",
        "..",
        ".",
        "a%00b",
    ] {
        let path = format!("{TEMPLATES}?path={name}");
        for method in ["GET", "POST", "DELETE"] {
            let answer = daemon.send(&Request::new(method, &path).body("x"));
            answer.is_error(500, "Invalid template filename");
        }
    }
    let long = format!("{TEMPLATES}?path={}", "n".repeat(5_000));
    assert_eq!(
        daemon.send(&Request::new("POST", &long).body("x")).status,
        500
    );
    assert_eq!(*daemon.get(TEMPLATES).metadata(), json!(["hostname.tpl"]));
}

#[test]
fn links_in_their_place_are_never_followed() {
    let daemon = Options::default().expect_error("").start();
    daemon.init("c1", &daemon.import(&image()));
    let tree = daemon.dir().join("storage-pools/default/containers/c1");
    let outside = daemon.home().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    symlink(outside.join("secret"), tree.join("templates/link.tpl")).unwrap();
    let path = format!("{TEMPLATES}?path=link.tpl");
    assert!(!daemon.get(&path).text().contains("\"secret"));
    assert_ne!(daemon.get(&path).status, 200);
    std::fs::remove_dir_all(tree.join("templates")).unwrap();
    symlink(&outside, tree.join("templates")).unwrap();
    std::fs::remove_file(tree.join("metadata.yaml")).unwrap();
    symlink(outside.join("secret"), tree.join("metadata.yaml")).unwrap();
    let secret = format!("{TEMPLATES}?path=secret");
    for request in [
        Request::new("GET", METADATA),
        Request::new("GET", TEMPLATES),
        Request::new("GET", &secret),
        Request::new("POST", &secret).body("changed"),
        Request::new("DELETE", &secret),
    ] {
        let answer = daemon.send(&request);
        assert_ne!(answer.status, 200, "{}", answer.text());
    }
    daemon.put(METADATA, &json!({})).is_done();
    assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn who_changed_what_is_told() {
    let daemon = started();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    daemon.get(METADATA);
    daemon.put(METADATA, &json!({})).is_done();
    let path = format!("{TEMPLATES}?path=n.tpl");
    daemon
        .send(&Request::new("POST", &path).body("x"))
        .is_done();
    daemon.get(&path);
    daemon.delete(&path).is_done();
    for (action, source) in [
        ("instance-metadata-retrieved", METADATA),
        ("instance-metadata-updated", METADATA),
        ("instance-metadata-template-created", TEMPLATES),
        ("instance-metadata-template-retrieved", TEMPLATES),
        ("instance-metadata-template-deleted", TEMPLATES),
    ] {
        let event: Value = events.action(action);
        assert_eq!(event["metadata"]["source"], source, "{action}");
        if source == TEMPLATES {
            assert_eq!(event["metadata"]["context"], json!({"path": "n.tpl"}));
        }
    }
}
