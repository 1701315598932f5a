//! The architecture, held to: who may import whom, and who alone does what.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::sources::{Parts, rust_files};

/// The rooms by layer, lowest first. Rooms of one line are of one height.
const LAYERS: &[&[&str]] = &[
    &[
        "error",
        "clock",
        "config",
        "api",
        "image",
        "multipart",
        "template",
    ],
    &["tasks"],
    &["db", "store", "remote", "pool", "runtime"],
    &["operations"],
    &["access"],
    &["settings"],
    &["trust"],
    &["images"],
    &["instances"],
    &["jobs"],
    &["http", "web"],
    &["daemon", "cli"],
];

/// Rooms that `http` and `web` never reach into, although they stand lower.
const BEHIND_SERVICES: &[&str] = &["db", "store", "remote", "pool", "runtime"];

/// Rooms of one height that know each other all the same: values know values, and the command
/// line starts the daemon.
const NEIGHBOURS: &[&str] = &[
    "error",
    "clock",
    "config",
    "api",
    "image",
    "multipart",
    "template",
    "daemon",
    "cli",
];

/// What only some rooms may write, and why.
const RESERVED: &[(&[&str], &[&str], &str)] = &[
    (&["sqlx::"], &["db"], "only db speaks SQL"),
    (
        &[
            "tokio::spawn",
            "task::spawn(",
            "thread::spawn",
            "spawn_blocking",
            "Handle::current",
        ],
        &["tasks"],
        "only tasks spawns, so that shutdown waits for it",
    ),
    (
        &["axum::"],
        &["http", "web", "daemon"],
        "only http knows axum",
    ),
    (
        &[
            "fs::rename(",
            "renameat",
            "remove_file",
            "unlinkat",
            "remove_dir_all",
        ],
        &["store", "pool", "runtime"],
        "only store renames and unlinks image files, and only runtime those of runs",
    ),
];

/// Files that may do what is reserved to another room, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "src/http/files/body.rs",
        "task::spawn",
        "a read ahead of the connection that waits for it",
    ),
    (
        "src/http/files/body.rs",
        "spawn_blocking",
        "a read ahead of the connection that waits for it",
    ),
    (
        "src/remote/simplestreams/cache.rs",
        "fs::rename(",
        "a kept list of images is no image file",
    ),
    (
        "src/remote/simplestreams/cache.rs",
        "remove_file",
        "a kept list of images is no image file",
    ),
    (
        "src/daemon/socket.rs",
        "remove_file",
        "a stale socket is no image file",
    ),
];

/// How SQL looks in a string.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
];

struct File {
    path: String,
    room: String,
    parts: Parts,
}

/// Unit tests may reach anywhere.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Every source file but the crate's roots and unit tests.
fn files() -> Vec<File> {
    let sources = rust_files("src").into_iter();
    sources
        .filter(|source| {
            source.path != "src/lib.rs" && source.path != "src/main.rs" && !is_test(&source.path)
        })
        .map(|source| {
            let inside = source.path.trim_start_matches("src/");
            let room = inside.split(['/', '.']).next().unwrap().to_owned();
            File {
                room,
                parts: source.parts(),
                path: source.path,
            }
        })
        .collect()
}

fn height(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a file names after `crate::`, in paths and in groups.
fn imports(code: &str) -> BTreeSet<String> {
    code.split("crate::")
        .skip(1)
        .flat_map(first_names)
        .collect()
}

fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut depth = 0;
    let mut names = vec![name(group)];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

fn may_import(from: &str, to: &str) -> bool {
    let (Some(here), Some(there)) = (height(from), height(to)) else {
        return false;
    };
    let skips_services = matches!(from, "http" | "web") && BEHIND_SERVICES.contains(&to);
    let level = here == there && NEIGHBOURS.contains(&from) && NEIGHBOURS.contains(&to);
    from == to || ((there < here || level) && !skips_services)
}

#[test]
fn every_room_has_its_place() {
    let strangers: Vec<_> = files()
        .into_iter()
        .filter(|file| height(&file.room).is_none())
        .collect();
    let paths: Vec<_> = strangers.iter().map(|file| &file.path).collect();
    assert!(paths.is_empty(), "rooms without a layer: {paths:?}");
}

#[test]
fn imports_go_down() {
    let mut broken = Vec::new();
    for file in files() {
        for import in imports(&file.parts.code) {
            // A name that is no room is the crate's own function or macro.
            if height(&import).is_some() && !may_import(&file.room, &import) {
                broken.push(format!(
                    "{}: {} must not import {import}",
                    file.path, file.room
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_two_rooms_import_each_other() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files() {
        let imports = imports(&file.parts.code).into_iter();
        let others = imports.filter(|room| *room != file.room && height(room).is_some());
        graph.entry(file.room.clone()).or_default().extend(others);
    }
    while let Some(leaf) = graph.keys().find(|room| graph[*room].is_empty()).cloned() {
        graph.remove(&leaf);
        for imports in graph.values_mut() {
            imports.remove(&leaf);
        }
    }
    graph.retain(|_, imports| !imports.is_empty());
    let rooms: BTreeSet<_> = graph.keys().cloned().collect();
    for imports in graph.values_mut() {
        imports.retain(|room| rooms.contains(room));
    }
    assert!(graph.is_empty(), "these import each other: {graph:#?}");
}

#[test]
fn only_db_contains_sql() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.room != "db") {
        let strings = file.parts.strings.iter();
        let found = strings.filter(|text| SQL.iter().any(|word| text.contains(word)));
        broken.extend(found.map(|text| format!("{}: {text:?}", file.path)));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_is_reserved_to_a_room_is_done_there_only() {
    let mut broken = Vec::new();
    for file in files() {
        for (words, rooms, why) in RESERVED {
            let excused = |word: &str| {
                EXCEPTIONS
                    .iter()
                    .any(|(path, what, _)| *path == file.path && *what == word)
            };
            let found = words.iter().filter(|word| file.parts.code.contains(**word));
            for word in found.filter(|word| !rooms.contains(&file.room.as_str()) && !excused(word))
            {
                broken.push(format!("{}: {word} ({why})", file.path));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn exceptions_are_still_needed() {
    let files = files();
    let needed = |path: &str, word: &str| {
        files
            .iter()
            .any(|file| file.path == path && file.parts.code.contains(word))
    };
    let idle: Vec<_> = EXCEPTIONS
        .iter()
        .filter(|(path, word, _)| !needed(path, word))
        .collect();
    assert!(idle.is_empty(), "{idle:#?}");
}
