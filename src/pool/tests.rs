//! Trees on a real file system, with real mounts. They are nowhere to be seen, except for those
//! that a test attaches and detaches.

use std::{
    fs,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use tempfile::TempDir;

use super::{Pool, SharedKey, TreeName, idmap::IdMap};
use crate::{
    error::{Error, Result},
    image::ImageType,
};

/// A pool of its own for a test.
struct Trial {
    home: TempDir,
    pool: Pool,
}

impl Trial {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let pool = Self::open(&home);
        Self { home, pool }
    }

    /// The same pool, as another daemon has it.
    fn open(home: &TempDir) -> Pool {
        let source = home.path().join("storage-pools/default");
        super::disk::private_directory(&source).unwrap();
        Pool::open(home.path(), &source).unwrap()
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.home.path().join("storage-pools/default").join(inside)
    }

    fn entries(&self, inside: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(inside)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A container from an image.
    fn container(&self, text: &str) -> TreeName {
        let name = name(text);
        let pending = self.pool.create_from_image(&name, &key(shifted()), unpack);
        pending.unwrap().finish().unwrap();
        name
    }

    /// The text of a file in a container.
    fn read(&self, name: &TreeName, path: &str) -> Option<String> {
        let mounted = self.pool.mount(name).unwrap();
        read_at(mounted.rootfs(), path)
    }

    fn write(&self, name: &TreeName, path: &str, text: &str) {
        let mounted = self.pool.mount(name).unwrap();
        write_at(mounted.rootfs(), path, text);
    }

    fn nothing_is_left_over(&self) {
        assert_eq!(self.entries(".staging"), [""; 0]);
        assert_eq!(self.entries(".pending"), [""; 0]);
    }
}

fn name(text: &str) -> TreeName {
    TreeName::instance(ImageType::Container, "default", text).unwrap()
}

fn shifted() -> IdMap {
    IdMap::new(100_000, 65_536).unwrap()
}

fn key(map: IdMap) -> SharedKey {
    SharedKey {
        fingerprint: "ab".repeat(32).parse().unwrap(),
        map,
    }
}

/// What an unpacker would do.
#[expect(clippy::unnecessary_wraps, reason = "an unpacker may fail")]
fn unpack(target: BorrowedFd<'_>) -> Result<()> {
    let make = |path| rustix::fs::mkdirat(target, path, Mode::from_raw_mode(0o755)).unwrap();
    for path in ["templates", "rootfs", "rootfs/etc", "rootfs/old"] {
        make(path);
    }
    write_at(target, "metadata.yaml", "architecture: x86_64\n");
    write_at(target, "templates/a.tpl", "a");
    write_at(target, "rootfs/etc/hostname", "image\n");
    write_at(target, "rootfs/old/file", "old\n");
    for path in ["rootfs", "rootfs/etc", "rootfs/etc/hostname", "rootfs/old"] {
        let (uid, gid) = (Uid::from_raw(100_000), Gid::from_raw(100_000));
        rustix::fs::chownat(target, path, Some(uid), Some(gid), AtFlags::empty()).unwrap();
    }
    Ok(())
}

fn never(_target: BorrowedFd<'_>) -> Result<()> {
    Err(Error::failed("unpacked again"))
}

fn read_at(directory: impl AsFd, path: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, path, flags, Mode::empty()).ok()?;
    Some(std::io::read_to_string(fs::File::from(file)).unwrap())
}

fn write_at(directory: impl AsFd, path: &str, text: &str) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let file = rustix::fs::openat(directory, path, flags, mode).unwrap();
    std::io::Write::write_all(&mut fs::File::from(file), text.as_bytes()).unwrap();
}

#[test]
fn an_image_is_unpacked_once_and_its_instances_differ() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let c2 = name("c2");
    let pending = trial.pool.create_from_image(&c2, &key(shifted()), never);
    pending.unwrap().finish().unwrap();

    trial.write(&c1, "etc/hostname", "c1\n");
    assert_eq!(trial.read(&c1, "etc/hostname").unwrap(), "c1\n");
    assert_eq!(trial.read(&c2, "etc/hostname").unwrap(), "image\n");
    assert_eq!(trial.entries("containers"), ["c1", "c2"]);
    assert_eq!(
        fs::read_to_string(trial.path("containers/c1/templates/a.tpl")).unwrap(),
        "a"
    );
    let link = trial.home.path().join("containers/c1");
    assert_eq!(fs::read_link(link).unwrap(), trial.path("containers/c1"));
    trial.nothing_is_left_over();
}

#[test]
fn only_the_containers_root_gets_to_its_tree() {
    let trial = Trial::new();
    trial.container("c1");
    let found = fs::metadata(trial.path("containers/c1")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o100, 100_000));
    for path in ["containers", "."] {
        let found = fs::metadata(trial.path(path)).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, 0o711, "{path}");
    }
    let found = fs::metadata(trial.path("images")).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o700);
}

#[test]
fn the_root_directory_is_the_images() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let mounted = trial.pool.mount(&c1).unwrap();
    let found = rustix::fs::statat(mounted.rootfs(), "etc/..", AtFlags::empty()).unwrap();
    assert_eq!((found.st_uid, found.st_mode & 0o7777), (100_000, 0o755));
    assert_eq!(mounted.map(), shifted());
}

#[test]
fn a_failing_unpacker_leaves_nothing() {
    let trial = Trial::new();
    let failing = |target: BorrowedFd<'_>| {
        unpack(target)?;
        Err(Error::failed("no more"))
    };
    let said = trial
        .pool
        .create_from_image(&name("c1"), &key(shifted()), failing);
    assert_eq!(said.unwrap_err().message(), "no more");
    assert_eq!(trial.entries("containers"), [""; 0]);
    assert_eq!(trial.entries("images"), [""; 0]);
    trial.nothing_is_left_over();
    trial.container("c1");
}

#[test]
fn a_tree_whose_row_fails_goes() {
    let trial = Trial::new();
    let pending = trial
        .pool
        .create_from_image(&name("c1"), &key(shifted()), unpack);
    assert_eq!(trial.entries("containers"), ["c1"]);
    drop(pending);
    assert_eq!(trial.entries("containers"), [""; 0]);
    trial.nothing_is_left_over();
}

#[test]
fn the_next_start_asks_the_database_about_a_tree() {
    for has_row in [true, false] {
        let trial = Trial::new();
        let made = trial
            .pool
            .create_from_image(&name("c1"), &key(shifted()), unpack);
        let mut pending = made.unwrap();
        pending.undecided();
        drop(pending);
        let pool = Trial::open(&trial.home);
        let recovered = pool
            .recover(&|found| *found == name("c1") && has_row)
            .unwrap();
        assert_eq!((recovered.unfinished, recovered.unknown), (1, vec![]));
        assert_eq!(pool.exists(&name("c1")), has_row);
        trial.nothing_is_left_over();
    }
}

#[test]
fn the_next_start_empties_staging_and_reports_what_it_does_not_know() {
    let trial = Trial::new();
    trial.container("c1");
    fs::create_dir_all(trial.path(".staging/x/tree/rootfs")).unwrap();
    fs::create_dir_all(trial.path("containers/stranger")).unwrap();
    fs::create_dir_all(trial.path(".pending")).unwrap();
    fs::write(trial.path(".pending/cut-short"), "{\"ma").unwrap();
    let recovered = trial.pool.recover(&|found| *found == name("c1")).unwrap();
    assert_eq!(recovered.unfinished, 2);
    assert_eq!(recovered.unknown, [trial.path("containers/stranger")]);
    assert_eq!(trial.entries("containers"), ["c1", "stranger"]);
    trial.nothing_is_left_over();
}

#[test]
fn snapshots_keep_what_was_and_give_it_back() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    trial.write(&c1, "new", "1");
    let mounted = trial.pool.mount(&c1).unwrap();
    let flags = AtFlags::empty();
    rustix::fs::unlinkat(mounted.rootfs(), "etc/hostname", flags).unwrap();
    rustix::fs::renameat(mounted.rootfs(), "old", mounted.rootfs(), "moved").unwrap();
    drop(mounted);
    let snapshot = c1.snapshot("s0").unwrap();
    let made = trial.pool.copy(&c1, &snapshot);
    made.unwrap().finish().unwrap();
    trial.write(&c1, "new", "2");
    trial.write(&c1, "moved/file", "2");

    let was = |name: &TreeName| {
        assert_eq!(trial.read(name, "new").unwrap(), "1");
        assert_eq!(trial.read(name, "etc/hostname"), None);
        assert_eq!(trial.read(name, "moved/file").unwrap(), "old\n");
        assert_eq!(trial.read(name, "old/file"), None);
    };
    was(&snapshot);
    let mounted = trial.pool.mount(&snapshot).unwrap();
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let refused = rustix::fs::openat(mounted.rootfs(), "x", flags, Mode::RWXU);
    assert_eq!(refused.unwrap_err(), rustix::io::Errno::ROFS);

    trial.pool.restore(&snapshot).unwrap();
    was(&c1);
    let c2 = name("c2");
    let made = trial.pool.copy(&snapshot, &c2);
    made.unwrap().finish().unwrap();
    was(&c2);
    trial.write(&c2, "etc/hostname", "c2");
    trial.nothing_is_left_over();
}

#[test]
fn an_instance_is_renamed_with_its_snapshots() {
    let trial = Trial::new();
    let (c1, c2) = (trial.container("c1"), name("c2"));
    let made = trial.pool.copy(&c1, &c1.snapshot("s0").unwrap());
    made.unwrap().finish().unwrap();
    let in_use = trial.pool.mount(&c1).unwrap();
    trial.pool.rename(&c1, &c2).unwrap().finish().unwrap();
    assert_eq!(trial.entries("containers"), ["c2"]);
    assert_eq!(trial.entries("containers-snapshots/c2"), ["s0"]);
    assert!(!trial.pool.exists(&c1));
    // Whoever used it goes on, in the same mount.
    write_at(in_use.rootfs(), "x", "x");
    assert_eq!(trial.read(&c2, "x").unwrap(), "x");
    assert!(!trial.home.path().join("containers/c1").exists());

    drop(trial.pool.rename(&c2, &c1).unwrap());
    assert_eq!(trial.entries("containers"), ["c2"]);
    assert_eq!(trial.entries("containers-snapshots/c2"), ["s0"]);
    trial.nothing_is_left_over();
}

#[test]
fn the_next_start_ends_a_rename() {
    for (row, expected) in [("c1", "c1"), ("c2", "c2")] {
        let trial = Trial::new();
        let c1 = trial.container("c1");
        let mut pending = trial.pool.rename(&c1, &name("c2")).unwrap();
        pending.undecided();
        drop(pending);
        let pool = Trial::open(&trial.home);
        pool.recover(&|found| *found == name(row)).unwrap();
        assert_eq!(trial.entries("containers"), [expected]);
    }
}

#[test]
fn a_removal_takes_the_snapshots_too_and_only_after_the_row() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let made = trial.pool.copy(&c1, &c1.snapshot("s0").unwrap());
    made.unwrap().finish().unwrap();
    drop(trial.pool.removal(&c1).unwrap());
    assert!(trial.pool.exists(&c1));
    trial.pool.removal(&c1).unwrap().finish().unwrap();
    assert_eq!(trial.entries("containers"), [""; 0]);
    assert_eq!(trial.entries("containers-snapshots"), [""; 0]);
    assert!(trial.pool.mount(&c1).is_err());
    trial.nothing_is_left_over();
}

#[test]
fn the_next_start_ends_a_removal() {
    for has_row in [true, false] {
        let trial = Trial::new();
        let c1 = trial.container("c1");
        let mut pending = trial.pool.removal(&c1).unwrap();
        pending.undecided();
        drop(pending);
        let pool = Trial::open(&trial.home);
        pool.recover(&|_| has_row).unwrap();
        assert_eq!(pool.exists(&c1), has_row);
        trial.nothing_is_left_over();
    }
}

#[test]
fn shared_trees_stay_as_long_as_anything_lies_on_them() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let snapshot = c1.snapshot("s0").unwrap();
    let made = trial.pool.copy(&c1, &snapshot);
    made.unwrap().finish().unwrap();
    let remove = || trial.pool.remove_unused_shared(&|_| false).unwrap();
    assert_eq!(remove(), []);
    let [(shared, size)] = &trial.pool.shared().unwrap()[..] else {
        panic!("one shared tree");
    };
    assert_eq!(*shared, key(shifted()));
    assert!(*size > 0);
    trial.pool.removal(&c1).unwrap().finish().unwrap();
    assert_eq!(trial.pool.remove_unused_shared(&|_| true).unwrap(), []);
    assert_eq!(remove(), [key(shifted())]);
    assert_eq!(trial.entries("images"), [""; 0]);
    trial.nothing_is_left_over();
}

#[test]
fn a_pool_that_goes_leaves_only_what_is_not_its_own() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    trial.pool.removal(&c1).unwrap().finish().unwrap();
    trial.pool.dismantle().unwrap();
    assert_eq!(trial.entries("."), [""; 0]);
    trial.container("c1");
    fs::write(trial.path("containers/mine"), "").unwrap();
    trial.pool.dismantle().unwrap();
    assert_eq!(trial.entries("containers"), ["c1", "mine"]);
    assert_eq!(trial.entries("images").len(), 1);
}

#[test]
fn a_shared_tree_that_is_another_is_refused() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let record = trial.path(&format!("images/{}/tree.json", key(shifted())));
    fs::write(record, r#"{"map":"100000-65536"}"#).unwrap();
    let said = trial.pool.mount(&c1).unwrap_err();
    let text = format!(
        "Failed to mount the instance's root file system: \
         The unpacked image {} is not what its name says",
        key(shifted())
    );
    assert_eq!(said.message(), text);
}

#[test]
fn a_mount_is_shared_and_goes_with_its_last_user() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let one = trial.pool.mount(&c1).unwrap();
    let other = trial.pool.mount(&c1).unwrap();
    let device = |mounted: &super::Mounted| rustix::fs::fstat(mounted.rootfs()).unwrap().st_dev;
    assert_eq!(device(&one), device(&other));
    assert!(!trial.pool.is_kept(&c1));
    assert_eq!(trial.pool.kept().unwrap(), []);
}

#[test]
fn a_running_containers_mount_outlives_the_daemon() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let in_use = trial.pool.mount(&c1).unwrap();
    let rootfs = trial.pool.keep_mounted(&c1).unwrap();
    assert_eq!(trial.pool.keep_mounted(&c1).unwrap(), rootfs);
    fs::write(rootfs.join("new"), "1").unwrap();
    assert_eq!(read_at(in_use.rootfs(), "new").unwrap(), "1");
    drop(in_use);

    let next = Trial::open(&trial.home);
    assert_eq!(next.kept().unwrap(), std::slice::from_ref(&c1));
    let taken_over = next.mount(&c1).unwrap();
    write_at(taken_over.rootfs(), "new", "2");
    assert_eq!(fs::read_to_string(rootfs.join("new")).unwrap(), "2");
    next.release(&c1).unwrap();
    next.release(&c1).unwrap();
    assert_eq!(next.kept().unwrap(), []);
    assert!(!rootfs.join("new").exists());
    assert_eq!(next.usage(&c1).unwrap() % 512, 0);
}

#[test]
fn device_nodes_open_nothing_where_ids_are_shifted() {
    let trial = Trial::new();
    let shared = trial.container("shared");
    let [plain, privileged] = [("plain", shifted()), ("privileged", IdMap::IDENTITY)];
    for (text, map) in [plain, privileged] {
        let pending = trial.pool.create_empty(&name(text), map);
        pending.unwrap().finish().unwrap();
    }
    for (name, opens) in [
        (&shared, false),
        (&name("plain"), false),
        (&name("privileged"), true),
    ] {
        let rootfs = trial.pool.keep_mounted(name).unwrap();
        let node = rootfs.join("zero");
        let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
        let device = rustix::fs::makedev(1, 5);
        rustix::fs::mknodat(rustix::fs::CWD, &node, kind, mode, device).unwrap();
        assert_eq!(fs::File::open(&node).is_ok(), opens, "{name}");
        // Also when it was mounted by an earlier start.
        trial.pool.keep_mounted(name).unwrap();
        assert_eq!(fs::File::open(&node).is_ok(), opens, "{name}");
        trial.pool.release(name).unwrap();
        assert!(!trial.pool.is_kept(name), "{name}");
    }
    let removal = trial.pool.removal(&name("plain")).unwrap();
    removal.finish().unwrap();
    trial.nothing_is_left_over();
}

#[test]
fn a_mount_that_somebody_still_holds_is_in_nobodys_way() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let held = trial.pool.mount(&c1).unwrap();
    for round in ["1", "2", "3"] {
        let rootfs = trial.pool.keep_mounted(&c1).unwrap();
        fs::write(rootfs.join("round"), round).unwrap();
        trial.pool.release(&c1).unwrap();
        assert!(!trial.pool.is_kept(&c1));
    }
    drop(held);
    assert_eq!(trial.read(&c1, "round").unwrap(), "3");
}

#[test]
fn a_tree_is_copied_to_another_file_system() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let content = "content\n".repeat(100_000);
    trial.write(&c1, "etc/new", &content);
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(memory.path()), device(trial.home.path()));
    let other = Pool::open(trial.home.path(), memory.path()).unwrap();
    let pending = other.copy_from(&trial.pool, &c1, &name("c2")).unwrap();
    pending.finish().unwrap();
    let mounted = other.mount(&name("c2")).unwrap();
    assert_eq!(read_at(mounted.rootfs(), "etc/new").unwrap(), content);
    assert_eq!(read_at(mounted.rootfs(), "old/file").unwrap(), "old\n");
}

#[test]
fn an_owner_whom_the_new_map_lacks_is_no_owner_of_the_hosts() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    trial.write(&c1, "mine", "mine");
    let owner = |id| {
        let mounted = trial.pool.mount(&c1).unwrap();
        let id = Some(Uid::from_raw(id));
        rustix::fs::chownat(mounted.rootfs(), "mine", id, None, AtFlags::empty()).unwrap();
    };
    let small = IdMap::new(300_000, 1000).unwrap();
    owner(101_000);
    let said = trial.pool.remap(&c1, small).unwrap_err();
    let text = "owner 1000 is not in the id map of 1000 ids";
    assert!(said.message().contains(text), "{said}");
    assert_eq!(trial.pool.map(&c1).unwrap(), shifted());
    assert_eq!(trial.read(&c1, "mine").unwrap(), "mine");
    owner(100_999);
    trial.pool.remap(&c1, small).unwrap();
    let found = trial.path("containers/c1/upper/mine").metadata().unwrap();
    assert_eq!(found.uid(), 300_999);
    trial.nothing_is_left_over();
}

#[test]
fn snapshots_go_along_with_a_new_name_or_nothing_does() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    let snapshot = c1.snapshot("s").unwrap();
    trial.pool.copy(&c1, &snapshot).unwrap().finish().unwrap();
    let leftover = trial.path("containers-snapshots/c2");
    fs::create_dir_all(leftover.join("of-whom")).unwrap();
    let said = trial.pool.rename(&c1, &name("c2")).unwrap_err();
    assert_eq!(said.message(), "There are files of snapshots of c2 already");
    assert!(trial.pool.exists(&snapshot));
    fs::remove_dir(leftover.join("of-whom")).unwrap();
    let pending = trial.pool.rename(&c1, &name("c2")).unwrap();
    pending.finish().unwrap();
    assert!(trial.pool.exists(&name("c2").snapshot("s").unwrap()));
    assert_eq!(trial.entries("containers-snapshots"), ["c2"]);
    trial.nothing_is_left_over();
}

#[test]
fn a_change_that_cannot_be_settled_does_not_keep_others_from_it() {
    let trial = Trial::new();
    let [c1, c2] = ["c1", "c2"].map(|text| trial.container(text));
    for name in [&c1, &c2] {
        let mut pending = trial.pool.removal(name).unwrap();
        pending.undecided();
    }
    let first = trial.path(".pending").join(&trial.entries(".pending")[0]);
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    let next = Trial::open(&trial.home);
    let found = next.recover(&|_| false).unwrap();
    assert_eq!((found.unfinished, found.unknown.len()), (1, 1));
    assert_eq!(trial.entries("containers").len(), 1);
}

#[test]
fn names_that_the_kernel_would_take_apart_are_fine() {
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("a:b,c\\d e");
    fs::create_dir(&source).unwrap();
    let pool = Pool::open(home.path(), &source).unwrap();
    let c1 = name("c1");
    let made = pool.create_from_image(&c1, &key(shifted()), unpack);
    made.unwrap().finish().unwrap();
    let mounted = pool.mount(&c1).unwrap();
    assert_eq!(
        read_at(mounted.rootfs(), "etc/hostname").unwrap(),
        "image\n"
    );
}

#[test]
fn owners_move_to_another_map() {
    let trial = Trial::new();
    let c1 = trial.container("c1");
    trial.write(&c1, "new", "1");
    let mounted = trial.pool.mount(&c1).unwrap();
    let (uid, gid) = (Uid::from_raw(100_005), Gid::from_raw(100_006));
    let flags = AtFlags::empty();
    rustix::fs::chownat(mounted.rootfs(), "new", Some(uid), Some(gid), flags).unwrap();
    let setuid = Mode::from_raw_mode(0o4755);
    rustix::fs::chmodat(mounted.rootfs(), "new", setuid, flags).unwrap();
    drop(mounted);
    trial.pool.remap(&c1, IdMap::IDENTITY).unwrap();
    let mounted = trial.pool.mount(&c1).unwrap();
    let owner = |path| {
        let found = rustix::fs::statat(mounted.rootfs(), path, flags).unwrap();
        (found.st_uid, found.st_gid, found.st_mode & 0o7777)
    };
    assert_eq!(owner("new"), (5, 6, 0o4755));
    assert_eq!(owner("etc/hostname"), (0, 0, 0o644));
    assert_eq!(owner("etc/.."), (0, 0, 0o755));
    assert_eq!(trial.pool.map(&c1).unwrap(), IdMap::IDENTITY);
    assert_eq!(trial.pool.shared().unwrap().len(), 2);
    trial.nothing_is_left_over();
}

/// Everything that a file has, to be compared.
fn described(path: &Path) -> String {
    let found = fs::symlink_metadata(path).unwrap();
    let owner = (
        found.uid(),
        found.gid(),
        found.mode(),
        found.rdev(),
        found.nlink(),
    );
    let times = (found.mtime(), found.mtime_nsec());
    let mut list = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    let names = list[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let mut attributes: Vec<_> = names
        .map(|name| {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect();
    attributes.sort();
    format!(
        "{owner:?} {times:?} {attributes:?} {}",
        found.blocks().min(8 * 4)
    )
}

#[test]
fn a_copy_has_every_attribute() {
    let home = tempfile::tempdir().unwrap();
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    for path in [&old, &new, &old.join("a"), &old.join("a/b")] {
        fs::create_dir(path).unwrap();
    }
    fs::write(old.join("file"), "x").unwrap();
    fs::hard_link(old.join("file"), old.join("a/b/linked")).unwrap();
    symlink("/nowhere", old.join("link")).unwrap();
    let special = |name: &str, kind, device| {
        let mode = Mode::from_raw_mode(0o640);
        rustix::fs::mknodat(rustix::fs::CWD, old.join(name), kind, mode, device).unwrap();
    };
    special("whiteout", FileType::CharacterDevice, 0);
    special("disk", FileType::BlockDevice, rustix::fs::makedev(7, 300));
    special("fifo", FileType::Fifo, 0);
    special("socket", FileType::Socket, 0);
    let sparse = fs::File::create(old.join("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1 << 20).unwrap();
    let set = |path: &str, name: &str, value: &[u8]| {
        let path = old.join(path);
        rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty()).unwrap();
    };
    set("a", "trusted.overlay.opaque", b"y");
    set("a", "user.x", &[7; 1000]);
    set("link", "trusted.x", b"1");
    set("fifo", "trusted.x", b"2");
    set(
        "file",
        "security.capability",
        &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    let acl = [
        2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 5, 0, 0, 0, 4, 0, 4, 0, 255, 255,
        255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
    ];
    set("sparse", "system.posix_acl_access", &acl);
    set("a/b", "system.posix_acl_default", &acl);
    for (path, mode) in [("file", 0o6755), ("a/b", 0o1777), ("fifo", 0o604)] {
        std::os::unix::fs::lchown(old.join(path), Some(5), Some(6)).unwrap();
        fs::set_permissions(old.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    set(
        "file",
        "security.capability",
        &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );

    let open = |path| super::staging::open(path).unwrap();
    super::copy::directory(open(&old).as_fd(), open(&new).as_fd(), None).unwrap();
    let names = [
        "",
        "file",
        "a",
        "a/b",
        "a/b/linked",
        "link",
        "whiteout",
        "disk",
        "fifo",
        "socket",
        "sparse",
    ];
    for name in names {
        assert_eq!(
            described(&new.join(name)),
            described(&old.join(name)),
            "{name}"
        );
    }
    let inode = |path: &str| fs::metadata(new.join(path)).unwrap().ino();
    assert_eq!(inode("file"), inode("a/b/linked"));
    assert!(fs::metadata(new.join("sparse")).unwrap().blocks() < 100);
    assert_eq!(
        fs::read(new.join("sparse")).unwrap(),
        fs::read(old.join("sparse")).unwrap()
    );
}
