//! Entries that are not what they seem: links, devices, second ones, two sizes, two names. Each is
//! tried in images of both types, unified and split; nothing is stored, and the daemon goes on.

use crate::support::{
    Lximaged, beyond_lxd,
    image_api::refusal,
    images,
    multipart::Multipart,
    packed::packed,
    tar::{KINDS, Kind, Tar, record},
};

/// Uploads what must be refused in every way an image can be made of these entries, and gives
/// what was said.
#[track_caller]
fn refused_by(daemon: &Lximaged, entries: &Tar) -> Vec<String> {
    let container = entries.clone().directory("rootfs/").build();
    let machine = entries.clone().file("rootfs.img", images::qcow2()).build();
    let alone = entries.clone().build();
    let split = |root: &str| {
        let operation = daemon.import_parts(&Multipart::split(&alone, root, b"root"));
        refusal(&operation)
    };
    vec![
        daemon.refuses(&container),
        daemon.refuses(&machine),
        split("rootfs"),
        split("rootfs.img"),
    ]
}

/// The same, where every refusal has to say `text`.
#[track_caller]
fn refused(entries: &Tar, text: &str) {
    let daemon = Lximaged::start();
    for said in refused_by(&daemon, entries) {
        assert!(said.contains(text), "{said:?} does not say {text:?}");
    }
    assert!(daemon.images("default").is_empty());
    daemon.import(&images::container("honest"));
}

fn good() -> Tar {
    Tar::new().file("metadata.yaml", images::metadata("a"))
}

#[test]
fn metadata_that_is_no_file_is_refused() {
    if !beyond_lxd("it reads nothing from it and says EOF") {
        return;
    }
    for kind in KINDS.into_iter().skip(1) {
        let entries = Tar::new().special(kind, "metadata.yaml", "/etc/hostname");
        refused(&entries, "Cannot read non-regular file \"metadata.yaml\"");
    }
}

#[test]
fn metadata_with_holes_is_refused() {
    if !beyond_lxd("it reads such a file") {
        return;
    }
    let daemon = Lximaged::start();
    for way in ["--format=gnu", "--format=posix"] {
        let archive = packed(&format!(
            "truncate -s 1M metadata.yaml; tar {way} --sparse -cf ../out metadata.yaml rootfs"
        ));
        let text = "Cannot read non-regular file \"metadata.yaml\"";
        assert_eq!(daemon.refuses(&archive), text, "{way}");
    }
}

#[test]
fn a_link_in_place_of_templates_is_refused_in_every_format() {
    if !beyond_lxd("it takes it") {
        return;
    }
    let daemon = Lximaged::start();
    for format in ["gnu", "ustar", "posix"] {
        let entries = Tar::new().raw(&packed(&format!(
            "ln -s /etc templates
             tar --format={format} -b1 -cf - metadata.yaml templates | head -c -1024 >../out"
        )));
        for said in refused_by(&daemon, &entries) {
            assert_eq!(
                said, "Image has a link in place of \"templates\"",
                "{format}"
            );
        }
    }
}

#[test]
fn what_must_be_a_file_or_directory_is_refused_as_anything_else() {
    if !beyond_lxd("it takes them") {
        return;
    }
    let daemon = Lximaged::start();
    for kind in KINDS {
        for (name, belongs) in [
            ("rootfs", Kind::Directory),
            ("templates", Kind::Directory),
            ("rootfs.img", Kind::File),
            ("backup.yaml", Kind::File),
        ] {
            if kind as u8 == belongs as u8 {
                continue;
            }
            let entries = good().entry(kind, name, "/etc/hostname", b"");
            for said in refused_by(&daemon, &entries) {
                let said = said.replace("a duplicate entry", "in place of");
                let text = format!("in place of {name:?}");
                let is_refused = said.contains(&text) || said == "Invalid instance type";
                assert!(is_refused, "{name} {kind:?}: {said}");
            }
        }
    }
}

#[test]
fn a_name_that_comes_again_as_another_type_is_refused() {
    if !beyond_lxd("it looks no further than the first") {
        return;
    }
    let daemon = Lximaged::start();
    for first in KINDS {
        for second in KINDS {
            for name in [
                "metadata.yaml",
                "rootfs",
                "rootfs.img",
                "templates",
                "backup.yaml",
            ] {
                let directories = [first, second].map(|kind| kind as u8) == [b'5'; 2];
                if directories && matches!(name, "rootfs" | "templates") {
                    continue;
                }
                let metadata = images::metadata("a");
                let entry = |tar: Tar, kind: Kind| match (kind, name) {
                    (Kind::File, "metadata.yaml") => tar.file(name, &metadata),
                    _ => tar.entry(kind, name, "/etc/hostname", b""),
                };
                let begun = match name {
                    "metadata.yaml" => Tar::new(),
                    _ => good(),
                };
                let archive = entry(entry(begun, first), second).directory("rootfs/");
                let said = daemon.refuses(&archive.build());
                assert!(
                    said.contains(name) || said == "Invalid instance type",
                    "{name} as {first:?}, then {second:?}: {said}"
                );
            }
        }
    }
    assert!(daemon.images("default").is_empty());
}

#[test]
fn a_second_metadata_file_is_refused_however_it_is_spelled() {
    if !beyond_lxd("it takes the first and keeps the second in the image") {
        return;
    }
    let daemon = Lximaged::start();
    let other = images::metadata("b");
    for name in [
        "metadata.yaml",
        "./metadata.yaml",
        ".//metadata.yaml",
        "././metadata.yaml",
        "/metadata.yaml",
        "//metadata.yaml",
    ] {
        for said in refused_by(&daemon, &good().file(name, &other)) {
            assert_eq!(
                said, "Image has a duplicate entry \"metadata.yaml\"",
                "{name}"
            );
        }
        let reversed = Tar::new().file(name, &other).file("metadata.yaml", &other);
        daemon.refuses(&reversed.directory("rootfs/").build());
    }
    let long = good()
        .entry(Kind::LongName, "././@LongLink", "", b"metadata.yaml\0")
        .file("x", &other);
    let extended = good()
        .extended(&[("path", "./metadata.yaml")])
        .file("x", &other);
    for entries in [long, extended] {
        for said in refused_by(&daemon, &entries) {
            assert_eq!(said, "Image has a duplicate entry \"metadata.yaml\"");
        }
    }
}

#[test]
fn what_the_daemon_names_itself_never_leaves_an_image() {
    let daemon = Lximaged::start();
    let names = ["exec-output", "state", "snapshots", "lxiescape", "images"];
    for (index, kind) in KINDS.into_iter().enumerate() {
        let mut entries = Tar::new().file("metadata.yaml", images::metadata(&index.to_string()));
        for name in names {
            entries = entries.entry(kind, name, "/etc/hostname", b"");
            entries = entries.directory(&format!("{name}-more"));
        }
        let archive = entries.directory("rootfs/").build();
        let found = daemon.import(&archive);
        assert_eq!(daemon.export(&found).files, [archive], "{kind:?}");
    }
    let find = std::process::Command::new("find")
        .arg(daemon.dir())
        .args(["-mindepth", "2", "-regex"])
        .arg(format!(".*/\\({}\\)\\(-more\\)?", names.join("\\|")))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&find.stdout), "");
}

#[test]
fn two_sizes_of_one_entry_are_refused() {
    if !beyond_lxd("it goes by the extended header") {
        return;
    }
    let daemon = Lximaged::start();
    // To those who go by the header, what is data to the others are entries.
    let inner = Tar::new()
        .file("metadata.yaml", images::metadata("b"))
        .unfinished();
    let length = inner.len().to_string();
    let large = (1_u64 << 33) - 1;
    let cases = [
        (length.as_str(), 0, "none in the header"),
        ("0", inner.len() as u64, "none in the extended one"),
        ("512", inner.len() as u64, "less in the extended one"),
        (length.as_str(), 512, "less in the header"),
        ("-1", 0, "a negative one"),
        ("", inner.len() as u64, "none at all"),
        ("1e3", inner.len() as u64, "one that is no number"),
        ("18446744073709551616", 0, "one of more than 64 bits"),
        ("8589934591", large - 1, "large ones"),
    ];
    for (extended, own, case) in cases {
        let entries =
            good()
                .extended(&[("size", extended)])
                .file_of_size("rootfs.bin", own, &inner);
        for said in refused_by(&daemon, &entries) {
            assert!(
                ["two sizes", "invalid", "damaged"]
                    .iter()
                    .any(|w| said.contains(w)),
                "{case}: {said}"
            );
        }
    }
    let twice = good()
        .extended(&[("size", "0"), ("size", &length)])
        .file_of_size("x", inner.len() as u64, &inner);
    let global = [record("size", "0")].concat();
    let global =
        good()
            .entry(Kind::Global, "g", "", &global)
            .file_of_size("x", inner.len() as u64, &inner);
    for entries in [twice, global] {
        refused_by(&daemon, &entries);
    }
    let same = good()
        .extended(&[("size", &length)])
        .file_of_size("x", inner.len() as u64, &inner)
        .directory("rootfs/");
    let found = daemon.import(&same.build());
    assert_eq!(daemon.image(&found)["properties"]["description"], "image a");
}

#[test]
fn two_names_of_one_entry_are_refused() {
    if !beyond_lxd("it takes one of them") {
        return;
    }
    let daemon = Lximaged::start();
    let long = |tar: Tar, name: &[u8]| tar.entry(Kind::LongName, "long", "", name);
    let cases = [
        long(long(good(), b"a\0"), b"b\0").file("x", ""),
        long(good(), b"a\0")
            .extended(&[("path", "b")])
            .file("x", ""),
        long(good().extended(&[("path", "b")]), b"a\0").file("x", ""),
        good()
            .extended(&[("path", "a"), ("path", "b")])
            .file("x", ""),
        good()
            .extended(&[("path", "a")])
            .extended(&[("path", "b")])
            .file("x", ""),
        good()
            .entry(Kind::Global, "g", "", &record("path", "metadata.yaml"))
            .file("x", ""),
        long(good(), b"a\0b\0").file("x", ""),
        long(good(), b"a").file("x", ""),
        good().extended(&[("path", "")]).file("x", ""),
        good().extended(&[("path", "a\0b")]).file("x", ""),
        good().extended(&[("GNU.sparse.name", "a")]).file("x", ""),
    ];
    for entries in cases {
        refused_by(&daemon, &entries);
    }
}

#[test]
fn an_entry_behind_a_link_is_refused() {
    if !beyond_lxd("it looks at names alone") {
        return;
    }
    let daemon = Lximaged::start();
    let link = |tar: Tar, name: &str, target: &str| tar.special(Kind::SymbolicLink, name, target);
    let other = images::metadata("b");
    let chains = [
        link(good(), "a", ".").file("a/metadata.yaml", &other),
        link(link(good(), "a", "."), "a/b", "..").file("a/b/c", ""),
        link(good().directory("t/"), "./t/a", "..").file("t//a/metadata.yaml", &other),
        link(good(), "templates/a", "..").file("templates/a/metadata.yaml", &other),
        link(link(good(), "a", "b"), "b", "a").file("a/b", ""),
    ];
    for entries in &chains {
        for said in refused_by(&daemon, entries) {
            assert_eq!(said, "Image has an entry behind a link");
        }
    }
    // Inside the root, and next to each other, links are what they are.
    let honest = link(good().directory("rootfs/"), "rootfs/bin", "usr/bin");
    let honest = link(link(honest, "a", "b"), "b", "a");
    daemon.import(&honest.file("rootfs/binary", "").file("ab", "").build());
}

#[test]
fn names_that_lead_out_of_an_image_are_refused() {
    if !beyond_lxd("it looks at two names only") {
        return;
    }
    let daemon = Lximaged::start();
    for name in [
        "..",
        "../",
        "../lxiescape",
        "rootfs/../metadata.yaml",
        "rootfs/../../lxiescape",
        "./../lxiescape",
        "/../lxiescape",
        "templates/..",
    ] {
        for kind in [Kind::File, Kind::Directory, Kind::SymbolicLink] {
            for said in refused_by(&daemon, &good().special(kind, name, "x")) {
                let known = ["\"..\" in its name", "name of a directory"];
                assert!(
                    known.iter().any(|text| said.contains(text)),
                    "{name}: {said}"
                );
            }
        }
    }
    daemon.import(
        &good()
            .directory("rootfs/")
            .file("rootfs/..a/b..", "")
            .build(),
    );
}

#[test]
fn an_image_that_is_itself_a_link_is_refused() {
    if !beyond_lxd("it does not look") {
        return;
    }
    let daemon = Lximaged::start();
    for name in [".", "./", "/", "./.", "//", ""] {
        for kind in [Kind::SymbolicLink, Kind::HardLink, Kind::File, Kind::Fifo] {
            refused_by(&daemon, &good().special(kind, name, "/"));
        }
    }
    let honest = Tar::new().directory("./").directory("/").directory("././");
    let honest = honest.file("metadata.yaml", images::metadata("a"));
    daemon.import(&honest.directory("rootfs/").build());
}

#[test]
fn names_of_more_than_four_kilobytes_are_refused() {
    if !beyond_lxd("it has no limit") {
        return;
    }
    let daemon = Lximaged::start();
    let deep = |parts: usize, part: &str| format!("rootfs/{}", vec![part; parts].join("/"));
    for name in [
        deep(100_000, "d"),
        deep(3_000, &"d".repeat(255)),
        "x".repeat(4097),
    ] {
        let extended = good().extended(&[("path", &name)]).file("x", "");
        let long = [name.as_bytes(), b"\0"].concat();
        let long = good()
            .entry(Kind::LongName, "long", "", &long)
            .file("x", "");
        for entries in [extended, long] {
            for said in refused_by(&daemon, &entries) {
                assert!(said.contains("archive/tar: invalid name"), "{said}");
            }
        }
    }
    let honest = good().directory("rootfs/");
    let honest = honest
        .extended(&[("path", &deep(2_000, "d"))])
        .file("x", "");
    let found = daemon.import(&honest.build());
    daemon.remove_image(&found);
}
