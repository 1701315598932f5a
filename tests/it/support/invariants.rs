//! What holds of every daemon whenever nothing is under way, whatever the test was about.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use super::{Lximaged, against_lxd, fingerprint, soon};

/// Every invariant that does not hold, in words.
pub(crate) fn broken(daemon: &Lximaged) -> Vec<String> {
    let rows = rows(daemon);
    let mut broken: Vec<String> = rows
        .iter()
        .filter_map(|(row, size)| damage(daemon, row, *size))
        .collect();
    broken.extend(missing_targets(daemon));
    if against_lxd() {
        // LXD 5.0.2 leaves the files of failed imports until the next start.
        return broken;
    }
    if !soon(Duration::from_secs(5), || {
        daemon.names("staging").is_empty()
    }) {
        broken.push(format!("left in staging: {:?}", daemon.names("staging")));
    }
    broken.extend(lost_trees(daemon));
    let strays = daemon
        .names("images")
        .into_iter()
        .filter(|name| !rows.contains_key(stem(name)));
    broken.extend(strays.map(|name| format!("images/{name} has no row")));
    broken
}

/// Instances without a tree, trees without an instance, and what is half done.
fn lost_trees(daemon: &Lximaged) -> Vec<String> {
    let mut broken = Vec::new();
    let pools = daemon
        .get("/1.0/storage-pools?recursion=1")
        .metadata()
        .clone();
    let volumes = |pool: &str| {
        let path = format!("/1.0/storage-pools/{pool}/volumes?recursion=1&all-projects=true");
        daemon.get(&path).metadata().as_array().unwrap().clone()
    };
    for pool in pools.as_array().unwrap() {
        let source = PathBuf::from(text(&pool["config"]["source"]));
        let rows: BTreeSet<String> = volumes(&text(&pool["name"])).iter().map(place).collect();
        let trees = TREES.iter().flat_map(|(directory, depth)| {
            let found = below(&source.join(directory), *depth);
            found
                .into_iter()
                .map(move |name| format!("{directory}/{name}"))
        });
        let trees: BTreeSet<String> = trees.collect();
        let name = &pool["name"];
        broken.extend(
            rows.difference(&trees)
                .map(|row| format!("{name}: no tree {row}")),
        );
        broken.extend(
            trees
                .difference(&rows)
                .map(|tree| format!("{name}: no row for {tree}")),
        );
        let left = below(&source.join(".staging"), 1);
        broken.extend(
            left.into_iter()
                .map(|left| format!("{name}: left in .staging: {left}")),
        );
    }
    broken
}

/// Where trees are in a pool, and how deep.
const TREES: &[(&str, usize)] = &[
    ("containers", 1),
    ("virtual-machines", 1),
    ("containers-snapshots", 2),
    ("virtual-machines-snapshots", 2),
];

/// Where the tree of a volume is.
fn place(volume: &Value) -> String {
    let (name, project) = (text(&volume["name"]), text(&volume["project"]));
    let kind = text(&volume["type"]);
    let prefix = match project.as_str() {
        "default" => String::new(),
        project => format!("{project}_"),
    };
    let snapshots = if name.contains('/') { "-snapshots" } else { "" };
    format!("{kind}s{snapshots}/{prefix}{name}")
}

/// The names at a depth below a directory, joined by slashes.
fn below(directory: &Path, depth: usize) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    if depth == 1 {
        return names.collect();
    }
    let inside = names.flat_map(|name| {
        let found = below(&directory.join(&name), depth - 1);
        found
            .into_iter()
            .map(move |inner| format!("{name}/{inner}"))
    });
    inside.collect()
}

/// Error lines in a log that no expected text explains.
pub(crate) fn unexpected_errors(log: &str, expected: &[String]) -> Vec<String> {
    log.lines()
        .filter(|line| is_error(line))
        .filter(|line| !expected.iter().any(|text| line.contains(text.as_str())))
        .map(|line| format!("unexpected in the log: {line}"))
        .collect()
}

fn is_error(line: &str) -> bool {
    let panicked = line.contains("panicked at");
    panicked || (!against_lxd() && (line.contains("ERROR") || line.contains("level=error")))
}

/// The fingerprints of all projects' images, with their sizes.
fn rows(daemon: &Lximaged) -> BTreeMap<String, u64> {
    let images = projects(daemon)
        .into_iter()
        .flat_map(|project| daemon.images(&project));
    images
        .map(|image| (text(&image["fingerprint"]), image["size"].as_u64().unwrap()))
        .collect()
}

fn projects(daemon: &Lximaged) -> Vec<String> {
    let projects = daemon.get("/1.0/projects?recursion=1").metadata().clone();
    projects
        .as_array()
        .unwrap()
        .iter()
        .map(|project| text(&project["name"]))
        .collect()
}

/// What is wrong with the files of an image.
fn damage(daemon: &Lximaged, row: &str, size: u64) -> Option<String> {
    let images = daemon.dir().join("images");
    let Ok(image) = fs::read(images.join(row)) else {
        return Some(format!("image {row} has no file"));
    };
    let rootfs = fs::read(images.join(format!("{row}.rootfs"))).unwrap_or_default();
    if fingerprint(&[&image, &rootfs]) != row {
        return Some(format!("the files of image {row} have another fingerprint"));
    }
    let found = (image.len() + rootfs.len()) as u64;
    (found != size).then(|| format!("image {row}: {size} bytes in its row, {found} on disk"))
}

/// Aliases that point to no image.
fn missing_targets(daemon: &Lximaged) -> Vec<String> {
    let mut broken = Vec::new();
    for project in projects(daemon) {
        let here = daemon.images(&project);
        let here: BTreeSet<String> = here
            .iter()
            .map(|image| text(&image["fingerprint"]))
            .collect();
        let aliases = daemon.get(&format!(
            "/1.0/images/aliases?recursion=1&project={project}"
        ));
        let aliases = aliases.metadata().as_array().unwrap().clone();
        let lost = aliases
            .iter()
            .filter(|alias| !here.contains(&text(&alias["target"])));
        broken.extend(lost.map(|alias| format!("an alias to no image: {alias}")));
    }
    broken
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn stem(name: &str) -> &str {
    name.strip_suffix(".rootfs").unwrap_or(name)
}
