//! Root files that are made out of older ones, where the server has the difference.

use std::{fs, os::unix::fs::symlink, process::Command};

use serde_json::json;

use crate::support::{
    Options, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    upstream::{
        Page, Site,
        streams::{Tree, file},
    },
};

const OLD: &str = "20240101_0000";
const NEW: &str = "20240102_0000";
const DELTA: &str = "squashfs.vcdiff";

/// Two versions of an image, whose roots have most in common.
struct Versions {
    metadata: [Vec<u8>; 2],
    roots: [Vec<u8>; 2],
    delta: Vec<u8>,
}

impl Versions {
    fn new() -> Self {
        let mut newer = images::noise("root", 300_000);
        newer.splice(1000..1100, *b"something else");
        let roots = [images::noise("root", 300_000), newer];
        Self {
            metadata: [images::metadata_tar("old"), images::metadata_tar("new")],
            delta: difference(&roots[0], &roots[1]),
            roots,
        }
    }

    fn fingerprint(&self, version: usize) -> String {
        fingerprint(&[&self.metadata[version], &self.roots[version]])
    }

    /// Puts both up, with this as what lies between them.
    fn publish(&self, site: &Site, delta: &[u8]) {
        let mut tree = Tree::new(&site.upstream);
        tree.product("a", &json!({}));
        for (version, serial) in [OLD, NEW].into_iter().enumerate() {
            let mut files = vec![
                ("lxd.tar.xz", &self.metadata[version][..]),
                ("squashfs", &self.roots[version]),
            ];
            if serial == NEW {
                files.push((DELTA, delta));
            }
            tree.version("a", serial, &files);
        }
        tree.item("a", NEW, DELTA)["delta_base"] = json!(OLD);
        tree.publish();
    }
}

fn difference(old: &[u8], new: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("old"), old).unwrap();
    fs::write(path("new"), new).unwrap();
    let made = Command::new("xdelta3")
        .args(["-e", "-s", "old", "new", "delta"])
        .current_dir(&directory)
        .status()
        .expect("this test needs xdelta3");
    assert!(made.success());
    fs::read(path("delta")).unwrap()
}

/// Has the daemon fetch the older version, then the newer one, and tells how often the server was
/// asked for the whole root and for the delta of the newer one.
fn upgrade(site: &Site, versions: &Versions) -> (usize, usize) {
    let older = versions.fingerprint(0);
    let operation = site.pull(&json!({ "fingerprint": older }));
    assert_eq!(fingerprint_of(&operation), older);
    let newer = fingerprint_of(&site.pull(&json!({"alias": "a"})));
    assert_eq!(newer, versions.fingerprint(1));
    let files = [versions.metadata[1].clone(), versions.roots[1].clone()];
    assert_eq!(site.daemon.export(&newer).files, files);
    let asked = |ftype| site.upstream.seen_at(&file("a", NEW, ftype)).len();
    let asked = (asked("squashfs"), asked(DELTA));
    site.upstream.forget();
    for found in [older, newer] {
        site.daemon.remove_image(&found);
    }
    asked
}

#[test]
fn a_newer_root_is_made_of_the_older_one_and_the_difference() {
    let versions = Versions::new();
    assert!(versions.delta.len() < versions.roots[1].len() / 10);
    let site = Site::start();
    versions.publish(&site, &versions.delta);
    assert_eq!(upgrade(&site, &versions), (0, 1));
}

#[test]
fn a_difference_that_makes_something_else_is_no_harm() {
    if !beyond_lxd("it fails") {
        return;
    }
    let (site, versions) = (Site::start(), Versions::new());
    let mut flipped = versions.delta.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 0x55;
    let longer = [&versions.roots[1][..], b"and more"].concat();
    let other = images::noise("other", 300_000);
    for damaged in [
        flipped,
        b"no difference at all".to_vec(),
        difference(&versions.roots[0], &longer),
        difference(&versions.roots[0], &other),
        versions.delta[..20].to_vec(),
    ] {
        versions.publish(&site, &damaged);
        assert_eq!(upgrade(&site, &versions), (1, 1));
    }
    // It is listed, and not there.
    versions.publish(&site, &versions.delta);
    site.upstream
        .page(&file("a", NEW, DELTA), Page::status(404));
    assert_eq!(upgrade(&site, &versions).0, 1);
}

#[test]
fn without_the_older_image_the_whole_file_is_fetched() {
    let versions = Versions::new();
    let site = Site::start();
    versions.publish(&site, &versions.delta);
    let newer = fingerprint_of(&site.pull(&json!({"alias": "a"})));
    assert_eq!(newer, versions.fingerprint(1));
    assert!(site.upstream.seen_at(&file("a", NEW, DELTA)).is_empty());
}

#[test]
fn what_fails_without_a_difference_is_downloaded_once() {
    if !beyond_lxd("it fetches no deltas") {
        return;
    }
    let versions = Versions::new();
    let site = Site::start();
    versions.publish(&site, &versions.delta);
    let root = file("a", NEW, "squashfs");
    let other = images::noise("other", versions.roots[1].len());
    site.upstream.page(&root, Page::file(&other));
    let said = refusal(&site.pull(&json!({"alias": "a"})));
    assert!(said.contains("Hash mismatch"), "{said}");
    assert_eq!(site.upstream.seen_at(&root).len(), 1);
}

#[test]
fn without_the_program_the_whole_file_is_fetched() {
    if !beyond_lxd("it needs more programs than that") {
        return;
    }
    let versions = Versions::new();
    // A directory of programs without xdelta3.
    let programs = tempfile::tempdir().unwrap();
    symlink("/usr/bin/env", programs.path().join("env")).unwrap();
    let path = programs.path().to_str().unwrap();
    let site = Site::with(Options::default().env("PATH", path));
    versions.publish(&site, &versions.delta);
    assert_eq!(upgrade(&site, &versions), (1, 0));
}
