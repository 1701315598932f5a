//! The store on a temporary directory: staging, commit, removal, and what a sweep does.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::image::{Layout, Part};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn staged(store: &Store, image: &'static [u8], rootfs: Option<&'static [u8]>) -> Staged {
    let mut incoming = store.receive().unwrap();
    incoming.begin(Part::Image).unwrap();
    incoming.write(image.into()).unwrap();
    if let Some(rootfs) = rootfs {
        incoming.begin(Part::Rootfs).unwrap();
        incoming.write(rootfs.into()).unwrap();
    }
    incoming.finish().unwrap().sync().unwrap()
}

fn entries(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[tokio::test]
async fn a_split_image_is_hashed_as_one_and_placed_as_two_read_only_files() {
    let (dir, store) = store();
    let whole = staged(&store, b"metarootfs", None).fingerprint().clone();
    let split = staged(&store, b"meta", Some(b"rootfs"));
    assert_eq!(split.fingerprint(), &whole);
    assert_eq!(
        split.layout(),
        Layout::Split {
            metadata_size_bytes: 4,
            rootfs_size_bytes: 6
        }
    );
    let held = store.lock(&whole).await;
    store.place(split, &held).unwrap().undecided().keep();
    let rootfs = dir.path().join(format!("images/{whole}.rootfs"));
    assert_eq!(fs::read(&rootfs).unwrap(), b"rootfs");
    assert_eq!(
        fs::metadata(&rootfs).unwrap().permissions().mode() & 0o777,
        0o400
    );
    assert_eq!(entries(&dir.path().join("staging")), 0);
}

#[tokio::test]
async fn what_was_placed_but_not_kept_is_taken_back() {
    let (dir, store) = store();
    let staged = staged(&store, b"meta", Some(b"rootfs"));
    let held = store.lock(staged.fingerprint()).await;
    drop(store.place(staged, &held).unwrap());
    assert_eq!(entries(&dir.path().join("images")), 0);
    assert_eq!(entries(&dir.path().join("staging")), 0);
}

#[tokio::test]
async fn a_sweep_removes_what_a_marker_says_and_sets_strangers_aside() {
    let (dir, store) = store();
    let unfinished = staged(&store, b"unfinished", None);
    let held = store.lock(unfinished.fingerprint()).await;
    drop(store.place(unfinished, &held).unwrap().undecided());
    let stranger = "ab".repeat(32);
    fs::write(dir.path().join("images").join(&stranger), "bytes").unwrap();
    let swept = store.sweep(&BTreeMap::new(), &[]).unwrap();
    assert_eq!(swept.unfinished, 1);
    assert_eq!(swept.quarantined, std::slice::from_ref(&stranger));
    assert_eq!(entries(&dir.path().join("images")), 0);
    assert_eq!(entries(&dir.path().join("staging")), 0);
    assert_eq!(
        fs::read(dir.path().join("quarantine").join(stranger)).unwrap(),
        b"bytes"
    );
}

#[tokio::test]
async fn a_sweep_finishes_removals_and_tells_of_missing_files() {
    let (dir, store) = store();
    let removed = staged(&store, b"removed", None);
    let removed_name = removed.fingerprint().clone();
    let held = store.lock(&removed_name).await;
    store.place(removed, &held).unwrap().undecided().keep();
    let missing: Fingerprint = "cd".repeat(32).parse().unwrap();
    let known = BTreeMap::from([(missing.clone(), Layout::Unified { size_bytes: 1 })]);
    let swept = store.sweep(&known, &[removed_name]).unwrap();
    assert_eq!(swept.damaged, [missing.to_string()]);
    assert!(swept.quarantined.is_empty());
    assert_eq!(entries(&dir.path().join("images")), 0);
}
