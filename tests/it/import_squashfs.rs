//! Images that are a squashfs: one file with metadata and root, or the metadata of two.

use std::{fmt::Write as _, fs, os::unix::fs::symlink, path::Path, time::Instant};

use crate::support::{
    Lximaged, PATIENCE, beyond_lxd, fingerprint,
    image_api::fingerprint_of,
    images::{self, squashfs_of, write},
    multipart::Multipart,
};

const MISSING: &str = "Metadata tarball is missing metadata.yaml";

fn container(tree: &Path) {
    write(tree, "metadata.yaml", images::metadata("a"));
    write(tree, "rootfs/hello", "hello\n");
    write(tree, "templates/hostname.tpl", "{{ container.name }}\n");
}

/// A metadata.yaml of some 200 kB that hardly compress.
fn long_metadata() -> String {
    let noise = images::noise("comment", 90_000);
    let mut metadata = images::metadata("a");
    for line in noise.chunks(30) {
        writeln!(metadata, "# {}", hex::encode(line)).unwrap();
    }
    metadata
}

/// Imports an image and checks what the daemon made of it.
#[track_caller]
fn imports(daemon: &Lximaged, packed: &[u8], kind: &str) {
    let operation = daemon.import_with(packed, &[("X-LXD-filename", "a b.squashfs")]);
    let found = fingerprint_of(&operation);
    assert_eq!(found, fingerprint(&[packed]));
    let image = daemon.image(&found);
    assert_eq!(image["type"], kind);
    assert_eq!(image["size"], packed.len());
    assert_eq!(image["filename"], "a b.squashfs");
    assert_eq!(image["architecture"], "x86_64");
    assert_eq!(image["created_at"], images::CREATED);
    assert_eq!(image["properties"]["description"], "image a");
    let exported = daemon.export(&found);
    assert_eq!(exported.files, [packed]);
    let disposition = format!("inline;filename={found}.squashfs");
    assert_eq!(
        exported.answer.header("content-disposition"),
        Some(disposition.as_str())
    );
    daemon.remove_image(&found);
}

/// Imports what is no image, and gives what the daemon says.
#[track_caller]
fn refused(fill: impl FnOnce(&Path)) -> String {
    let daemon = Lximaged::start();
    let text = daemon.refuses(&squashfs_of(&[], fill));
    assert!(daemon.images("default").is_empty());
    text
}

/// With a metadata.yaml, and with what `fill` makes.
#[track_caller]
fn refused_with_metadata(fill: impl FnOnce(&Path)) -> String {
    refused(|tree| {
        write(tree, "metadata.yaml", images::metadata("a"));
        fill(tree);
    })
}

#[test]
fn a_squashfs_of_every_compressor_is_an_image() {
    let daemon = Lximaged::start();
    for compressor in ["gzip", "lz4", "xz", "zstd", "lzma"] {
        let options = ["-comp", compressor];
        imports(&daemon, &squashfs_of(&options, container), "container");
        let long = squashfs_of(&options, |tree| {
            container(tree);
            write(tree, "metadata.yaml", long_metadata());
        });
        imports(&daemon, &long, "container");
    }
}

#[test]
fn a_squashfs_is_an_image_whatever_options_it_was_made_with() {
    let options: &[&[&str]] = &[
        &["-b", "4K"],
        &["-b", "64K"],
        &["-b", "1M"],
        &["-noI", "-noD", "-noF", "-noX", "-noId"],
        &["-noI"],
        &["-noD"],
        &["-noF", "-always-use-fragments"],
        &["-no-fragments"],
        &["-no-fragments", "-b", "4K"],
        &["-always-use-fragments"],
        &["-always-use-fragments", "-b", "4K"],
        &["-no-tailends"],
        &["-no-exports"],
        &["-exports"],
        &["-xattrs"],
        &["-no-xattrs"],
        &["-no-duplicates"],
        &["-nopad"],
        &["-Xwindow-size", "8", "-Xcompression-level", "1"],
        &["-comp", "xz", "-Xbcj", "x86", "-Xdict-size", "100%"],
        &["-comp", "lz4", "-Xhc"],
        &["-comp", "zstd", "-Xcompression-level", "22"],
    ];
    let daemon = Lximaged::start();
    for options in options {
        let packed = squashfs_of(options, |tree| {
            container(tree);
            write(tree, "metadata.yaml", long_metadata());
        });
        imports(&daemon, &packed, "container");
        imports(&daemon, &squashfs_of(options, container), "container");
    }
}

#[test]
fn a_disk_in_a_squashfs_makes_a_virtual_machine() {
    let daemon = Lximaged::start();
    for compressor in ["gzip", "zstd"] {
        let packed = squashfs_of(&["-comp", compressor], |tree| {
            write(tree, "metadata.yaml", images::metadata("a"));
            write(tree, "rootfs.img", images::qcow2());
        });
        imports(&daemon, &packed, "virtual-machine");
    }
    let both = squashfs_of(&[], |tree| {
        container(tree);
        write(tree, "rootfs.img", images::qcow2());
    });
    imports(&daemon, &both, "container");
}

#[test]
fn a_disk_that_refers_to_another_file_is_refused() {
    if !beyond_lxd("it finds out when an instance is made") {
        return;
    }
    let text = refused_with_metadata(|tree| {
        let mut disk = images::qcow2();
        disk[15] = 1;
        write(tree, "rootfs.img", disk);
    });
    assert_eq!(text, "Disk images with a backing file are not allowed");
}

#[test]
fn a_large_root_directory_with_many_fragments_is_read() {
    let packed = squashfs_of(&["-b", "4K"], |tree| {
        container(tree);
        for number in 0..1200 {
            let name = format!("a-name-that-is-rather-long-{number}");
            write(tree, &name, images::noise(&name, 3000));
        }
    });
    imports(&Lximaged::start(), &packed, "container");
}

#[test]
fn the_size_of_the_root_does_not_matter() {
    let packed = squashfs_of(&["-noD"], |tree| {
        container(tree);
        write(tree, "rootfs/noise", images::noise("root", 20_000_000));
    });
    let began = Instant::now();
    imports(&Lximaged::start(), &packed, "container");
    assert!(began.elapsed() < PATIENCE / 2);
}

#[test]
fn a_file_with_another_name_is_still_the_metadata() {
    if !beyond_lxd("sqfs2tar makes a hard link of the second name") {
        return;
    }
    let packed = squashfs_of(&[], |tree| {
        container(tree);
        fs::hard_link(tree.join("metadata.yaml"), tree.join("a")).unwrap();
    });
    imports(&Lximaged::start(), &packed, "container");
}

#[test]
fn what_is_no_image_is_refused_in_lxds_words() {
    assert_eq!(refused(|_| {}), MISSING);
    let root_only = |tree: &Path| write(tree, "rootfs/hello", "hello\n");
    assert_eq!(refused(root_only), MISSING);
    let below = |tree: &Path| {
        write(tree, "rootfs/metadata.yaml", images::metadata("a"));
    };
    assert_eq!(refused(below), MISSING);
    assert_eq!(refused_with_metadata(|_| {}), "Invalid instance type");
    let no_directory = |tree: &Path| write(tree, "rootfs", "hello\n");
    assert_eq!(refused_with_metadata(no_directory), "Invalid instance type");
    let no_file = |tree: &Path| fs::create_dir(tree.join("rootfs.img")).unwrap();
    assert_eq!(refused_with_metadata(no_file), "Invalid instance type");
    let metadata = |content: &'static str| {
        refused(move |tree| {
            write(tree, "metadata.yaml", content);
            write(tree, "rootfs/hello", "hello\n");
        })
    };
    assert_eq!(metadata(""), "EOF");
    assert_eq!(
        metadata("architecture: foo\ncreation_date: 1\n"),
        "Architecture isn't supported: foo"
    );
}

#[test]
fn metadata_that_is_no_file_is_refused() {
    if !beyond_lxd("it takes links for empty files") {
        return;
    }
    let text = "Cannot read non-regular file \"metadata.yaml\"";
    let link = |tree: &Path| {
        write(tree, "rootfs/metadata.yaml", images::metadata("a"));
        symlink("rootfs/metadata.yaml", tree.join("metadata.yaml")).unwrap();
    };
    assert_eq!(refused(link), text);
    let directory = |tree: &Path| write(tree, "metadata.yaml/x", "");
    assert_eq!(refused(directory), text);
    let pipe = |tree: &Path| {
        let mode = rustix::fs::Mode::RUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, tree.join("metadata.yaml"), kind, mode, 0).unwrap();
    };
    assert_eq!(refused(pipe), text);
}

#[test]
fn links_in_place_of_what_matters_are_refused() {
    if !beyond_lxd("it takes some of them") {
        return;
    }
    for name in ["rootfs", "templates"] {
        let text = refused_with_metadata(|tree| symlink("/etc", tree.join(name)).unwrap());
        assert_eq!(text, format!("Image has a link in place of {name:?}"));
    }
    let disk = |tree: &Path| symlink("/dev/sda", tree.join("rootfs.img")).unwrap();
    assert_eq!(refused_with_metadata(disk), "Invalid instance type");
}

#[test]
fn metadata_over_a_mebibyte_is_refused() {
    if !beyond_lxd("it has another limit and other words") {
        return;
    }
    let text = refused(|tree| {
        container(tree);
        write(tree, "metadata.yaml", "#".repeat((1 << 20) + 1));
    });
    assert_eq!(text, "metadata.yaml is larger than 1048576 bytes");
}

#[test]
fn a_squashfs_compressed_by_lzo_is_refused() {
    if !beyond_lxd("it can unpack lzo") {
        return;
    }
    let packed = squashfs_of(&["-comp", "lzo"], container);
    assert_eq!(
        Lximaged::start().refuses(&packed),
        "Squashfs images compressed by lzo are not supported"
    );
}

#[test]
fn a_squashfs_that_is_cut_off_or_damaged_is_refused() {
    let daemon = Lximaged::start();
    let packed = squashfs_of(&["-nopad"], container);
    for length in [4, 95, 96, 97, packed.len() / 2, packed.len() - 1] {
        assert_eq!(daemon.refuses(&packed[..length]), MISSING, "{length}");
    }
    let junk = [b"hsqs".as_slice(), &images::noise("junk", 5000)].concat();
    assert_eq!(daemon.refuses(&junk), MISSING);
    let mut damaged = packed.clone();
    damaged[110..].fill(0xa5);
    assert_eq!(daemon.refuses(&damaged), MISSING);
    assert!(daemon.images("default").is_empty());
    // What follows the image is not part of it.
    let padded = [packed, vec![0; 100_000]].concat();
    imports(&daemon, &padded, "container");
}

#[test]
fn the_metadata_of_a_split_image_may_be_a_squashfs() {
    let daemon = Lximaged::start();
    let metadata = images::squashfs(&[("metadata.yaml", &images::metadata("a"))]);
    let rootfs = images::squashfs(&[("hello", "hello\n")]);
    let operation = daemon.import_parts(&Multipart::split(&metadata, "rootfs", &rootfs));
    let found = fingerprint_of(&operation);
    assert_eq!(daemon.image(&found)["properties"]["description"], "image a");
    let exported = daemon.export(&found);
    assert_eq!(exported.files, [metadata, rootfs]);
    let body = String::from_utf8_lossy(&exported.answer.body);
    assert!(body.contains(&format!("filename=\"meta-{found}.squashfs\"")));
    assert!(body.contains(&format!("filename=\"{found}.squashfs\"")));
    let disk = images::qcow2();
    let metadata = images::squashfs(&[("metadata.yaml", &images::metadata("b"))]);
    let operation = daemon.import_parts(&Multipart::split(&metadata, "rootfs.img", &disk));
    let found = fingerprint_of(&operation);
    assert_eq!(daemon.image(&found)["type"], "virtual-machine");
}
