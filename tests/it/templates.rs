//! Templates of images: applied when an instance starts, and what they cannot do to the host.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
};

use serde_json::{Value, json};

use crate::support::{Lximaged, Options, Request, containers::busybox, images, tar::Tar};

/// A daemon with the container `c1`, which can start.
fn with_container() -> Lximaged {
    let daemon = Lximaged::start();
    daemon.init("c1", &daemon.import(&busybox("templates")));
    daemon
}

/// Gives `c1` these rules, and templates of these names and texts.
fn set(daemon: &Lximaged, rules: &Value, templates: &[(&str, &str)]) {
    let metadata = json!({"architecture": "x86_64", "creation_date": 1, "templates": rules});
    daemon
        .put("/1.0/instances/c1/metadata", &metadata)
        .is_done();
    for (name, text) in templates {
        let path = format!("/1.0/instances/c1/metadata/templates?path={name}");
        daemon
            .send(&Request::new("POST", &path).body(text))
            .is_done();
    }
}

fn rule(when: &[&str], template: &str) -> Value {
    json!({"when": when, "template": template, "properties": {"color": "blue"}})
}

fn pull(daemon: &Lximaged, path: &str) -> String {
    let answer = daemon.get(&format!("/1.0/instances/c1/files?path={path}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

fn pending(daemon: &Lximaged, name: &str) -> Value {
    daemon.instance(name)["config"]["volatile.apply_template"].clone()
}

/// Why a start fails.
fn failure(daemon: &Lximaged, name: &str) -> String {
    let operation = daemon.act(name, "start");
    assert_eq!(operation["status"], "Failure", "{operation}");
    assert_eq!(daemon.instance(name)["status"], "Stopped");
    operation["err"].as_str().unwrap().to_owned()
}

#[test]
fn the_pending_trigger_comes_first_and_start_always() {
    let daemon = with_container();
    let rules = json!({
        "/made": rule(&["create"], "t.tpl"),
        "/started": rule(&["start"], "t.tpl"),
        "/copied": rule(&["copy", "rename"], "t.tpl"),
    });
    let text = "{{ trigger }} {{ path }} {{ container.name }} {{ properties.color }} \
        {{ config_get(\"volatile.apply_template\", \"none\") }}";
    set(&daemon, &rules, &[("t.tpl", text)]);
    assert_eq!(pending(&daemon, "c1"), "create");
    daemon.start("c1");
    assert_eq!(pull(&daemon, "/made"), "create /made c1 blue create");
    assert!(pull(&daemon, "/started").starts_with("start /started c1 blue"));
    assert_eq!(
        daemon.get("/1.0/instances/c1/files?path=/copied").status,
        404
    );
    assert_eq!(pending(&daemon, "c1"), Value::Null);
    daemon.kill("c1");
    let source = json!({"type": "copy", "source": "c1"});
    daemon.succeeds(&daemon.post(
        "/1.0/instances",
        &json!({"name": "c2", "source": source, "profiles": ["default"]}),
    ));
    assert_eq!(pending(&daemon, "c2"), "copy");
    daemon.start("c2");
    let copied = daemon.get("/1.0/instances/c2/files?path=/copied").text();
    assert!(copied.starts_with("copy /copied c2"), "{copied}");
    daemon.kill("c2");
}

#[test]
fn new_files_are_roots_and_old_ones_keep_owner_and_mode() {
    let daemon = with_container();
    let owned = [
        ("X-LXD-uid", "7"),
        ("X-LXD-gid", "8"),
        ("X-LXD-mode", "0600"),
    ];
    for path in ["/old", "/kept"] {
        let push = Request::new("POST", &format!("/1.0/instances/c1/files?path={path}"));
        let push = push
            .header("Content-Type", "application/octet-stream")
            .headers(&owned);
        daemon
            .send(&push.body("a longer text than the new one"))
            .is_done();
    }
    let mut kept = rule(&["start"], "t.tpl");
    kept["create_only"] = json!(true);
    let rules = json!({"/old": rule(&["start"], "t.tpl"), "/kept": kept,
        "deep/er/new": rule(&["start"], "t.tpl")});
    set(&daemon, &rules, &[("t.tpl", "short")]);
    daemon.start("c1");
    let attributes = |path: &str| {
        let answer = daemon.get(&format!("/1.0/instances/c1/files?path={path}"));
        let header = |name: &str| answer.header(name).unwrap().to_owned();
        (
            header("x-lxd-uid"),
            header("x-lxd-gid"),
            header("x-lxd-mode"),
        )
    };
    let owned =
        |uid: &str, gid: &str, mode: &str| (uid.to_owned(), gid.to_owned(), mode.to_owned());
    assert_eq!(pull(&daemon, "/old"), "short");
    assert_eq!(pull(&daemon, "/kept"), "a longer text than the new one");
    assert_eq!(attributes("/old"), owned("7", "8", "0600"));
    assert_eq!(pull(&daemon, "/deep/er/new"), "short");
    assert_eq!(attributes("/deep/er/new"), owned("0", "0", "0644"));
    assert_eq!(attributes("/deep/er"), owned("0", "0", "0755"));
    daemon.kill("c1");
}

#[test]
fn a_template_that_fails_ends_the_start_with_its_reason() {
    let daemon = with_container();
    set(
        &daemon,
        &json!({"/x": rule(&["create"], "t.tpl")}),
        &[("t.tpl", "{% include \"/etc/passwd\" %}")],
    );
    let why = failure(&daemon, "c1");
    let expected = "Failed to render template: [Error (where: parser) in <string> | Line 1 Col 24 \
        near 'include'] Usage of tag 'include' is not allowed (sandbox restriction active).";
    assert!(why.ends_with(expected), "{why}");
    assert_eq!(pending(&daemon, "c1"), "create");
    set(
        &daemon,
        &json!({"/x": rule(&["create"], "t.tpl")}),
        &[("t.tpl", "{{ trigger }}")],
    );
    daemon.start("c1");
    assert_eq!(pull(&daemon, "/x"), "create");
    daemon.kill("c1");
    let nested = "{% for x in \"0123456789\" %}".repeat(12) + &"{% endfor %}".repeat(12);
    set(
        &daemon,
        &json!({"/x": rule(&["start"], "t.tpl")}),
        &[("t.tpl", &nested)],
    );
    assert!(failure(&daemon, "c1").contains("too many steps"));
}

#[test]
fn nothing_outside_of_the_instance_is_read_or_written() {
    // A template that is a directory is an error of the daemon's own, so to speak.
    let irregular = "Cannot read non-regular file";
    let daemon = Options::default().expect_error(irregular).start();
    let sentinel = daemon.home().join("sentinel");
    fs::write(&sentinel, "untouched").unwrap();
    let image = Tar::new()
        .file("metadata.yaml", images::metadata("hostile"))
        .directory("rootfs/")
        .special(crate::support::tar::Kind::SymbolicLink, "rootfs/link", "/")
        .special(
            crate::support::tar::Kind::SymbolicLink,
            "rootfs/file",
            sentinel.to_str().unwrap(),
        )
        .directory("templates/")
        .file("templates/t.tpl", "changed")
        .build();
    daemon.init("c1", &daemon.import(&image));
    let outside = "Template is attempting access to path outside of container";
    let up = format!("/../../../../../../../../../..{}", sentinel.display());
    let through = format!("/link{}", sentinel.display());
    let long = format!("/{}", "n/".repeat(2_500));
    for target in [
        up.as_str(),
        through.as_str(),
        "/file",
        "..",
        "/../x",
        "a\0b",
        long.as_str(),
        "",
        "/",
    ] {
        set(&daemon, &json!({target: rule(&["start"], "t.tpl")}), &[]);
        let why = failure(&daemon, "c1");
        assert!(
            why.contains("Failed to apply the template of"),
            "{target}: {why}"
        );
        if target.contains("sentinel") || target == "/file" {
            assert!(why.ends_with(outside), "{target}: {why}");
        }
    }
    for template in [
        "../../sentinel",
        "/etc/passwd",
        "../metadata.yaml",
        "none.tpl",
        "",
        "a\0b",
        ".",
    ] {
        set(&daemon, &json!({"/x": rule(&["start"], template)}), &[]);
        let why = failure(&daemon, "c1");
        assert!(
            why.contains("emplate") && !why.contains("root:"),
            "{template}: {why}"
        );
    }
    assert_eq!(fs::read(&sentinel).unwrap(), b"untouched");
}

#[test]
fn a_template_file_that_is_a_link_is_not_read() {
    let daemon = with_container();
    let rules = json!({"/x": rule(&["start"], "link.tpl")});
    set(&daemon, &rules, &[("t.tpl", "x")]);
    let tree: PathBuf = daemon.dir().join("storage-pools/default/containers/c1");
    symlink("/etc/passwd", tree.join("templates/link.tpl")).unwrap();
    let why = failure(&daemon, "c1");
    assert!(why.ends_with("Template file is a symlink"), "{why}");
    let found = fs::metadata(tree.join("templates/t.tpl")).unwrap();
    assert_eq!(
        (found.permissions().mode() & 0o777, found.uid()),
        (0o644, 0)
    );
}

#[test]
fn what_the_image_requires_is_asked_for_first() {
    let daemon = Lximaged::start();
    daemon.init("c1", &daemon.import(&images::container("requires")));
    let keys = json!({"config": {"image.requirements.nesting": "true", "image.requirements.secureboot": "false"}});
    daemon.patch("/1.0/instances/c1", &keys);
    set(&daemon, &json!({"/x": rule(&["start"], "none.tpl")}), &[]);
    // Neither keeps a container from getting as far as its templates.
    assert!(failure(&daemon, "c1").contains("Failed to apply the template of"));
    daemon.allow_machines();
    let body = json!({"name": "v1", "type": "virtual-machine", "source": {"type": "none"},
        "config": {"image.requirements.secureboot": "false"}});
    let made = daemon.create(&body);
    assert_eq!(made["status"], "Success", "{made}");
    let why = failure(&daemon, "v1");
    assert_eq!(
        why,
        "The image used by this instance is incompatible with secureboot. Please set \
        security.secureboot=false on the instance"
    );
    daemon.patch(
        "/1.0/instances/v1",
        &json!({"config": {"security.secureboot": "false"}}),
    );
    assert!(failure(&daemon, "v1").contains("not supported"));
}
