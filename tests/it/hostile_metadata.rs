//! A `metadata.yaml` made to do harm: too long, too deep, a bomb, or with the wrong thing in every
//! place. The daemon refuses it at once, or takes it for what it is.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::support::{
    Lximaged, beyond_lxd, image_api::refusal, images, multipart::Multipart, tar::Tar,
};

/// The most memory it may take to refuse one, in KiB.
const MAX_GROWTH_KIB: u64 = 32 * 1024;

/// Uploads it unified and split; both must be refused soon, without much memory.
#[track_caller]
fn refused(metadata: &str) -> Vec<String> {
    let daemon = Lximaged::start();
    let (unified, split) = (
        images::unified(metadata),
        Tar::new().file("metadata.yaml", metadata).build(),
    );
    // What the upload itself takes is taken already.
    daemon.refuses(&vec![b'x'; unified.len()]);
    let before = daemon.peak_memory_kib();
    let began = Instant::now();
    let said = daemon.refuses(&unified);
    let parts = Multipart::split(&split, "rootfs", b"root");
    let said = vec![said, refusal(&daemon.import_parts(&parts))];
    let took = began.elapsed();
    // A bomb takes hours.
    assert!(took < Duration::from_mins(1), "{took:?} for two");
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
    assert!(daemon.images("default").is_empty());
    said
}

#[test]
fn a_megabyte_is_taken_and_a_byte_more_is_not() {
    if !beyond_lxd("it reads all of it") {
        return;
    }
    let filled = |size: usize| {
        let metadata = format!("{}# ", images::metadata("a"));
        let filler = "x".repeat(size - metadata.len());
        metadata + &filler
    };
    let daemon = Lximaged::start();
    daemon.import(&images::unified(&filled(1 << 20)));
    for said in refused(&filled((1 << 20) + 1)) {
        assert_eq!(said, "metadata.yaml is larger than 1048576 bytes");
    }
}

#[test]
fn a_bomb_of_aliases_is_refused_quickly() {
    if !beyond_lxd("it takes seconds") {
        return;
    }
    let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push(format!("a{level}: &a{level} [{aliases}]"));
    }
    bomb.push("properties: *a11".to_owned());
    refused(&bomb.join("\n"));

    let wide = format!(
        "a: &a {{k: v}}\nproperties:\n{}",
        "  <<: *a\n".repeat(900 * 1024 / 9)
    );
    refused(&wide);
    let many = format!("a: &a [x]\nproperties: [{}]", "*a,".repeat(300 * 1024));
    refused(&many);
}

#[test]
fn deep_nesting_is_refused_quickly() {
    if !beyond_lxd("it recurses as deep as it takes") {
        return;
    }
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("? ", ""), ("- ", "")] {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        refused(&format!("properties:\n {open}{close}\n"));
        refused(&format!("{open}{close}\n"));
    }
}

/// The places in the file, and an honest value of each.
const PLACES: &[(&str, &str)] = &[
    ("architecture", "x86_64"),
    ("creation_date", "1577836800"),
    ("expiry_date", "1893456000"),
    ("properties", "{os: Testix}"),
    ("property", "Testix"),
    ("property key", "os"),
    ("templates", "{/a: {when: [create], template: a.tpl}}"),
    ("template", "{when: [create], template: a.tpl}"),
    ("template path", "/etc/hostname"),
    ("when", "[create, copy]"),
    ("create_only", "true"),
    ("file", "a.tpl"),
    ("template properties", "{x: y}"),
    ("template property", "y"),
    ("unknown", "x"),
];

/// What else may stand there.
const VALUES: &[&str] = &[
    "null",
    "~",
    "",
    "[]",
    "[null]",
    "{}",
    "{a: b}",
    "-1",
    "0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "\"\"",
    "1e400",
    ".nan",
    "true",
    "2020-01-01",
    "!!binary aGk=",
    "!!binary x",
    "!!int x",
    "!unknown x",
    "[[[[]]]]",
    "{? {} : []}",
    "\"\\0\"",
    "\"\\x1b[31m\\n\\r\"",
    "*x",
    "&x x",
    "<<",
    "../../../etc/passwd",
];

/// The file with these places changed.
fn metadata(changes: &[(&str, &str)]) -> String {
    let value = |place: &str| {
        let changed = changes.iter().find(|(changed, _)| *changed == place);
        let honest = PLACES.iter().find(|(honest, _)| *honest == place);
        changed.or(honest).unwrap().1
    };
    let whole = |place: &str| changes.iter().any(|(changed, _)| *changed == place);
    let mut lines = Vec::new();
    for key in ["architecture", "creation_date", "expiry_date", "unknown"] {
        lines.push(format!("{key}: {}", value(key)));
    }
    if whole("properties") {
        lines.push(format!("properties: {}", value("properties")));
    } else {
        lines.push(format!(
            "properties:\n  ? {}\n  : {}",
            value("property key"),
            value("property")
        ));
    }
    if whole("templates") {
        lines.push(format!("templates: {}", value("templates")));
    } else if whole("template") {
        lines.push(format!("templates:\n  /a: {}", value("template")));
    } else {
        lines.push(format!("templates:\n  ? {}\n  :", value("template path")));
        for (key, place) in [
            ("when", "when"),
            ("create_only", "create_only"),
            ("template", "file"),
        ] {
            lines.push(format!("    {key}: {}", value(place)));
        }
        if whole("template properties") {
            lines.push(format!("    properties: {}", value("template properties")));
        } else {
            lines.push(format!(
                "    properties:\n      x: {}",
                value("template property")
            ));
        }
    }
    lines.join("\n") + "\n"
}

/// Imports it and removes it again; everything is answered, one way or the other.
fn answered(daemon: &Lximaged, metadata: &str) {
    let image = Tar::new().file("metadata.yaml", metadata);
    let image = image.directory("rootfs/").file("rootfs/x", metadata);
    let operation = daemon.import_with(&image.build(), &[]);
    if operation["status"] == "Success" {
        let found = crate::support::image_api::fingerprint_of(&operation);
        daemon.image(&found);
        daemon.remove_image(&found);
    } else {
        assert_ne!(refusal(&operation), "", "{metadata}");
    }
}

#[test]
fn any_value_in_any_place_is_taken_or_refused_and_the_daemon_goes_on() {
    if !beyond_lxd("it keeps dates that break every list") {
        return;
    }
    let mut daemon = Lximaged::start();
    let pid = daemon.pid();
    answered(&daemon, &metadata(&[]));
    for (place, _) in PLACES {
        for value in VALUES {
            answered(&daemon, &metadata(&[(place, value)]));
        }
    }
    let whole = [
        "null",
        "[]",
        "{}",
        "-1",
        "9223372036854775808",
        "\"\"",
        "- a",
        "--- a\n--- b",
    ];
    for document in whole {
        answered(&daemon, document);
    }
    assert!(daemon.is_running() && daemon.pid() == pid);
    assert!(daemon.images("default").is_empty());
}

#[test]
fn no_pair_of_wrong_values_stops_the_daemon() {
    if !beyond_lxd("it keeps dates that break every list") {
        return;
    }
    let mut daemon = Lximaged::start();
    let pid = daemon.pid();
    let values = ["null", "[]", "{}", "-1", "9223372036854775808", "\"\""];
    let mut pairs = Vec::new();
    for (index, (first, _)) in PLACES.iter().enumerate() {
        for (second, _) in &PLACES[index + 1..] {
            let changes = |a, b| metadata(&[(*first, a), (*second, b)]);
            pairs.extend(values.iter().flat_map(|a| values.map(|b| changes(*a, b))));
        }
    }
    assert!(pairs.len() > 2_000, "{}", pairs.len());
    // With the values one at a time, more than two thousand go through the daemon.
    let pairs: Vec<_> = pairs
        .iter()
        .enumerate()
        .filter(|(i, _)| i % 7 < 3)
        .collect();
    thread::scope(|scope| {
        for part in pairs.chunks(pairs.len().div_ceil(4)) {
            let daemon = &daemon;
            scope.spawn(move || part.iter().for_each(|(_, pair)| answered(daemon, pair)));
        }
    });
    assert!(daemon.is_running() && daemon.pid() == pid);
}

/// What is written into the daemon's log by an image is one line of text.
#[test]
fn nothing_in_metadata_forges_a_line_of_the_log() {
    let daemon = Lximaged::start();
    for place in [
        "architecture",
        "creation_date",
        "property",
        "property key",
        "file",
    ] {
        let value = "\"x\\n2026-01-01 WARN lxiforged \\x1b[31m\\u2028\\r\"";
        answered(&daemon, &metadata(&[(place, value)]));
    }
    let log = daemon.log();
    assert!(
        !log.lines().any(|line| line.starts_with("2026-01-01 WARN")),
        "{log}"
    );
    assert!(
        !fs::read(daemon.home().join("log"))
            .unwrap()
            .contains(&b'\r')
    );
}
