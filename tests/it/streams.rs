//! simplestreams: which images a server's lists offer, and under which names.

use serde_json::{Value, json};

use crate::support::{
    beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    upstream::{
        Act, Page, Site, Upstream,
        streams::{INDEX, PRODUCTS, Tree, file},
    },
};

const SERIAL: &str = "20240101_0000";

/// This machine's architecture as lists and as LXD call it, and one that it does not run.
fn architectures() -> [(&'static str, &'static str); 2] {
    match std::env::consts::ARCH {
        "aarch64" => [("arm64", "aarch64"), ("s390x", "s390x")],
        _ => [("amd64", "x86_64"), ("s390x", "s390x")],
    }
}

#[test]
fn every_type_of_file_makes_the_image_it_should() {
    let site = Site::start();
    let mut tree = Tree::new(&site.upstream);
    let roots = [
        ("squashfs", "squashfs", "container"),
        ("root.squashfs", "squashfs", "container"),
        ("root.tar.xz", "root.tar.xz", "container"),
        ("disk-kvm.img", "disk-kvm.img", "virtual-machine"),
        ("disk.qcow2", "disk-kvm.img", "virtual-machine"),
        ("disk1.img", "disk1.img", "virtual-machine"),
        ("uefi1.img", "uefi1.img", "virtual-machine"),
    ];
    let mut expected = Vec::new();
    for metadata in ["lxd.tar.xz", "incus.tar.xz"] {
        for (root, shown, kind) in roots {
            let known =
                metadata == "lxd.tar.xz" && !["root.squashfs", "disk.qcow2"].contains(&root);
            if !known && !beyond_lxd("Incus's names") {
                continue;
            }
            let key = format!("{metadata}+{root}");
            let files = [images::metadata_tar(&key), images::noise(&key, 3000)];
            let pair = [(metadata, &files[0][..]), (root, &files[1])];
            tree.product(&key, &json!({})).version(&key, SERIAL, &pair);
            expected.push((key, metadata, shown, kind, files.to_vec()));
        }
    }
    for unified in ["lxd_combined.tar.gz", "incus_combined.tar.gz"] {
        if unified.starts_with("lxd") || beyond_lxd("Incus's names") {
            let whole = images::gzip(&images::container(unified));
            tree.product(unified, &json!({}))
                .version(unified, SERIAL, &[(unified, &whole)]);
            let key = unified.to_owned();
            expected.push((key, unified, "tar.gz", "container", vec![whole]));
        }
    }
    tree.publish();
    for (key, filename, root, kind, files) in expected {
        let found = fingerprint_of(&site.pull(&json!({ "alias": key })));
        let image = site.daemon.image(&found);
        assert_eq!(
            [
                &image["type"],
                &image["filename"],
                &image["properties"]["type"]
            ],
            [kind, filename, root],
            "{key}"
        );
        let size: usize = files.iter().map(Vec::len).sum();
        assert_eq!(image["size"], size, "{key}");
        assert_eq!(site.daemon.export(&found).files, files, "{key}");
    }
}

#[test]
fn what_the_lists_say_of_an_image_is_what_it_says_of_itself() {
    let site = Site::start();
    let [(arch, architecture), _] = architectures();
    let mut tree = Tree::new(&site.upstream);
    let about = json!({"aliases": "testix/2,testix/two", "arch": arch, "os": "Testix",
        "release": "two", "release_title": "2.0 Two", "release_codename": "The Second",
        "version": "2.0", "variant": "cloud", "support_eol": "2031-02-03",
        "lxd_requirements": {"secureboot": "false"}, "unheard_of": {"deep": [1, null]}});
    let root = images::rootfs_tar("a");
    let files = [
        ("lxd.tar.xz", &images::metadata_tar("a")[..]),
        ("root.tar.xz", &root),
    ];
    tree.product("x", &about).version("x", SERIAL, &files);
    tree.publish();
    let found = fingerprint_of(&site.pull(&json!({"alias": "testix/two"})));
    let image = site.daemon.image(&found);
    let properties = json!({"architecture": arch, "os": "Testix", "release": "two",
        "release_codename": "The Second", "version": "2.0", "variant": "cloud",
        "requirements.secureboot": "false", "label": "release", "serial": SERIAL,
        "type": "root.tar.xz",
        "description": format!("Testix 2.0 Two {arch} (release) ({SERIAL})")});
    let mut shown = image["properties"].clone();
    if crate::support::against_lxd() {
        // LXD 5.0.2 does not read it.
        shown["release_codename"] = json!("The Second");
    }
    assert_eq!(shown, properties);
    assert_eq!(image["architecture"], architecture);
    assert_eq!(image["created_at"], "2024-01-01T00:00:00Z");
    assert_eq!(image["expires_at"], "2031-02-03T00:00:00Z");
    assert_eq!([&image["public"], &image["cached"]], [false, false]);
    let source = json!({"alias": "testix/two", "certificate": "", "image_type": "",
        "protocol": "simplestreams", "server": site.upstream.url()});
    assert_eq!(image["update_source"], source);

    // Newer servers call them requirements.
    if !beyond_lxd("Incus's names") {
        return;
    }
    tree.product(
        "y",
        &json!({"aliases": "y", "requirements": {"nesting": "true"}}),
    );
    tree.version(
        "y",
        SERIAL,
        &[("lxd_combined.tar.gz", &images::container("y"))],
    );
    tree.publish();
    let found = fingerprint_of(&site.pull(&json!({"alias": "y"})));
    let nesting = &site.daemon.image(&found)["properties"]["requirements.nesting"];
    assert_eq!(nesting, "true");
}

#[test]
fn an_alias_is_the_newest_version_and_older_ones_have_their_fingerprints() {
    let site = Site::start();
    let mut tree = Tree::new(&site.upstream);
    tree.product("a", &json!({}));
    let serials = [
        "20231231_2359",
        "20240102_0000",
        "20240101_9999",
        "latest",
        "20241399",
    ];
    for serial in serials {
        let image = images::container(serial);
        tree.version("a", serial, &[("lxd_combined.tar.gz", &image)]);
    }
    tree.publish();
    let of = |serial: &str| fingerprint(&[&images::container(serial)]);
    let found = fingerprint_of(&site.pull(&json!({"alias": "a"})));
    assert_eq!(found, of("20240102_0000"));
    // One certain image is nothing to look after; the beginning of a fingerprint is a name.
    let (older, oldest) = (of("20240101_9999"), of("20231231_2359"));
    assert_eq!(
        fingerprint_of(&site.pull(&json!({ "fingerprint": older }))),
        older
    );
    assert_eq!(site.daemon.image(&older)["update_source"], Value::Null);
    assert_eq!(
        fingerprint_of(&site.pull(&json!({"fingerprint": oldest[..12]}))),
        oldest
    );
    assert_eq!(
        site.daemon.image(&oldest)["update_source"]["alias"],
        oldest[..12]
    );
    // What is no date is no version.
    for serial in ["latest", "20241399"] {
        let said = refusal(&site.pull(&json!({ "fingerprint": of(serial) })));
        assert!(
            said.contains("The requested image couldn't be found"),
            "{said}"
        );
    }
}

#[test]
fn names_can_be_narrowed_by_architecture_and_type() {
    let site = Site::start();
    let mut tree = Tree::new(&site.upstream);
    let mut made = Vec::new();
    let [(own, _), (foreign, _)] = architectures();
    for arch in [foreign, own] {
        let about = json!({"aliases": "a,b", "arch": arch});
        let metadata = images::metadata_tar(arch);
        let (root, disk) = (images::rootfs_tar(arch), images::noise(arch, 2000));
        let files = [
            ("lxd.tar.xz", &metadata[..]),
            ("root.tar.xz", &root),
            ("disk1.img", &disk),
        ];
        tree.product(arch, &about).version(arch, SERIAL, &files);
        made.push((
            fingerprint(&[&metadata, &root]),
            fingerprint(&[&metadata, &disk]),
        ));
    }
    tree.publish();
    let ask = |alias: &str, kind: &str| {
        fingerprint_of(&site.pull(&json!({"alias": alias, "image_type": kind})))
    };
    let [(foreign_container, foreign_machine), (container, machine)] = &made[..] else {
        panic!("two architectures");
    };
    assert_eq!(&ask("a", "container"), container);
    assert_eq!(&ask("b", "virtual-machine"), machine);
    assert_eq!(&ask(&format!("a/{own}"), "container"), container);
    assert_eq!(
        &ask(&format!("b/{foreign}"), "container"),
        foreign_container
    );
    let kind = "virtual-machine";
    assert_eq!(&ask(&format!("a/{foreign}"), kind), foreign_machine);
    if beyond_lxd("it takes any of both") {
        assert_eq!(&ask("a", ""), container);
    }
}

#[test]
fn who_asks_for_what_is_not_there_is_told_what_is() {
    if !beyond_lxd("it does not say") {
        return;
    }
    let site = Site::start();
    let mut tree = Tree::new(&site.upstream);
    let [(own, architecture), _] = architectures();
    let image = images::container("a");
    for name in ["alpine/3.17", "alpine/3.18", "debian/12"] {
        let about = json!({"aliases": name, "arch": own});
        tree.product(name, &about)
            .version(name, SERIAL, &[("lxd_combined.tar.gz", &image)]);
    }
    tree.publish();
    let said = |more: Value| refusal(&site.pull(&more));
    let missing = "Failed getting remote image info: Failed getting image: \
        The requested image couldn't be found";
    let text = said(json!({"alias": "debain/12"}));
    let near = format!("{missing} (there are: debian/12, debian/12/{own})");
    assert_eq!(text, near);
    let text = said(json!({"alias": "alpine/3.18", "image_type": "virtual-machine"}));
    let there = format!("{missing} (there is: container for {architecture})");
    assert_eq!(text, there);
    assert_eq!(said(json!({"alias": "windows"})), missing);
    assert_eq!(said(json!({"fingerprint": "ffffffffffff"})), missing);
}

#[test]
fn a_beginning_that_several_fingerprints_have_is_told() {
    let site = Site::start();
    let mut tree = Tree::new(&site.upstream);
    // Of seventeen, two begin alike.
    for number in 0..17 {
        let key = format!("image-{number}");
        let image = images::container(&key);
        tree.product(&key, &json!({}))
            .version(&key, SERIAL, &[("lxd_combined.tar.gz", &image)]);
    }
    tree.publish();
    let of = |number: usize| fingerprint(&[&images::container(&format!("image-{number}"))]);
    let mut first: Vec<_> = (0..17).map(|number| of(number)[..1].to_owned()).collect();
    first.sort();
    let twice = first.windows(2).find(|pair| pair[0] == pair[1]).unwrap();
    let said = refusal(&site.pull(&json!({"fingerprint": twice[0]})));
    let expected = "Failed getting remote image info: Failed getting image: \
        More than one match for the provided partial fingerprint";
    assert_eq!(said, expected);
}

#[test]
fn the_server_learns_what_asks() {
    let site = Site::start();
    Tree::new(&site.upstream)
        .product("a", &json!({}))
        .version(
            "a",
            SERIAL,
            &[("lxd_combined.tar.gz", &images::container("a"))],
        )
        .publish();
    fingerprint_of(&site.pull(&json!({"alias": "a"})));
    let seen = site.upstream.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let image = file("a", SERIAL, "lxd_combined.tar.gz");
    assert_eq!(paths, [INDEX, PRODUCTS, &image]);
    for seen in seen {
        let agent = seen.header("user-agent").unwrap();
        assert!(agent.starts_with("LXD 5.0.2 (Linux; "), "{agent}");
        if beyond_lxd("it is no lximaged") {
            let version = env!("CARGO_PKG_VERSION");
            assert!(
                agent.ends_with(&format!(") (dir 1) lximaged/{version}")),
                "{agent}"
            );
            assert_eq!(seen.header("accept-encoding"), Some("identity"));
        }
        assert!(!seen.is_identified);
    }
}

/// Asks for the image `a`, which must fail, and gives the error.
#[track_caller]
fn refused(site: &Site) -> String {
    let said = refusal(&site.pull(&json!({"alias": "a"})));
    let prefix = "Failed getting remote image info: Failed getting image: ";
    let rest = said.strip_prefix(prefix);
    rest.unwrap_or(&said).to_owned()
}

#[test]
fn no_list_leads_anywhere_else() {
    if !beyond_lxd("it goes") {
        return;
    }
    let site = Site::start();
    let elsewhere = Upstream::start();
    let outside = format!(
        "The image server {}/ lists a file outside of it",
        site.upstream.url()
    );
    let image = images::container("a");
    let tricks = [
        format!("{}/x", elsewhere.url()),
        format!("//{}/x", elsewhere.address()),
        "../x".to_owned(),
        "/../../x".to_owned(),
        "images/../../x".to_owned(),
        "images/%2e%2e/%2E%2E/x".to_owned(),
        "images/..%2fx".to_owned(),
        "./x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "..\\x".to_owned(),
        "/".to_owned(),
    ];
    for trick in tricks {
        let mut tree = Tree::new(&site.upstream);
        tree.product("a", &json!({}))
            .version("a", SERIAL, &[("lxd_combined.tar.gz", &image)]);
        tree.item("a", SERIAL, "lxd_combined.tar.gz")["path"] = json!(trick);
        tree.publish();
        assert_eq!(refused(&site), outside, "{trick}");
        tree.entry["path"] = json!(trick);
        tree.publish();
        let text = format!("Failed parsing products: {outside}");
        assert_eq!(refused(&site), text, "{trick}");
    }
    assert_eq!(elsewhere.accepted(), 0);
    let asked: Vec<_> = site.upstream.seen().into_iter().collect();
    let known = |path: &str| [INDEX, PRODUCTS].contains(&path);
    assert!(asked.iter().all(|seen| known(&seen.path)), "{asked:?}");
    // One that begins at the root is below the server all the same.
    let mut tree = Tree::new(&site.upstream);
    tree.product("a", &json!({}))
        .version("a", SERIAL, &[("lxd_combined.tar.gz", &image)]);
    let path = file("a", SERIAL, "lxd_combined.tar.gz");
    tree.item("a", SERIAL, "lxd_combined.tar.gz")["path"] = json!(path);
    tree.publish();
    fingerprint_of(&site.pull(&json!({"alias": "a"})));
}

#[test]
fn lists_are_bounded_and_stay_out_of_errors() {
    if !beyond_lxd("it reads all of it, and shows it") {
        return;
    }
    let site = Site::start();
    let url = format!("{}{INDEX}", site.upstream.url());
    site.upstream.page(INDEX, Page::bare("{"));
    site.upstream.act_times(INDEX, Act::Endless, 1);
    let text =
        format!("Failed parsing stream: Get \"{url}\": the answer is longer than 16777216 bytes");
    assert_eq!(refused(&site), text);
    site.upstream
        .page(INDEX, Page::bare("[{\"password\": \"hunter2\"}]"));
    let said = refused(&site);
    let text = format!("Failed parsing stream: Failed decoding stream JSON from \"{url}\": ");
    let rest = said.strip_prefix(&text).unwrap();
    assert!(rest.starts_with("not what it should be at line 1 column ") && rest.len() < 50);
    site.upstream.page(INDEX, Page::status(404));
    let text = format!("Failed parsing stream: Unable to fetch {url}: 404 Not Found");
    assert_eq!(refused(&site), text);
    // Nested too deep.
    let deep = format!("{{\"index\": {}", "[".repeat(1 << 20));
    site.upstream.page(INDEX, Page::bare(deep));
    assert!(refused(&site).contains("not what it should be"));
    assert!(site.daemon.names("cache").is_empty());
}

#[test]
fn entries_that_make_no_sense_hide_no_others() {
    if !beyond_lxd("it takes what it gets") {
        return;
    }
    let site = Site::start();
    let mut tree = Tree::new(&site.upstream);
    let image = images::container("a");
    let whole = [("lxd_combined.tar.gz", &image[..])];
    for key in [
        "a",
        "unknown-arch",
        "short",
        "upper",
        "path",
        "negative",
        "nothing",
    ] {
        tree.product(key, &json!({})).version(key, SERIAL, &whole);
    }
    tree.products["products"]["unknown-arch"]["arch"] = json!("pdp11");
    let ftype = "lxd_combined.tar.gz";
    let found = fingerprint(&[&image]);
    tree.item("short", SERIAL, ftype)["sha256"] = json!(found[..63]);
    tree.item("upper", SERIAL, ftype)["sha256"] = json!(found.to_uppercase());
    tree.item("path", SERIAL, ftype)["sha256"] = json!(format!("../{}", &found[3..]));
    tree.item("negative", SERIAL, ftype)["size"] = json!(-1);
    tree.products["products"]["nothing"] = Value::Null;
    tree.publish();
    for key in [
        "unknown-arch",
        "short",
        "upper",
        "path",
        "negative",
        "nothing",
    ] {
        let said = refusal(&site.pull(&json!({ "alias": key })));
        assert!(said.contains("couldn't be found"), "{key}: {said}");
    }
    assert_eq!(fingerprint_of(&site.pull(&json!({"alias": "a"}))), found);
}
