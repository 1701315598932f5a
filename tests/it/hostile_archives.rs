//! Archives made to do harm. Each is refused (or taken for what it is), nothing is left of it,
//! and the daemon goes on.

use std::time::{Duration, Instant};

use crate::support::{
    Lximaged, beyond_lxd,
    image_api::{fingerprint_of, refusal},
    images,
    multipart::Multipart,
    tar::Tar,
};

/// Imports what must be refused, then an honest image.
#[track_caller]
fn refused(archive: &[u8]) -> String {
    let daemon = Lximaged::start();
    let began = Instant::now();
    let text = daemon.refuses(archive);
    assert!(began.elapsed() < Duration::from_mins(1), "refused too late");
    assert!(daemon.images("default").is_empty());
    daemon.import(&images::container("honest"));
    text
}

#[test]
fn metadata_that_announces_more_than_there_is_is_refused() {
    let header = Tar::new()
        .directory("rootfs/")
        .announce("metadata.yaml", 0o77_777_777_777);
    refused(&header.unfinished());
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
