//! Images made by the usual programs, unpacked and compared in everything.

pub(in crate::pool) mod facts;
mod hostile;
pub(in crate::pool) mod rich;

use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::facts::{assert_same, shifted};
use super::*;

/// Unpacks files into a directory.
pub(in crate::pool) fn unpack_files(
    image: &Path,
    rootfs: Option<&Path>,
    target: &Path,
    map: IdMap,
) -> Result<ImageType> {
    unpack_within(image, rootfs, target, map, &Limits::default())
}

fn unpack_within(
    image: &Path,
    rootfs: Option<&Path>,
    target: &Path,
    map: IdMap,
    limits: &Limits,
) -> Result<ImageType> {
    fs::create_dir_all(target).unwrap();
    let source = ImageFiles {
        image: File::open(image).unwrap(),
        rootfs: rootfs.map(|rootfs| File::open(rootfs).unwrap()),
    };
    let cancel = CancellationToken::new();
    let watch = Watch {
        progress: &|_| {},
        cancel: &cancel,
    };
    let directory = File::open(target).unwrap();
    unpack(&source, directory.as_fd(), map, limits, &watch)
}

pub(in crate::pool) fn program(name: &str, directory: &Path, arguments: &[&str]) {
    let output = Command::new(name)
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// An image to be: `metadata.yaml`, `rootfs` with everything, and a template.
fn rich_image() -> (TempDir, PathBuf) {
    let scratch = TempDir::new().unwrap();
    let image = scratch.path().join("image");
    fs::create_dir_all(image.join("rootfs")).unwrap();
    fs::create_dir_all(image.join("templates")).unwrap();
    fs::write(image.join("metadata.yaml"), rich::METADATA).unwrap();
    fs::write(image.join("templates/hosts.tpl"), "{{ container.name }}\n").unwrap();
    rich::fill(&image.join("rootfs"));
    (scratch, image)
}

const TAR: &[&str] = &[
    "--create",
    "--sparse",
    "--xattrs",
    "--xattrs-include=*",
    "--numeric-owner",
];

fn tar(directory: &Path, options: &[&str]) {
    let names = ["metadata.yaml", "rootfs", "templates"];
    program("tar", directory, &[TAR, options, &names].concat());
}

#[test]
fn everything_comes_out_of_a_tar_archive_however_it_is_packed() {
    let (scratch, image) = rich_image();
    let wanted = facts::facts(&image.join("rootfs"));
    assert!(wanted.values().any(|facts| facts.is_sparse));
    for (name, option) in [
        ("plain", "--format=posix"),
        ("gzip", "--gzip"),
        ("bzip2", "--bzip2"),
        ("xz", "--xz"),
        ("zstd", "--zstd"),
        ("lzma", "--lzma"),
        ("sparse-0.0", "--sparse-version=0.0"),
        ("sparse-0.1", "--sparse-version=0.1"),
        ("sparse-1.0", "--sparse-version=1.0"),
        ("acls", "--acls"),
    ] {
        let file = scratch.path().join(name);
        tar(
            &image,
            &["--format=posix", option, "-f", file.to_str().unwrap()],
        );
        let target = scratch.path().join(format!("{name}.out"));
        let unpacked = unpack_files(&file, None, &target, IdMap::IDENTITY).unwrap();
        assert_eq!(unpacked, ImageType::Container);
        assert_same(&wanted, &facts::facts(&target.join("rootfs")));
        assert_eq!(
            fs::read_to_string(target.join("metadata.yaml")).unwrap(),
            rich::METADATA
        );
        assert!(target.join("templates/hosts.tpl").exists());
    }
}

#[test]
fn owners_are_shifted_wherever_they_are_named() {
    let (scratch, image) = rich_image();
    let file = scratch.path().join("image.tar");
    tar(&image, &["--format=posix", "-f", file.to_str().unwrap()]);
    let map = IdMap::new(1_000_000, 65_536).unwrap();
    let target = scratch.path().join("out");
    unpack_files(&file, None, &target, map).unwrap();
    let wanted = shifted(&facts::facts(&image.join("rootfs")), map);
    assert_same(&wanted, &facts::facts(&target.join("rootfs")));
}

/// Squashfs has neither ACLs nor fractions of seconds, and 32 bits for the seconds since 1970.
fn without_what_squashfs_lacks(facts: &facts::Facts) -> facts::Facts {
    let mut facts = facts.clone();
    facts.modified = (facts.modified.0.rem_euclid(1 << 32), 0);
    facts.xattrs.retain(|name, _| !name.starts_with(b"system."));
    // Only blocks of nothing are left out, and they may be long.
    facts.is_sparse = false;
    facts
}

#[test]
fn everything_comes_out_of_a_squashfs_image_however_it_is_packed() {
    let (scratch, image) = rich_image();
    let root = facts::facts(&image.join("rootfs"));
    let wanted = root
        .iter()
        .map(|(name, facts)| (name.clone(), without_what_squashfs_lacks(facts)));
    let wanted = wanted.collect();
    for options in [
        "-comp gzip",
        "-comp xz -b 1M",
        "-comp zstd -b 4K",
        "-comp lz4",
        "-no-fragments -noI -noD",
    ] {
        let file = scratch.path().join("image.squashfs");
        let options: Vec<_> = options.split(' ').collect();
        let most = [
            ".",
            file.to_str().unwrap(),
            "-noappend",
            "-quiet",
            "-no-progress",
        ];
        program("mksquashfs", &image, &[&most[..], &options].concat());
        let target = scratch.path().join(options.concat());
        unpack_files(&file, None, &target, IdMap::IDENTITY).unwrap();
        let mut got = facts::facts(&target.join("rootfs"));
        assert!(got[Path::new("var/only-hole")].is_sparse);
        for facts in got.values_mut() {
            *facts = without_what_squashfs_lacks(facts);
        }
        assert_same(&wanted, &got);
        assert!(target.join("templates/hosts.tpl").exists());
    }
}

#[test]
fn the_root_of_a_split_image_goes_into_rootfs_whole() {
    let (scratch, image) = rich_image();
    let metadata = scratch.path().join("metadata.tar");
    program(
        "tar",
        &image,
        &[
            "-cf",
            metadata.to_str().unwrap(),
            "metadata.yaml",
            "templates",
        ],
    );
    let wanted = facts::facts(&image.join("rootfs"));
    let tar = scratch.path().join("rootfs.tar");
    let options = [
        TAR,
        &[
            "--format=posix",
            "-C",
            "rootfs",
            "-f",
            tar.to_str().unwrap(),
            ".",
        ],
    ];
    program("tar", &image, &options.concat());
    let target = scratch.path().join("from-tar");
    unpack_files(&metadata, Some(&tar), &target, IdMap::IDENTITY).unwrap();
    assert_same(&wanted, &facts::facts(&target.join("rootfs")));

    let squashfs = scratch.path().join("rootfs.squashfs");
    let most = [
        "rootfs",
        squashfs.to_str().unwrap(),
        "-noappend",
        "-quiet",
        "-no-progress",
    ];
    program("mksquashfs", &image, &most);
    let target = scratch.path().join("from-squashfs");
    unpack_files(&metadata, Some(&squashfs), &target, IdMap::IDENTITY).unwrap();
    assert!(target.join("rootfs/etc/shadow").exists());
}

#[test]
fn extended_attributes_of_one_file_are_bounded() {
    // A file system with room for them.
    let scratch = TempDir::new_in("/dev/shm").unwrap();
    let image = scratch.path().join("image");
    fs::create_dir_all(image.join("rootfs")).unwrap();
    fs::write(image.join("metadata.yaml"), rich::METADATA).unwrap();
    let file = image.join("rootfs/file");
    fs::write(&file, "").unwrap();
    let value = vec![b'x'; 65_000];
    for (count, is_good) in [(15, true), (17, false)] {
        for number in 0..count {
            let name = format!("trusted.{number}");
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::lsetxattr(&file, &name, &value, flags).unwrap();
        }
        let squashfs = scratch.path().join(format!("{count}.squashfs"));
        let arguments = [".", squashfs.to_str().unwrap(), "-quiet", "-no-progress"];
        program("mksquashfs", &image, &arguments);
        let target = scratch.path().join(count.to_string());
        let outcome = unpack_files(&squashfs, None, &target, IdMap::IDENTITY);
        assert_eq!(outcome.is_ok(), is_good, "{outcome:?}");
        if let Err(error) = outcome {
            let text = "too many extended attributes";
            assert!(error.message().contains(text), "{error}");
        }
    }
}

/// A virtual machine's disk of 64 MiB with a little in it, and the image of it.
fn disk(scratch: &Path) -> PathBuf {
    let raw = File::create(scratch.join("raw")).unwrap();
    raw.write_all_at(&vec![7; 100_000], 5 << 20).unwrap();
    raw.set_len(64 << 20).unwrap();
    let options = [
        "convert",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "-c",
        "raw",
        "rootfs.img",
    ];
    program("qemu-img", scratch, &options);
    fs::write(scratch.join("metadata.yaml"), rich::METADATA).unwrap();
    scratch.join("raw")
}

#[test]
fn the_disk_of_a_virtual_machine_becomes_raw_and_stays_sparse() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path();
    let raw = fs::read(disk(path)).unwrap();
    program("tar", path, &["-cf", "metadata.tar", "metadata.yaml"]);
    program(
        "tar",
        path,
        &["-czf", "unified.tar.gz", "metadata.yaml", "rootfs.img"],
    );
    for (name, image, rootfs) in [
        ("split", "metadata.tar", Some(path.join("rootfs.img"))),
        ("unified", "unified.tar.gz", None),
    ] {
        let target = path.join(name);
        let image = path.join(image);
        let unpacked = unpack_files(&image, rootfs.as_deref(), &target, IdMap::IDENTITY).unwrap();
        assert_eq!(unpacked, ImageType::VirtualMachine);
        assert!(fs::read(target.join("root.img")).unwrap() == raw);
        let disk = fs::metadata(target.join("root.img")).unwrap();
        assert!(std::os::unix::fs::MetadataExt::blocks(&disk) < 4096);
        let mut names: Vec<_> = fs::read_dir(&target)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["metadata.yaml", "root.img"]);
    }
}

#[test]
fn what_a_disk_becomes_counts() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path();
    disk(path);
    program("tar", path, &["-cf", "metadata.tar", "metadata.yaml"]);
    let unpack_to = |name: &str, bytes| {
        let (image, rootfs) = (path.join("metadata.tar"), path.join("rootfs.img"));
        let limits = Limits {
            bytes,
            ratio: 0,
            ..Limits::default()
        };
        let target = path.join(name);
        unpack_within(&image, Some(&rootfs), &target, IdMap::IDENTITY, &limits)
    };
    let error = unpack_to("less", 50_000).unwrap_err();
    assert_eq!(error.message(), "Image unpacks to more than 50000 bytes");
    unpack_to("enough", 500_000).unwrap();
}

#[test]
fn a_disk_that_refers_to_another_is_never_converted() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path();
    disk(path);
    program("tar", path, &["-cf", "metadata.tar", "metadata.yaml"]);
    for (options, wanted) in [
        (
            &[
                "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "raw", "bad.img",
            ][..],
            "backing file",
        ),
        (
            &[
                "create",
                "-q",
                "-f",
                "qcow2",
                "-o",
                "data_file=x,data_file_raw=on",
                "bad.img",
                "1M",
            ],
            "data file",
        ),
        (
            &["create", "-q", "-f", "qcow2", "bad.img", "20T"],
            "more than",
        ),
    ] {
        program("qemu-img", path, options);
        let target = path.join(wanted);
        let (image, rootfs) = (path.join("metadata.tar"), path.join("bad.img"));
        let error = unpack_files(&image, Some(&rootfs), &target, IdMap::IDENTITY).unwrap_err();
        assert!(error.message().contains(wanted), "{error}");
        assert!(!target.join("root.img").exists());
    }
}
