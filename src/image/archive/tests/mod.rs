//! Archives made by hand, good and hostile.

use std::io::{Cursor, Write};

mod differential;
mod mutate;

use super::{inspect::Inspected, *};

const METADATA: &[u8] = b"architecture: x86_64\ncreation_date: 1424284563\n";

fn entry(name: &str, flag: u8, data: &[u8]) -> Vec<u8> {
    let mut block = vec![0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| {
        block
            .splice(at..at + bytes.len(), bytes.iter().copied())
            .count()
    };
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(124, format!("{:011o}\0", data.len()).as_bytes());
    put(148, b"        ");
    put(156, &[flag]);
    if matches!(flag, b'1' | b'2') {
        put(157, b"target");
    }
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block.splice(148..156, format!("{sum:06o}\0 ").into_bytes());
    block.extend(data);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn good() -> Vec<Vec<u8>> {
    vec![
        entry("metadata.yaml", b'0', METADATA),
        entry("rootfs/", b'5', b""),
    ]
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = entries.concat();
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn inspect(bytes: &[u8]) -> crate::error::Result<Inspected> {
    inspect_unified(Cursor::new(bytes), bytes.len() as u64, &Limits::default())
}

fn refusal(bytes: &[u8]) -> String {
    inspect(bytes).unwrap_err().message().to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_compression_is_read() {
    let plain = archive(&good());
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&plain).unwrap();
    let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&plain).unwrap();
    let packed = [
        plain.clone(),
        gzip(&plain),
        bzip2.finish().unwrap(),
        xz.finish().unwrap(),
        zstd::encode_all(&*plain, 1).unwrap(),
        lz4.finish().unwrap(),
    ];
    for bytes in packed {
        assert_eq!(
            inspect(&bytes).unwrap().kind,
            crate::image::ImageType::Container
        );
    }
}

#[test]
fn members_of_gzip_follow_each_other_and_what_follows_them_does_not_matter() {
    let plain = archive(&good());
    let (first, second) = plain.split_at(700);
    let mut packed = [gzip(first), gzip(second)].concat();
    packed.extend(b"trailing");
    inspect(&packed).unwrap();
}

#[test]
fn what_is_no_image_is_refused_in_lxds_words() {
    assert_eq!(refusal(b""), "EOF");
    assert_eq!(refusal(&[b'x'; 2000]), "Unsupported compression");
    assert_eq!(
        refusal(&archive(&[entry("etc/", b'5', b"")])),
        "Metadata tarball is missing metadata.yaml"
    );
    assert_eq!(refusal(&archive(&good()[..1])), "Invalid instance type");
    assert_eq!(
        refusal(b"QFI\xfb"),
        "Metadata tarball is missing metadata.yaml"
    );
    let absolute = [
        entry("/metadata.yaml", b'0', METADATA),
        entry("rootfs/", b'5', b""),
    ];
    assert_eq!(
        refusal(&archive(&absolute)),
        "Metadata tarball is missing metadata.yaml"
    );
}

#[test]
fn only_one_regular_metadata_file_is_taken() {
    for flag in b'1'..=b'6' {
        let entries = [
            entry("metadata.yaml", flag, b""),
            entry("rootfs/", b'5', b""),
        ];
        assert_eq!(
            refusal(&archive(&entries)),
            "Cannot read non-regular file \"metadata.yaml\""
        );
    }
    for name in [
        "metadata.yaml",
        "./metadata.yaml",
        ".//metadata.yaml",
        "/metadata.yaml",
    ] {
        let mut entries = good();
        entries.push(entry(name, b'0', METADATA));
        assert!(
            refusal(&archive(&entries)).contains("duplicate entry \"metadata.yaml\""),
            "{name}"
        );
    }
}

#[test]
fn a_root_that_turns_into_something_else_is_refused() {
    for (name, flag) in [("rootfs", b'2'), ("./rootfs", b'0'), ("rootfs", b'1')] {
        let mut entries = good();
        entries.push(entry(name, flag, b""));
        assert!(
            refusal(&archive(&entries)).contains("duplicate entry \"rootfs\""),
            "{name}"
        );
    }
    let linked = [
        entry("metadata.yaml", b'0', METADATA),
        entry("templates", b'2', b""),
    ];
    assert!(refusal(&archive(&linked)).contains("link in place of \"templates\""));
}

#[test]
fn an_archive_that_is_cut_off_is_refused_wherever_it_ends() {
    let mut entries = good();
    entries.push(entry("rootfs/x", b'0', &[1; 2000]));
    let plain = archive(&entries);
    let ends_well = |length: usize| length >= entries.concat().len() || length.is_multiple_of(512);
    for length in (0..plain.len()).filter(|length| !ends_well(*length)) {
        assert!(inspect(&plain[..length]).is_err(), "{length}");
    }
    let packed = gzip(&plain);
    for length in 0..packed.len() - 8 {
        assert!(inspect(&packed[..length]).is_err(), "{length}");
    }
}

#[test]
fn metadata_is_bounded() {
    let limits = Limits {
        metadata_bytes: METADATA.len() as u64,
        ..Limits::default()
    };
    let bytes = archive(&good());
    assert!(inspect_unified(Cursor::new(&*bytes), 0, &limits).is_ok());
    let limits = Limits {
        metadata_bytes: METADATA.len() as u64 - 1,
        ..limits
    };
    let error = inspect_unified(Cursor::new(&*bytes), 0, &limits).unwrap_err();
    assert!(error.message().contains("larger than"), "{error}");
}

#[test]
fn entries_and_bytes_are_bounded() {
    let bytes = archive(&good());
    let limits = Limits {
        entries: 1,
        ..Limits::default()
    };
    assert!(
        inspect_unified(Cursor::new(&*bytes), 0, &limits)
            .unwrap_err()
            .message()
            .contains("entries")
    );
    assert!(
        inspect_unified(
            Cursor::new(&*bytes),
            0,
            &Limits {
                entries: 2,
                ..limits
            }
        )
        .is_ok()
    );

    let bomb = archive(&[entry("zeros", b'0', &vec![0; 4 << 20]), good().concat()]);
    let limits = Limits {
        search_bytes: 1 << 20,
        search_ratio: 1,
        ..Limits::default()
    };
    let error = inspect_unified(Cursor::new(gzip(&bomb)), 0, &limits).unwrap_err();
    assert!(error.message().contains("too much"), "{error}");
    // Once everything is found, the rest is left to whoever unpacks it.
    let long = archive(&[good().concat(), entry("rootfs/x", b'0', &vec![0; 4 << 20])]);
    let limits = Limits {
        scan_bytes: 1024,
        ..limits
    };
    assert!(inspect_unified(Cursor::new(gzip(&long)), 0, &limits).is_ok());
    // Also in the middle of an entry, whether or not there is all of it.
    let mut input = Cursor::new(&long[..3 << 20]);
    assert!(inspect_unified(&mut input, 0, &limits).is_ok());
    assert!(input.position() < 1 << 20, "{}", input.position());
}

#[test]
fn extended_headers_are_taken_apart_by_length() {
    let name = "rootfs/a\nname=metadata.yaml";
    let record = format!(" path={name}\n");
    let record = format!("{}{record}", record.len() + 2);
    let entries = [
        good().concat(),
        entry("pax", b'x', record.as_bytes()),
        entry("short", b'0', b"data"),
    ];
    inspect(&archive(&entries)).unwrap();
    for bad in [
        "5 a=b\n", "x a=b\n", "6 a=b", "99 a=b\n", " a=b\n", "+6 a=b\n",
    ] {
        let entries = [entry("pax", b'x', bad.as_bytes()), good().concat()];
        assert!(inspect(&archive(&entries)).is_err(), "{bad:?}");
    }
}

#[test]
fn what_readers_take_differently_is_refused() {
    let global = entry("g", b'g', b"20 path=metadata.ya\n");
    assert!(inspect(&archive(&[global, good().concat()])).is_err());
    let with_data = entry("rootfs/link", b'2', b"data");
    assert!(inspect(&archive(&[good().concat(), with_data])).is_err());
    let unknown = entry("rootfs/x", b'Z', b"");
    assert!(inspect(&archive(&[good().concat(), unknown])).is_err());
    let twice = [
        entry("l", b'L', b"a\0"),
        entry("l", b'L', b"b\0"),
        good().concat(),
    ];
    assert!(inspect(&archive(&twice)).is_err());
}

#[test]
fn a_disk_in_a_unified_image_makes_a_virtual_machine() {
    let disk = |header: &[u8]| {
        archive(&[
            entry("metadata.yaml", b'0', METADATA),
            entry("rootfs.img", b'0', header),
        ])
    };
    let kind = inspect(&disk(b"disk")).unwrap().kind;
    assert_eq!(kind, crate::image::ImageType::VirtualMachine);
    let mut backed = vec![0; 104];
    backed.splice(0..8, *b"QFI\xfb\0\0\0\x03");
    backed[15] = 1;
    assert!(refusal(&disk(&backed)).contains("backing file"));
}

#[test]
fn every_beginning_of_every_format_is_refused_and_nothing_panics() {
    let plain = archive(&good());
    let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    for whole in [
        gzip(&plain),
        xz.finish().unwrap(),
        zstd::encode_all(&*plain, 1).unwrap(),
    ] {
        for length in 0..whole.len().saturating_sub(16).min(600) {
            assert!(inspect(&whole[..length]).is_err(), "{length}");
        }
    }
}
