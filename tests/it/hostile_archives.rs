//! Archives made to do harm. Each is refused (or taken for what it is), nothing is left of it,
//! and the daemon goes on.

use std::time::{Duration, Instant};

use crate::support::{
    Lximaged, beyond_lxd,
    image_api::{fingerprint_of, refusal},
    images,
    multipart::Multipart,
    tar::{Kind, Tar},
};

/// Imports what must be refused, then an honest image.
#[track_caller]
fn refused(archive: &[u8]) -> String {
    let daemon = Lximaged::start();
    let began = Instant::now();
    let text = daemon.refuses(archive);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "refused too late"
    );
    assert!(daemon.images("default").is_empty());
    daemon.import(&images::container("honest"));
    text
}

fn with_metadata(kind: Kind, target: &str) -> Vec<u8> {
    Tar::new()
        .special(kind, "metadata.yaml", target)
        .directory("rootfs/")
        .build()
}

#[test]
fn metadata_that_is_a_symbolic_link_is_refused() {
    refused(&with_metadata(Kind::SymbolicLink, "/etc/hostname"));
}

#[test]
fn metadata_that_is_a_hard_link_is_refused() {
    refused(&with_metadata(Kind::HardLink, "/etc/hostname"));
}

#[test]
fn metadata_that_is_a_pipe_is_refused() {
    refused(&with_metadata(Kind::Fifo, ""));
}

#[test]
fn metadata_that_is_a_device_is_refused() {
    refused(&with_metadata(Kind::CharacterDevice, ""));
}

#[test]
fn metadata_that_is_a_directory_is_refused() {
    refused(&with_metadata(Kind::Directory, ""));
}

#[test]
fn metadata_of_a_megabyte_and_more_is_refused() {
    if !beyond_lxd("it reads all of it") {
        return;
    }
    let filler = format!("{}# {}\n", images::metadata("a"), "x".repeat(1 << 20));
    refused(&images::unified(&filler));
}

#[test]
fn metadata_that_announces_more_than_there_is_is_refused() {
    let header = Tar::new()
        .directory("rootfs/")
        .announce("metadata.yaml", 0o77_777_777_777);
    refused(&header.unfinished());
}

#[test]
fn a_bomb_of_yaml_aliases_is_refused_quickly() {
    let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push(format!("a{level}: &a{level} [{aliases}]"));
    }
    refused(&images::unified(&bomb.join("\n")));
}

#[test]
fn deep_yaml_is_refused() {
    let deep = format!(
        "properties: {}{}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    refused(&images::unified(&deep));
}

#[test]
fn a_second_metadata_file_is_refused() {
    if !beyond_lxd("it takes the first and keeps the second in the image") {
        return;
    }
    let one = Tar::new()
        .file("metadata.yaml", images::metadata("a"))
        .directory("rootfs/");
    refused(
        &one.clone()
            .file("metadata.yaml", images::metadata("b"))
            .build(),
    );
    refused(
        &one.clone()
            .file("./metadata.yaml", images::metadata("b"))
            .build(),
    );
    refused(
        &one.special(Kind::SymbolicLink, "metadata.yaml", "/etc/hostname")
            .build(),
    );
}

#[test]
fn a_root_that_turns_into_a_link_is_refused() {
    if !beyond_lxd("it stops reading after the first") {
        return;
    }
    let metadata = images::metadata("a");
    let link_last = Tar::new()
        .file("metadata.yaml", &metadata)
        .directory("rootfs/")
        .special(Kind::SymbolicLink, "rootfs", "/");
    refused(&link_last.build());
    let link_first = Tar::new()
        .special(Kind::SymbolicLink, "rootfs", "/")
        .file("metadata.yaml", &metadata)
        .directory("rootfs/");
    refused(&link_first.build());
}

#[test]
fn files_that_the_daemon_names_itself_stay_inside_the_image() {
    let daemon = Lximaged::start();
    let archive = Tar::new()
        .file("metadata.yaml", images::metadata("a"))
        .directory("rootfs/")
        .file("backup.yaml", "x")
        .special(Kind::SymbolicLink, "exec-output", "/etc")
        .build();
    if daemon.import_with(&archive, &[])["status"] == "Success" {
        assert_eq!(daemon.names("images").len(), 1);
    }
    assert_eq!(
        daemon
            .names(".")
            .into_iter()
            .filter(|name| name == "backup.yaml")
            .count(),
        0
    );
}

#[test]
fn odd_values_in_metadata_never_stop_the_daemon() {
    if !beyond_lxd("some of them do") {
        return;
    }
    let mut daemon = Lximaged::start();
    let pid = daemon.pid();
    let fields = [
        "architecture",
        "creation_date",
        "expiry_date",
        "properties",
        "templates",
    ];
    let nested = [
        "properties: {os: @}",
        "templates: {/a: @}",
        "templates: {/a: {when: @}}",
    ];
    let values = [
        "~",
        "[]",
        "{}",
        "-1",
        "9223372036854775808",
        "-9223372036854775809",
        "\"\"",
        "1e400",
        ".nan",
        "!!binary aGk=",
        "[[[[]]]]",
        "{? {} : []}",
        "\"\\u0000\"",
        "*x",
        "<<",
    ];
    let base = "architecture: x86_64\ncreation_date: 1577836800\n";
    for value in values {
        for field in fields {
            let rest: String = base
                .lines()
                .filter(|line| !line.starts_with(field))
                .collect::<Vec<_>>()
                .join("\n");
            let metadata = format!("{rest}\n{field}: {value}\n");
            daemon.import_with(&images::unified(&metadata), &[]);
        }
        for line in nested {
            let metadata = format!("{base}{}\n", line.replace('@', value));
            daemon.import_with(&images::unified(&metadata), &[]);
        }
    }
    assert!(daemon.is_running() && daemon.pid() == pid);
}

#[test]
fn every_beginning_of_an_image_is_refused() {
    if !beyond_lxd("some of them make it hang") {
        return;
    }
    let daemon = Lximaged::start();
    let tar = images::container("a");
    let whole = [
        images::gzip(&tar),
        images::bzip2(&tar),
        images::xz(&tar),
        images::lzma(&tar),
        images::zstd(&tar),
        images::qcow2(),
        tar,
    ];
    let descriptors = || {
        std::fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
            .unwrap()
            .count()
    };
    daemon.refuses(b"warm");
    let before = descriptors();
    for image in &whole {
        for length in (0..16).chain((16..image.len().min(600)).step_by(37)) {
            daemon.refuses(&image[..length]);
        }
    }
    assert!(
        descriptors() <= before + 4,
        "{before} descriptors were open, now {}",
        descriptors()
    );
}

#[test]
fn a_disk_that_names_a_file_of_the_host_is_not_followed() {
    let daemon = Lximaged::start();
    let mut disk = images::qcow2();
    let name = b"/etc/hostname";
    disk[8..16].copy_from_slice(&0x68_u64.to_be_bytes());
    disk[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
    disk[0x68..0x68 + name.len()].copy_from_slice(name);
    let parts = Multipart::split(&images::metadata_tar("a"), "rootfs.img", &disk);
    let operation = daemon.import_parts(&parts);
    if operation["status"] == "Success" {
        let found = fingerprint_of(&operation);
        assert_eq!(
            daemon.export(&found).files[1],
            disk,
            "only ever the bytes that came"
        );
    }
}

#[test]
fn control_characters_in_properties_stay_text() {
    let daemon = Lximaged::start();
    let metadata = "architecture: x86_64\ncreation_date: 1\nproperties:\n  \
                    os: \"a\\nb\\r\\x1b\\u2028\"\n";
    let operation = daemon.import_with(&images::unified(metadata), &[]);
    if operation["status"] == "Success" {
        let image = daemon.image(&fingerprint_of(&operation));
        assert_eq!(image["properties"]["os"], "a\nb\r\u{1b}\u{2028}");
        daemon.export(&fingerprint_of(&operation));
    } else {
        refusal(&operation);
    }
    assert!(
        !daemon.log().contains('\u{1b}') || daemon.log().contains("\u{1b}["),
        "log injection"
    );
}

#[test]
fn an_archive_that_is_cut_off_after_its_metadata_is_refused() {
    if !beyond_lxd("it looks no further than metadata and root") {
        return;
    }
    let packed = images::gzip(&images::container_of_size("a", 300_000));
    refused(&packed[..packed.len() - 1000]);
    let plain = images::container_of_size("a", 300_000);
    refused(&plain[..200_000]);
}
