//! Sessions of the unmodified `lxc` client.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Lximaged, PATIENCE, beyond_lxd, fingerprint, images};

/// A daemon, and an image in a file that `lxc` can find.
fn with_file() -> (Lximaged, Vec<u8>, String) {
    let daemon = Lximaged::start();
    let packed = images::gzip(&images::container("a"));
    fs::write(daemon.home().join("a.tar.gz"), &packed).unwrap();
    let found = fingerprint(&[&packed]);
    (daemon, packed, found)
}

#[test]
fn image_import_list_info_show_export_delete() {
    let (daemon, packed, found) = with_file();
    let said = daemon.lxc(&[
        "image",
        "import",
        "a.tar.gz",
        "--alias",
        "mine",
        "os=Client",
    ]);
    assert!(
        said.contains(&format!("Image imported with fingerprint: {found}")),
        "{said}"
    );
    let list = daemon.lxc(&["image", "list", "-f", "csv", "-c", "lfpt"]);
    assert_eq!(list, format!("mine,{},no,CONTAINER\n", &found[..12]));
    let info = daemon.lxc(&["image", "info", "mine"]);
    assert!(info.contains(&format!("Fingerprint: {found}\n")), "{info}");
    assert!(info.contains("os: Client\n"), "{info}");
    let shown = daemon.lxc(&["image", "show", &found[..12]]);
    assert!(shown.contains("public: false\n"), "{shown}");
    daemon.lxc(&["image", "export", "mine", "out"]);
    assert_eq!(fs::read(daemon.home().join("out.tar.gz")).unwrap(), packed);
    daemon.lxc(&["image", "delete", "mine"]);
    assert_eq!(daemon.lxc(&["image", "list", "-f", "csv"]), "");
}

#[test]
fn split_image_import_and_export() {
    let daemon = Lximaged::start();
    let metadata = images::xz(&images::metadata_tar("a"));
    let rootfs = images::squashfs(&[("hello", "hello\n")]);
    fs::write(daemon.home().join("meta.tar.xz"), &metadata).unwrap();
    fs::write(daemon.home().join("root.squashfs"), &rootfs).unwrap();
    daemon.lxc(&[
        "image",
        "import",
        "meta.tar.xz",
        "root.squashfs",
        "--alias",
        "mine",
    ]);
    daemon.lxc(&["image", "export", "mine", "out"]);
    assert_eq!(fs::read(daemon.home().join("out")).unwrap(), metadata);
    assert_eq!(fs::read(daemon.home().join("out.root")).unwrap(), rootfs);
}

#[test]
fn unified_squashfs_import_and_export() {
    let daemon = Lximaged::start();
    let metadata = images::metadata("a");
    let packed = images::squashfs(&[("metadata.yaml", &metadata), ("rootfs/hello", "hello\n")]);
    fs::write(daemon.home().join("a.squashfs"), &packed).unwrap();
    daemon.lxc(&["image", "import", "a.squashfs", "--alias", "mine"]);
    let list = daemon.lxc(&["image", "list", "-f", "csv", "-c", "ldt"]);
    assert_eq!(list, "mine,image a,CONTAINER\n");
    daemon.lxc(&["image", "export", "mine", "out"]);
    let exported = fs::read(daemon.home().join("out.squashfs")).unwrap();
    assert_eq!(exported, packed);
    // Without a name, the file is called after the fingerprint.
    daemon.lxc(&["image", "export", "mine"]);
    let name = format!("{}.squashfs", fingerprint(&[&packed]));
    assert_eq!(fs::read(daemon.home().join(name)).unwrap(), packed);
}

#[test]
fn virtual_machine_import() {
    let daemon = Lximaged::start();
    fs::write(daemon.home().join("meta.tar"), images::metadata_tar("a")).unwrap();
    fs::write(daemon.home().join("disk.qcow2"), images::qcow2()).unwrap();
    daemon.lxc(&[
        "image",
        "import",
        "meta.tar",
        "disk.qcow2",
        "--alias",
        "vm",
        "--public",
    ]);
    let list = daemon.lxc(&["image", "list", "-f", "csv", "-c", "lpt"]);
    assert_eq!(list, "vm,yes,VIRTUAL-MACHINE\n");
}

#[test]
fn directory_import() {
    let daemon = Lximaged::start();
    fs::create_dir_all(daemon.home().join("tree/rootfs/etc")).unwrap();
    fs::create_dir_all(daemon.home().join("tree/templates")).unwrap();
    fs::write(
        daemon.home().join("tree/metadata.yaml"),
        images::metadata("a"),
    )
    .unwrap();
    daemon.lxc(&["image", "import", "tree", "--alias", "mine"]);
    assert!(
        daemon
            .lxc(&["image", "info", "mine"])
            .contains("description: image a")
    );
}

#[test]
fn image_alias_create_list_rename_delete() {
    let (daemon, _, found) = with_file();
    daemon.lxc(&["image", "import", "a.tar.gz"]);
    daemon.lxc(&["image", "alias", "create", "tiny/1.0", &found]);
    let list = daemon.lxc(&["image", "alias", "list", "-f", "csv"]);
    assert_eq!(list, format!("tiny/1.0,{},CONTAINER,\n", &found[..12]));
    assert!(daemon.lxc(&["image", "info", "tiny/1.0"]).contains(&found));
    daemon.lxc_fails(&["image", "alias", "create", "tiny/1.0", &found]);
    daemon.lxc(&["image", "alias", "delete", "tiny/1.0"]);
    assert_eq!(daemon.lxc(&["image", "alias", "list", "-f", "csv"]), "");
}

#[test]
fn image_alias_rename() {
    if !beyond_lxd("it takes ten seconds") {
        return;
    }
    let (daemon, _, found) = with_file();
    daemon.lxc(&["image", "import", "a.tar.gz", "--alias", "old"]);
    daemon.lxc(&["image", "alias", "rename", "old", "new"]);
    assert!(daemon.lxc(&["image", "info", "new"]).contains(&found));
}

#[test]
fn image_properties_and_edit() {
    let (daemon, _, _) = with_file();
    daemon.lxc(&["image", "import", "a.tar.gz", "--alias", "mine"]);
    daemon.lxc(&["image", "set-property", "mine", "os", "New"]);
    assert_eq!(
        daemon.lxc(&["image", "get-property", "mine", "os"]),
        "New\n"
    );
    daemon.lxc(&["image", "unset-property", "mine", "os"]);
    let said = daemon.lxc_fails(&["image", "get-property", "mine", "os"]);
    assert!(said.contains("Error: Property not found\n"), "{said}");
}

#[test]
fn image_list_filters() {
    let (daemon, _, _) = with_file();
    daemon.lxc(&["image", "import", "a.tar.gz", "--alias", "zebra"]);
    let list = |filter: &str| daemon.lxc(&["image", "list", filter, "-f", "csv", "-c", "l"]);
    assert_eq!(list("zebra"), "zebra\n");
    assert_eq!(list("os=Testix"), "zebra\n");
    assert_eq!(list("type=container"), "zebra\n");
    assert_eq!(list("quoll"), "");
}

#[test]
fn mistakes_are_told_in_the_daemons_words() {
    let (daemon, _, _) = with_file();
    daemon.lxc(&["image", "import", "a.tar.gz"]);
    let said = daemon.lxc_fails(&["image", "import", "a.tar.gz"]);
    assert!(
        said.contains("Error: Image with same fingerprint already exists\n"),
        "{said}"
    );
    let said = daemon.lxc_fails(&["image", "info", "nope"]);
    assert!(said.contains("Error: Image not found\n"), "{said}");
    let said = daemon.lxc_fails(&["image", "delete", "nope"]);
    assert!(said.contains("Error: Image not found\n"), "{said}");
}

#[test]
fn operation_list_show_delete() {
    let (daemon, _, found) = with_file();
    daemon.lxc(&["image", "import", "a.tar.gz"]);
    let secret = daemon.post(&format!("/1.0/images/{found}/secret"), &json!({}));
    let id = secret.operation()["id"].as_str().unwrap();
    let list = daemon.lxc(&["operation", "list", "-f", "csv"]);
    assert!(
        list.contains(&format!("{id},TOKEN,Image download token,RUNNING,YES,")),
        "{list}"
    );
    assert!(
        daemon
            .lxc(&["operation", "show", id])
            .contains("class: token\n")
    );
    daemon.lxc(&["operation", "delete", id]);
}

#[test]
fn config_get_set_show() {
    let daemon = Lximaged::start();
    daemon.lxc(&["config", "set", "images.remote_cache_expiry", "3"]);
    assert_eq!(
        daemon.lxc(&["config", "get", "images.remote_cache_expiry"]),
        "3\n"
    );
    let shown = daemon.lxc(&["config", "show"]);
    assert_eq!(shown, "config:\n  images.remote_cache_expiry: \"3\"\n");
    daemon.lxc(&["config", "unset", "images.remote_cache_expiry"]);
    assert_eq!(daemon.lxc(&["config", "show"]), "config: {}\n");
    let said = daemon.lxc_fails(&["config", "set", "images.remote_cache_expiry", "x"]);
    assert!(
        said.contains("cannot set 'images.remote_cache_expiry' to 'x': invalid integer"),
        "{said}"
    );
}

#[test]
fn storage_project_and_profile_lists() {
    let daemon = Lximaged::start();
    daemon.lxc(&["storage", "create", "one", "dir"]);
    let list = daemon.lxc(&["storage", "list", "-f", "csv"]);
    assert!(
        list.lines().any(|line| line.starts_with("one,dir,")),
        "{list}"
    );
    daemon.lxc(&["storage", "delete", "one"]);
    let list = daemon.lxc(&["project", "list", "-f", "csv"]);
    assert!(list.starts_with("default (current),YES,YES,"), "{list}");
    let shown = daemon.lxc(&["profile", "show", "default"]);
    assert!(
        shown.starts_with("config: {}\ndescription: Default LXD profile\n"),
        "{shown}"
    );
    assert!(shown.ends_with("name: default\nused_by: []\n"), "{shown}");
}

#[test]
fn info_and_version() {
    let daemon = Lximaged::start();
    assert!(daemon.lxc(&["info"]).contains("api_version: \"1.0\"\n"));
    assert!(daemon.lxc(&["version"]).contains("Server version: 5.0.2\n"));
}

#[test]
fn another_project() {
    let (daemon, _, _) = with_file();
    daemon.lxc(&["project", "create", "p1"]);
    daemon.lxc(&[
        "image",
        "import",
        "a.tar.gz",
        "--project",
        "p1",
        "--alias",
        "mine",
    ]);
    assert_eq!(daemon.lxc(&["image", "list", "-f", "csv"]), "");
    let list = daemon.lxc(&["image", "list", "--project", "p1", "-f", "csv", "-c", "l"]);
    assert_eq!(list, "mine\n");
    daemon.lxc(&["image", "delete", "mine", "--project", "p1"]);
    daemon.lxc(&["project", "delete", "p1"]);
}

#[test]
fn monitor_prints_events() {
    let daemon = Lximaged::start();
    let mut command = daemon.lxc_command(&["monitor", "-f", "json", "--type", "lifecycle"]);
    let mut monitor = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    let (sender, events) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok).filter(|line| !line.is_empty()) {
            drop(sender.send(line));
        }
    });
    // The client does not say when it listens: something is done until it tells of it.
    let deadline = Instant::now() + PATIENCE;
    let event: Value = loop {
        daemon
            .patch("/1.0", &json!({"config": {"user.x": "1"}}))
            .is_done();
        if let Ok(line) = events.recv_timeout(Duration::from_millis(200)) {
            break serde_json::from_str(&line).unwrap();
        }
        assert!(Instant::now() < deadline, "lxc monitor prints nothing");
    };
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert_eq!(event["metadata"]["action"], "config-updated");
    assert_eq!(event["metadata"]["source"], "/1.0");
}

#[test]
fn a_public_remote_is_added_and_listed() {
    let daemon = Lximaged::start();
    let address = daemon.listen().to_string();
    daemon.alias("open", &daemon.import_public(&images::container("a")));
    daemon.import(&images::container("private"));
    daemon.lxc(&[
        "remote",
        "add",
        "there",
        &address,
        "--accept-certificate",
        "--public",
    ]);
    let list = daemon.lxc(&["image", "list", "there:", "-f", "csv", "-c", "l"]);
    assert_eq!(list, "open\n");
}
