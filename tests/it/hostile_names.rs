//! Names from outside that look like paths. None of them is ever one.

use serde_json::json;

use crate::support::{
    Lximaged, Request, fingerprint, images,
    multipart::Multipart,
    strace::Strace,
    tar::{KINDS, Kind, Tar},
};

/// A word in every hostile name; nothing on disk may ever be called so.
const ESCAPE: &str = "lxiescape";

fn names() -> Vec<String> {
    let names = [
        "../@",
        "/tmp/@",
        "a/../../@",
        "..%2f..%2f@",
        "@%00",
        "@/",
        "./@",
        "../../@/..",
        "@/../../../etc/passwd",
        "@\u{fffd}",
    ];
    let mut names: Vec<String> = names.iter().map(|name| name.replace('@', ESCAPE)).collect();
    names.push(format!("{ESCAPE}{}", "x".repeat(300)));
    names
}

/// Does something with each name under strace, and fails when one of them came to name a file.
#[track_caller]
fn never_a_file(act: impl Fn(&Lximaged, &str)) {
    let daemon = Lximaged::start();
    let strace = Strace::of_file_names(&daemon);
    for name in names() {
        act(&daemon, &name);
    }
    let opened = strace.detach();
    let escaped: Vec<_> = opened
        .lines()
        .filter(|line| line.contains(ESCAPE))
        .collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
    daemon.get("/1.0").metadata();
}

fn encoded(name: &str) -> String {
    let digits: Vec<_> = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    digits.concat()
}

#[test]
fn as_a_fingerprint() {
    never_a_file(|daemon, name| {
        for name in [name.replace('\u{fffd}', "x"), encoded(name)] {
            daemon.get(&format!("/1.0/images/{name}"));
            daemon.get(&format!("/1.0/images/{name}/export"));
            daemon.delete(&format!("/1.0/images/{name}"));
        }
    });
}

#[test]
fn as_the_fingerprint_of_an_upload() {
    never_a_file(|daemon, name| {
        let name = name.replace(['\0', '\u{fffd}'], "x");
        let operation =
            daemon.import_with(&images::container("a"), &[("X-LXD-fingerprint", &name)]);
        assert_eq!(operation["status"], "Failure");
        let body = json!({"source": {"mode": "push", "type": "image", "fingerprint": name}});
        daemon.post("/1.0/images", &body);
    });
}

#[test]
fn as_a_file_name() {
    never_a_file(|daemon, name| {
        let packed = images::container(name);
        let header = name.replace('\u{fffd}', "x");
        daemon.import_with(&packed, &[("X-LXD-filename", &header)]);
        let parts = Multipart::new()
            .part("metadata", &header, &images::metadata_tar(name))
            .part("rootfs", &header, b"root");
        daemon.import_parts(&parts);
        let found = fingerprint(&[&packed]);
        assert!(
            daemon
                .export(&found)
                .answer
                .header("content-disposition")
                .is_some_and(|disposition| disposition == format!("inline;filename={found}.tar"),)
        );
    });
}

#[test]
fn as_an_alias() {
    never_a_file(|daemon, name| {
        let found = daemon.import(&images::container(name));
        daemon.post(
            "/1.0/images/aliases",
            &json!({"name": name, "target": found}),
        );
        daemon.get(&format!("/1.0/images/aliases/{}", encoded(name)));
        daemon.post("/1.0/images/aliases", &json!({"name": "x", "target": name}));
    });
}

#[test]
fn as_a_project() {
    never_a_file(|daemon, name| {
        assert_eq!(
            daemon
                .post("/1.0/projects", &json!({"name": format!("{name}/")}))
                .status,
            400
        );
        daemon.get(&format!("/1.0/images?project={}", encoded(name)));
        daemon.get(&format!("/1.0/projects/{}", encoded(name)));
        let path = format!("/1.0/images?project={}", encoded(name));
        let answer = daemon.send(&Request::new("POST", &path).body(images::container("a")));
        assert_eq!(answer.status, 404);
    });
}

#[test]
fn as_a_profile_or_an_operation() {
    never_a_file(|daemon, name| {
        daemon.post("/1.0/profiles", &json!({"name": name}));
        daemon.get(&format!("/1.0/profiles/{}", encoded(name)));
        daemon.get(&format!("/1.0/operations/{}", encoded(name)));
        daemon.delete(&format!("/1.0/operations/{}", encoded(name)));
    });
}

#[test]
fn as_a_pool_or_a_key_of_the_configuration() {
    never_a_file(|daemon, name| {
        daemon.get(&format!("/1.0/storage-pools/{}", encoded(name)));
        daemon.get(&format!("/1.0/networks/{}", encoded(name)));
        daemon.get(&format!("/1.0/certificates/{}", encoded(name)));
        daemon.get(&format!("/1.0/instances/{}", encoded(name)));
        let answer = daemon.put("/1.0", &json!({"config": {name: name}}));
        assert_eq!(answer.status, 400, "{name}");
        let body = json!({"config": {}, "profiles": [name], "properties": {name: name}});
        let found = daemon.import(&images::container(name));
        daemon.patch(&format!("/1.0/images/{found}"), &body);
    });
}

#[test]
fn as_a_secret_or_a_filter() {
    never_a_file(|daemon, name| {
        let found = daemon.import(&images::container(name));
        daemon.get(&format!(
            "/1.0/images/{found}/export?secret={}",
            encoded(name)
        ));
        daemon.get(&format!("/1.0/images?filter={}", encoded(name)));
        let filter = encoded(&format!("properties.{name} eq {name}"));
        daemon.get(&format!("/1.0/images?recursion=1&filter={filter}"));
        let packed = images::container("secret");
        daemon.import_with(&packed, &[("X-LXD-secret", &name.replace('\u{fffd}', "x"))]);
    });
}

#[test]
fn as_a_name_inside_an_image() {
    never_a_file(|daemon, name| {
        let entries = || Tar::new().file("metadata.yaml", images::metadata(name));
        for kind in KINDS {
            let inside = format!("rootfs/{name}");
            for name in [name, inside.as_str()] {
                let (name, target) = (&name[..name.len().min(90)], format!("/tmp/{ESCAPE}"));
                let image = entries().special(kind, name, &target);
                daemon.import_with(&image.clone().directory("rootfs/").build(), &[]);
                let parts = Multipart::split(&image.build(), "rootfs", name.as_bytes());
                daemon.import_parts(&parts);
            }
        }
        let long = entries().extended(&[("path", name), ("linkpath", name)]);
        let long = long
            .special(Kind::SymbolicLink, "x", "x")
            .directory("rootfs/");
        daemon.import_with(&long.build(), &[]);
    });
}

#[test]
fn as_a_template() {
    never_a_file(|daemon, name| {
        let quoted = json!(name);
        let metadata = format!(
            "{}templates:\n  {quoted}:\n    when: [{quoted}]\n    template: {quoted}\n",
            images::metadata("a")
        );
        let found = daemon.import(&images::unified(&metadata));
        daemon.export(&found);
    });
}

#[test]
fn as_a_property_or_an_architecture() {
    never_a_file(|daemon, name| {
        let quoted = json!(name);
        let base = "creation_date: 1577836800\nexpiry_date: 1893456000\n";
        daemon.import(&images::unified(&format!(
            "{base}architecture: x86_64\nproperties: {{{quoted}: {quoted}, os: {quoted}, \
             release: {quoted}, serial: {quoted}, name: {quoted}}}\n"
        )));
        daemon.refuses(&images::unified(&format!("{base}architecture: {quoted}\n")));
        let properties = format!("{}={}", encoded(name), encoded(name));
        let packed = images::container("headers");
        daemon.import_with(&packed, &[("X-LXD-properties", &properties)]);
    });
}

#[test]
fn bytes_that_are_no_text_are_answered() {
    let daemon = Lximaged::start();
    for path in [
        "/1.0/images/%ff",
        "/1.0/images/aliases/%ff%fe",
        "/1.0/projects/%80",
        "/%ff",
    ] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}
