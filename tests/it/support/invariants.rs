//! What holds of every daemon whenever nothing is under way, whatever the test was about.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
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
    let strays = daemon
        .names("images")
        .into_iter()
        .filter(|name| !rows.contains_key(stem(name)));
    broken.extend(strays.map(|name| format!("images/{name} has no row")));
    broken
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
