//! Trees packed, and unpacked again by everybody.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::pool::unpack::tests::{
    facts::{assert_same, facts, shifted},
    program, rich, unpack_files,
};

fn pack_tree(root: &Path, templates: Option<&Path>, map: IdMap) -> Result<Vec<u8>> {
    let root = File::open(root).unwrap();
    let templates = templates.map(|templates| File::open(templates).unwrap());
    let tree = Tree {
        metadata: rich::METADATA.as_bytes(),
        metadata_modified: 1_424_284_563,
        root: Root::Directory(root.as_fd()),
        templates: templates.as_ref().map(AsFd::as_fd),
    };
    let cancel = CancellationToken::new();
    let watch = Watch {
        progress: &|_| {},
        cancel: &cancel,
    };
    let mut sink = Vec::new();
    pack(&tree, map, &mut sink, &watch)?;
    Ok(sink)
}

fn rich_root() -> TempDir {
    let root = TempDir::new().unwrap();
    rich::fill(root.path());
    root
}

#[test]
fn what_is_packed_unpacks_to_the_same_by_us_and_by_tar() {
    let root = rich_root();
    let wanted = facts(root.path());
    let bytes = pack_tree(root.path(), None, IdMap::IDENTITY).unwrap();
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("image.tar");
    fs::write(&file, &bytes).unwrap();
    assert!(bytes.len() < 12 << 20, "holes are not packed");

    let ours = scratch.path().join("ours");
    unpack_files(&file, None, &ours, IdMap::IDENTITY).unwrap();
    assert_same(&wanted, &facts(&ours.join("rootfs")));

    let tars = scratch.path().join("tars");
    fs::create_dir(&tars).unwrap();
    let options = [
        "--extract",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "-f",
    ];
    program(
        "tar",
        &tars,
        &[&options[..], &[file.to_str().unwrap()]].concat(),
    );
    assert_same(&wanted, &facts(&tars.join("rootfs")));
}

#[test]
fn the_same_tree_gives_the_same_bytes_and_names_come_in_order() {
    let root = rich_root();
    let one = pack_tree(root.path(), None, IdMap::IDENTITY).unwrap();
    let other = pack_tree(root.path(), None, IdMap::IDENTITY).unwrap();
    assert!(one == other);
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("image.tar");
    fs::write(&file, &one).unwrap();
    let again = scratch.path().join("again");
    unpack_files(&file, None, &again, IdMap::IDENTITY).unwrap();
    let third = pack_tree(&again.join("rootfs"), None, IdMap::IDENTITY).unwrap();
    assert!(one == third, "a tree that was unpacked is packed the same");
}

#[test]
fn owners_are_the_containers_own() {
    let root = rich_root();
    let wanted = facts(root.path());
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("image.tar");
    fs::write(
        &file,
        pack_tree(root.path(), None, IdMap::IDENTITY).unwrap(),
    )
    .unwrap();
    let map = IdMap::new(1_000_000, 65_536).unwrap();
    let host = scratch.path().join("host");
    unpack_files(&file, None, &host, map).unwrap();
    assert_same(&shifted(&wanted, map), &facts(&host.join("rootfs")));
    let back = pack_tree(&host.join("rootfs"), None, map).unwrap();
    assert!(fs::read(&file).unwrap() == back);
    let error = pack_tree(root.path(), None, map).unwrap_err();
    assert!(
        error.message().contains("outside of the instance's id map"),
        "{error}"
    );
}
