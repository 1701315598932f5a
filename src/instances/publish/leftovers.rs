//! What identifies one instance and would identify all that are made from its image.

use crate::pool::{Content, Root};

/// Files that should be empty or absent, and what they are.
const FILES: &[(&str, &str)] = &[
    ("/etc/machine-id", "a machine id"),
    ("/var/lib/dbus/machine-id", "a machine id"),
    ("/var/lib/systemd/random-seed", "a random seed"),
    ("/root/.bash_history", "a shell history"),
];

/// What systemd takes for an empty machine id.
const UNINITIALIZED: u64 = "uninitialized\n".len() as u64;

/// Directories that should have nothing in them, and what it is.
const DIRECTORIES: &[(&str, &str)] = &[("/var/lib/cloud/instances", "cloud-init's state")];

/// How many are told of a kind.
const MOST: usize = 10;

/// What is left in a root file system, one sentence for each. What cannot be looked at is not.
pub(super) fn find(root: &Root) -> Vec<String> {
    let keys = names(root, "/etc/ssh").into_iter();
    let keys = keys.filter(|name| name.starts_with("ssh_host_") && name.ends_with("_key"));
    let keys = keys.map(|name| ("an SSH host key", format!("/etc/ssh/{name}")));
    let files = FILES.iter().filter(|(path, _)| has_content(root, path));
    let files = files.map(|(path, what)| (*what, (*path).to_owned()));
    let directories = DIRECTORIES.iter();
    let directories = directories.filter(|(path, _)| !names(root, path).is_empty());
    let directories = directories.map(|(path, what)| (*what, (*path).to_owned()));
    keys.take(MOST)
        .chain(files)
        .chain(directories)
        .map(|(what, path)| {
            format!("The image has {what} ({path}): all instances made from it will share it")
        })
        .collect()
}

fn names(root: &Root, path: &str) -> Vec<String> {
    match root.read(path) {
        Ok((_, Content::Directory(names))) => names,
        _ => Vec::new(),
    }
}

fn has_content(root: &Root, path: &str) -> bool {
    let Ok((_, Content::File(file))) = root.read(path) else {
        return false;
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    length > 0 && !(path.ends_with("/machine-id") && length == UNINITIALIZED)
}
