//! Images made by the usual programs, unpacked and compared in everything.

pub(in crate::pool) mod facts;
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
) -> Result<Unpacked> {
    unpack_within(image, rootfs, target, map, &Limits::default())
}

fn unpack_within(
    image: &Path,
    rootfs: Option<&Path>,
    target: &Path,
    map: IdMap,
    limits: &Limits,
) -> Result<Unpacked> {
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
        assert_eq!(unpacked.kind, ImageType::Container);
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
