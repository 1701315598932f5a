//! Instances and snapshots become images.

use serde_json::json;

use crate::support::{
    Lximaged, Request,
    images::{self, CREATED},
    publishing::{file_in, names_in, through},
    tar::Tar,
};

/// An image with metadata, templates, and a little of everything in its root.
fn image() -> Vec<u8> {
    let metadata = "# by hand\narchitecture: amd64\ncreation_date: 1577836800\nexpiry_date: 2500000000\n\
        properties: {os: Testix, note: '5'}\ntemplates:\n  /x:\n    when: [start]\n    template: x.tpl\n";
    Tar::new()
        .file("metadata.yaml", metadata)
        .directory("rootfs/")
        .directory("rootfs/etc/")
        .file("rootfs/etc/one", "one\n")
        .file("rootfs/hello", "hello\n")
        .directory("templates/")
        .file("templates/x.tpl", "{{ x }}")
        .build()
}

fn with_instance() -> Lximaged {
    let daemon = Lximaged::start();
    let found = daemon.import(&image());
    daemon.init("c1", &found);
    daemon
}

#[test]
fn an_image_has_the_instances_files_and_its_metadata_as_it_is() {
    let daemon = with_instance();
    let answer = daemon.publish_with("c1", &json!({"compression_algorithm": "none"}));
    let begun = answer.operation().clone();
    assert_eq!(begun["description"], "Downloading image");
    assert_eq!(
        (&begun["resources"], &begun["may_cancel"]),
        (&json!(null), &json!(false))
    );
    let operation = daemon.succeeds(&answer);
    let found = operation["metadata"]["fingerprint"].as_str().unwrap();
    let exported = daemon.export(found).files.remove(0);
    let size = exported.len().to_string();
    assert_eq!(
        operation["metadata"],
        json!({"fingerprint": found, "size": size})
    );
    let names = names_in(&exported);
    let expected = [
        "metadata.yaml",
        "rootfs/",
        "rootfs/etc/",
        "rootfs/etc/one",
        "rootfs/hello",
        "templates/",
        "templates/x.tpl",
    ];
    let slashed = |name: &String| name.trim_end_matches('/').to_owned();
    assert_eq!(
        names.iter().map(slashed).collect::<Vec<_>>(),
        expected.map(|name| name.trim_end_matches('/').to_owned())
    );
    assert!(file_in(&exported, "metadata.yaml").starts_with("# by hand\narchitecture: amd64\n"));
    assert_eq!(file_in(&exported, "rootfs/hello"), "hello\n");
    let image = daemon.image(found);
    for (key, value) in [
        ("properties", json!({"os": "Testix", "note": "5"})),
        ("public", json!(false)),
        ("auto_update", json!(false)),
        ("cached", json!(false)),
        ("filename", json!("")),
        ("architecture", json!("x86_64")),
        ("type", json!("container")),
        ("profiles", json!(["default"])),
        ("aliases", json!([])),
        ("expires_at", json!("2049-03-22T04:26:40Z")),
        ("last_used_at", json!("0001-01-01T00:00:00Z")),
    ] {
        assert_eq!(image[key], value, "{key}");
    }
    assert_ne!(image["created_at"], CREATED);
    assert!(image.get("update_source").is_none());
}

#[test]
fn what_is_asked_for_is_what_the_image_gets() {
    let daemon = with_instance();
    let wish = json!({
        "compression_algorithm": "none", "public": true, "filename": "out.tar",
        "properties": {"a": "b", "empty": ""}, "expires_at": "2045-06-07T08:09:10.5Z",
        "aliases": [{"name": "one", "description": "first"}, {"name": "two"}], "auto_update": true,
    });
    let found = daemon.publish("c1", &wish);
    let image = daemon.image(&found);
    assert_eq!(image["properties"], json!({"a": "b", "empty": ""}));
    assert_eq!(image["expires_at"], "2045-06-07T08:09:10Z");
    assert_eq!(
        (&image["public"], &image["filename"], &image["auto_update"]),
        (&json!(true), &json!("out.tar"), &json!(false))
    );
    let aliases =
        json!([{"name": "one", "description": "first"}, {"name": "two", "description": ""}]);
    assert_eq!(image["aliases"], aliases);
    let exported = daemon.export(&found).files.remove(0);
    let metadata = file_in(&exported, "metadata.yaml");
    assert!(metadata.contains("template: x.tpl"), "{metadata}");
    assert!(
        metadata.contains("a: b") && !metadata.contains("Testix"),
        "{metadata}"
    );
}

#[test]
fn no_properties_are_not_the_same_as_none_given() {
    let daemon = with_instance();
    let found = daemon.publish("c1", &json!({"properties": {}}));
    assert_eq!(daemon.image(&found)["properties"], json!({}));
}

#[test]
fn an_instance_without_metadata_gets_some() {
    let daemon = Lximaged::start();
    daemon.init_empty("c1");
    let exported = daemon.published("c1");
    let metadata = file_in(&exported, "metadata.yaml");
    assert!(metadata.starts_with("architecture: x86_64\n"), "{metadata}");
    let image = &daemon.images("default")[0];
    assert_eq!(image["expires_at"], "0001-01-01T00:00:00Z");
}

#[test]
fn a_snapshot_is_published_as_it_was() {
    let daemon = with_instance();
    daemon.succeeds(&daemon.post("/1.0/instances/c1/snapshots", &json!({"name": "then"})));
    let request = Request::new("POST", "/1.0/instances/c1/files?path=/hello");
    daemon.send(&request.body(b"changed\n")).is_done();
    assert_eq!(
        file_in(&daemon.published("c1/then"), "rootfs/hello"),
        "hello\n"
    );
    assert_eq!(
        file_in(&daemon.published("c1"), "rootfs/hello"),
        "changed\n"
    );
}

#[test]
fn the_same_tree_gives_the_same_image() {
    let daemon = with_instance();
    let found = daemon.publish("c1", &json!({}));
    let again = daemon.fails(&daemon.publish_with("c1", &json!({})));
    assert_eq!(again, format!("The image already exists: {found}"));
    daemon.remove_image(&found);
    assert_eq!(daemon.publish("c1", &json!({})), found);
}

#[test]
fn an_image_that_exists_is_named_all_the_same() {
    let daemon = with_instance();
    let found = daemon.publish("c1", &json!({}));
    let operation =
        daemon.finished(&daemon.publish_with("c1", &json!({"aliases": [{"name": "x"}]})));
    assert_eq!(operation["metadata"]["fingerprint"], found.as_str());
    assert!(operation["metadata"]["size"].is_string());
    assert_eq!(daemon.image(&found)["aliases"], json!([]));
}

/// Each algorithm, what the file is called, and what reads it.
const ALGORITHMS: &[(&str, &str, &[&str])] = &[
    ("none", ".tar", &["cat"]),
    ("gzip", ".tar.gz", &["gzip", "-dc"]),
    ("gzip -9", ".tar.gz", &["gzip", "-dc"]),
    ("pigz", ".tar.gz", &["gzip", "-dc"]),
    ("bzip2", ".tar.bz2", &["bzip2", "-dc"]),
    ("xz -T0 -1", ".tar.xz", &["xz", "-dc"]),
    ("lzma -1", ".tar.lzma", &["xz", "--format=lzma", "-dc"]),
    ("zstd", ".tar.zst", &["zstd", "-dqc"]),
];

#[test]
fn every_way_to_compress_is_read_back() {
    let daemon = with_instance();
    let plain = daemon.published("c1");
    daemon.remove_image(&daemon.publish("c1", &json!({"properties": {}})));
    for (algorithm, suffix, reader) in &ALGORITHMS[1..] {
        let found = daemon.publish("c1", &json!({"compression_algorithm": algorithm}));
        let mut exported = daemon.export(&found);
        let name = exported.answer.header("content-disposition").unwrap();
        assert!(name.ends_with(suffix), "{algorithm}: {name}");
        assert!(
            through(reader, &exported.files.remove(0)) == plain,
            "{algorithm}"
        );
        daemon.init("back", &found);
        daemon.succeeds(&daemon.delete("/1.0/instances/back"));
        daemon.remove_image(&found);
    }
}

#[test]
fn a_squashfs_is_one() {
    let daemon = with_instance();
    let pool = daemon.dir().join("storage-pools/default/containers/c1");
    let with_acl = std::process::Command::new("setfacl")
        .args(["-m", "m::rwx"])
        .arg(pool.join("upper"))
        .status();
    assert!(with_acl.unwrap().success());
    let wish = json!({"compression_algorithm": "squashfs -c gzip"});
    let operation = daemon.succeeds(&daemon.publish_with("c1", &wish));
    let warning = "The image lacks 1 ACLs and other attributes that a squashfs cannot have";
    assert_eq!(operation["metadata"]["warnings"], json!([warning]));
    let found = operation["metadata"]["fingerprint"]
        .as_str()
        .unwrap()
        .to_owned();
    let exported = daemon.export(&found).files.remove(0);
    assert!(exported.starts_with(b"hsqs"));
    daemon.init("back", &found);
    let back = daemon.published("back");
    assert_eq!(file_in(&back, "rootfs/etc/one"), "one\n");
}

#[test]
fn the_project_says_how_to_compress_and_then_the_server() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.init("c1", &found);
    daemon
        .patch(
            "/1.0",
            &json!({"config": {"images.compression_algorithm": "bzip2"}}),
        )
        .is_done();
    let made = daemon.publish("c1", &json!({}));
    assert!(daemon.export(&made).files[0].starts_with(b"BZh"));
    let config = json!({"config": {"images.compression_algorithm": "zstd -1"}});
    daemon.patch("/1.0/projects/default", &config).is_done();
    let made = daemon.publish("c1", &json!({}));
    assert!(daemon.export(&made).files[0].starts_with(b"\x28\xb5\x2f\xfd"));
}

#[test]
fn what_identifies_one_instance_is_warned_of() {
    let daemon = Lximaged::start();
    let image = Tar::new()
        .file("metadata.yaml", images::metadata("a"))
        .directory("rootfs/")
        .directory("rootfs/etc/")
        .file("rootfs/etc/machine-id", "0123456789abcdef\n")
        .directory("rootfs/etc/ssh/")
        .file("rootfs/etc/ssh/ssh_host_ed25519_key", "secret")
        .file("rootfs/etc/ssh/ssh_host_ed25519_key.pub", "public")
        .build();
    let found = daemon.import(&image);
    daemon.init("c1", &found);
    let operation = daemon.succeeds(&daemon.publish_with("c1", &json!({})));
    let warnings = json!([
        "The image has an SSH host key (/etc/ssh/ssh_host_ed25519_key): all instances made from it \
         will share it",
        "The image has a machine id (/etc/machine-id): all instances made from it will share it",
    ]);
    assert_eq!(operation["metadata"]["warnings"], warnings);
    assert!(daemon.log().contains("ssh_host_ed25519_key"));
}

#[test]
fn an_image_made_here_is_as_good_elsewhere() {
    let (one, other) = (with_instance(), Lximaged::start());
    let exported = one.published("c1");
    let found = other.import(&exported);
    other.init("c2", &found);
    // The tree has everything that the archive has, so that it gives the same archive.
    let plain = json!({"compression_algorithm": "none"});
    let text = other.fails(&other.publish_with("c2", &plain));
    assert_eq!(text, format!("The image already exists: {found}"));
}

#[test]
fn a_virtual_machine_is_published_with_its_disk() {
    let daemon = Lximaged::start();
    daemon.allow_machines();
    let found = daemon.import(&images::virtual_machine("vm"));
    let source = json!({"type": "image", "fingerprint": found});
    let body = json!({"name": "v1", "type": "virtual-machine", "source": source});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    let made = daemon.publish("v1", &json!({"compression_algorithm": "none"}));
    assert_eq!(daemon.image(&made)["type"], "virtual-machine");
    let exported = daemon.export(&made).files.remove(0);
    assert_eq!(names_in(&exported), ["metadata.yaml", "rootfs.img"]);
    assert!(through(&["tar", "-xO", "rootfs.img"], &exported).starts_with(b"QFI\xfb"));
}
