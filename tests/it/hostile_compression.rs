//! Compressed files made to do harm: cut off anywhere, bombs, and decoders asked for memory.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::support::{Lximaged, beyond_lxd, images, tar::Tar};

/// Shorter than any of the images here.
const LONGEST_PREFIX: usize = 600;

/// How many files the daemon has open.
fn descriptors(daemon: &Lximaged) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
        .unwrap()
        .count()
}

/// An image that stays long enough when it is compressed.
fn noisy() -> Vec<u8> {
    Tar::new()
        .file("noise", images::noise("a", 2_000))
        .file("metadata.yaml", images::metadata("a"))
        .directory("rootfs/")
        .build()
}

/// Refuses every beginning, each within two seconds, and ends with no more open files than before.
#[track_caller]
fn beginnings(formats: &[(&str, Vec<u8>)]) {
    let daemon = Lximaged::start();
    let upload = |lengths: std::ops::Range<usize>| {
        thread::scope(|scope| {
            for (format, image) in formats {
                let (daemon, lengths) = (&daemon, lengths.clone());
                scope.spawn(move || {
                    for length in lengths.filter(|length| *length + 1 < image.len()) {
                        let began = Instant::now();
                        daemon.refuses(&image[..length]);
                        let took = began.elapsed();
                        assert!(took < Duration::from_secs(2), "{format} {length}: {took:?}");
                    }
                });
            }
        });
    };
    // So many at a time take connections to the database that stay.
    upload(0..40);
    let before = descriptors(&daemon);
    upload(0..LONGEST_PREFIX);
    assert!(
        crate::support::soon(Duration::from_secs(5), || descriptors(&daemon)
            <= before + 2),
        "{before} descriptors were open, now {}",
        descriptors(&daemon)
    );
    assert!(daemon.images("default").is_empty());
}

#[test]
fn every_beginning_of_a_compressed_image_is_refused() {
    if !beyond_lxd("some of them make it hang") {
        return;
    }
    let tar = noisy();
    beginnings(&[
        ("gzip", images::gzip(&tar)),
        ("bzip2", images::bzip2(&tar)),
        ("xz", images::xz(&tar)),
        ("zstd", images::zstd(&tar)),
    ]);
}

#[test]
fn every_beginning_of_any_other_image_is_refused() {
    if !beyond_lxd("some of them make it hang") {
        return;
    }
    let tar = noisy();
    let digits = images::noise("a", 2_000);
    let digits: Vec<_> = digits.iter().map(u8::to_string).collect();
    let digits = digits.join(" ");
    beginnings(&[
        ("lzma", images::lzma(&tar)),
        ("lz4", images::lz4(&tar)),
        ("tar", tar),
        ("qcow2", images::qcow2()),
        (
            "squashfs",
            images::squashfs(&[
                ("metadata.yaml", &images::metadata("a")),
                ("rootfs/digits", &digits),
            ]),
        ),
    ]);
}

/// A file of zeros of `gib` GiB in front of an image, in zstd; a few kilobytes.
fn bomb(gib: u64) -> Vec<u8> {
    let zeros = vec![0; 1 << 26];
    let part = zstd::encode_all(&*zeros, 1).unwrap();
    let header = Tar::new().announce("zeros", gib << 30).unfinished();
    let mut bomb = zstd::encode_all(&*header, 1).unwrap();
    for _ in 0..gib << 4 {
        bomb.extend_from_slice(&part);
    }
    bomb.extend(images::zstd(&images::container("a")));
    bomb
}

#[test]
fn metadata_behind_gigabytes_of_zeros_is_not_looked_for() {
    if !beyond_lxd("it unpacks without end") {
        return;
    }
    let daemon = Lximaged::start();
    let bomb = bomb(7);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    daemon.refuses(b"warm");
    let before = daemon.peak_memory_kib();
    let began = Instant::now();
    let said = daemon.refuses(&bomb);
    assert!(said.contains("unpacks to too much"), "{said}");
    assert!(
        began.elapsed() < Duration::from_mins(2),
        "{:?}",
        began.elapsed()
    );
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
    // What is found in time may be followed by anything: that is for whoever unpacks it.
    let behind = [images::zstd(&images::container("b")), bomb].concat();
    daemon.import(&behind);
}

#[test]
fn a_file_of_empty_streams_is_refused() {
    if !beyond_lxd("it leaves that to other programs") {
        return;
    }
    let daemon = Lximaged::start();
    for empty in [
        images::gzip(b""),
        images::bzip2(b""),
        images::xz(b""),
        images::zstd(b""),
    ] {
        let count = (4 << 20) / empty.len();
        let began = Instant::now();
        daemon.refuses(&empty.repeat(count));
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{:?}",
            began.elapsed()
        );
    }
}

/// Refuses a decoder's wish for memory without granting it.
#[track_caller]
fn refused_without_memory(image: &[u8]) {
    let daemon = Lximaged::start();
    daemon.refuses(b"warm");
    let before = daemon.peak_memory_kib();
    daemon.refuses(image);
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB");
}

/// A zstd frame that asks for a window of two to the power of `log`, with its data as it is.
fn zstd_with_window(log: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = b"\x28\xb5\x2f\xfd\x00".to_vec();
    frame.push((log - 10) << 3);
    let header = u32::try_from(data.len()).unwrap() << 3 | 1;
    frame.extend(&header.to_le_bytes()[..3]);
    frame.extend(data);
    frame
}

#[test]
fn a_zstd_window_of_two_gigabytes_is_refused() {
    if !beyond_lxd("it leaves that to zstd") {
        return;
    }
    let tar = images::container("a");
    for log in [28, 31, 40] {
        refused_without_memory(&zstd_with_window(log, &tar));
    }
    Lximaged::start().import(&zstd_with_window(27, &tar));
}

#[test]
fn an_xz_dictionary_of_four_gigabytes_is_refused() {
    if !beyond_lxd("it leaves that to xz") {
        return;
    }
    let with_dictionary = |size: u8| {
        let mut packed = images::xz(&images::container("a"));
        assert_eq!(
            packed[12..16],
            [2, 0, 0x21, 1],
            "the header of the first block"
        );
        packed[16] = size;
        let mut crc = flate2::Crc::new();
        crc.update(&packed[12..20]);
        packed[20..24].copy_from_slice(&crc.sum().to_le_bytes());
        packed
    };
    for size in [30, 39, 40, 41] {
        refused_without_memory(&with_dictionary(size));
    }
    Lximaged::start().import(&with_dictionary(24));
}

#[test]
fn lzma_that_asks_for_everything_is_refused() {
    if !beyond_lxd("it leaves that to lzma") {
        return;
    }
    let with = |at: usize, bytes: &[u8]| {
        let mut packed = images::lzma(&images::container("a"));
        packed[at..at + bytes.len()].copy_from_slice(bytes);
        packed
    };
    // The dictionary, the length, then every sum of lc, lp and pb.
    refused_without_memory(&with(1, b"\0\0\0\xff"));
    refused_without_memory(&with(1, b"\0\0\xff\xff"));
    refused_without_memory(&with(5, b"\x01\0\0\0\0\0\0\0"));
    let daemon = Lximaged::start();
    for properties in (0..=255).filter(|properties| *properties != 0x5d) {
        daemon.refuses(&with(0, &[properties]));
    }
}
