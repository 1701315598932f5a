//! Trees packed, and unpacked again by everybody.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
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
        format: Format::Tar,
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
fn blocks_that_a_file_system_keeps_for_a_file_make_no_difference() {
    let trees = [false, true].map(|is_kept| {
        let root = TempDir::new().unwrap();
        let file = File::create(root.path().join("sparse")).unwrap();
        file.set_len(4 << 20).unwrap();
        if is_kept {
            let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&file, flags, 0, 8 << 20).unwrap();
        }
        std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4096], 1 << 20).unwrap();
        let modified = std::time::UNIX_EPOCH;
        file.set_modified(modified).unwrap();
        File::open(root.path())
            .unwrap()
            .set_modified(modified)
            .unwrap();
        let packed = pack_tree(root.path(), None, IdMap::IDENTITY).unwrap();
        assert!(packed.len() < 1 << 20, "holes are not packed");
        packed
    });
    assert!(trees[0] == trees[1]);
}

#[test]
fn extended_attributes_that_no_import_takes_are_not_packed() {
    // A file system with room for them.
    let root = TempDir::new_in("/dev/shm").unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for number in 0..17 {
        let name = format!("trusted.{number}");
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::lsetxattr(&file, &name, &[b'x'; 10_000].repeat(6), flags).unwrap();
        let packed = pack_tree(root.path(), None, IdMap::IDENTITY);
        assert_eq!(packed.is_ok(), number < 16, "{number}");
        if let Err(error) = packed {
            let text =
                "Failed to read \"rootfs/file\": it has more than 1015808 bytes of attributes";
            assert_eq!(error.message(), text);
        }
    }
}

#[test]
fn a_squashfs_has_no_room_for_acls() {
    let root = rich_root();
    let directory = File::open(root.path()).unwrap();
    let tree = |format| Tree {
        metadata: rich::METADATA.as_bytes(),
        metadata_modified: 0,
        root: Root::Directory(directory.as_fd()),
        templates: None,
        format,
    };
    let cancel = CancellationToken::new();
    let watch = Watch {
        progress: &|_| {},
        cancel: &cancel,
    };
    for (format, left_out, has_acls) in [(Format::Tar, 0, true), (Format::Squashfs, 3, false)] {
        let mut sink = Vec::new();
        let packed = pack(&tree(format), IdMap::IDENTITY, &mut sink, &watch);
        assert_eq!(packed.unwrap(), left_out);
        let acl = b"SCHILY.xattr.system.posix_acl_access";
        let found = sink.windows(acl.len()).any(|window| window == acl);
        assert_eq!(found, has_acls);
    }
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

#[test]
fn sockets_and_what_is_gone_are_left_out_and_links_are_not_followed() {
    let root = TempDir::new().unwrap();
    let path = root.path();
    let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", path.join("directory")).unwrap();
    let bytes = pack_tree(path, None, IdMap::IDENTITY).unwrap();
    let names = names(&bytes);
    let wanted = ["metadata.yaml", "rootfs", "rootfs/directory", "rootfs/link"];
    assert_eq!(names, wanted);
}

fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

#[test]
fn templates_are_files_of_roots_and_nothing_else() {
    let root = TempDir::new().unwrap();
    let templates = TempDir::new().unwrap();
    fs::write(templates.path().join("b"), "b").unwrap();
    fs::write(templates.path().join("a"), "a").unwrap();
    let bytes = pack_tree(root.path(), Some(templates.path()), IdMap::IDENTITY).unwrap();
    let wanted = [
        "metadata.yaml",
        "rootfs",
        "templates",
        "templates/a",
        "templates/b",
    ];
    assert_eq!(names(&bytes), wanted);
    std::os::unix::fs::symlink("/etc/passwd", templates.path().join("c")).unwrap();
    let error = pack_tree(root.path(), Some(templates.path()), IdMap::IDENTITY).unwrap_err();
    assert!(error.message().contains("no file in place of"), "{error}");
    fs::remove_file(templates.path().join("c")).unwrap();
    program("mkfifo", templates.path(), &["c"]);
    let error = pack_tree(root.path(), Some(templates.path()), IdMap::IDENTITY).unwrap_err();
    assert!(error.message().contains("no file in place of"), "{error}");
}

/// Ends a thread that changes things, also when the test fails.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Somebody swaps names while a tree is packed: what is packed is one or the other, and never
/// what a link leads to.
#[test]
fn a_tree_that_changes_while_it_is_packed_shows_nothing_from_outside() {
    let root = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("secret"), "SECRET").unwrap();
    let path = root.path();
    for n in 0..40 {
        fs::create_dir(path.join(format!("d{n}"))).unwrap();
        fs::write(path.join(format!("d{n}/secret")), "public").unwrap();
        fs::write(path.join(format!("f{n}")), "public").unwrap();
    }
    std::os::unix::fs::symlink(outside.path(), path.join("to-directory")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), path.join("to-file")).unwrap();
    program("mkfifo", path, &["to-pipe"]);
    let is_over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(is_over);
        scope.spawn(move || {
            let swap = |one: &str, other: &str| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let directory = File::open(path).unwrap();
                rustix::fs::renameat_with(&directory, one, &directory, other, flags).unwrap();
            };
            while !is_over.load(Ordering::Relaxed) {
                for n in 0..40 {
                    swap("to-directory", &format!("d{n}"));
                    swap("to-file", &format!("f{n}"));
                    swap("to-pipe", &format!("f{n}"));
                    swap("to-pipe", &format!("f{n}"));
                    swap("to-file", &format!("f{n}"));
                    swap("to-directory", &format!("d{n}"));
                }
            }
        });
        for _ in 0..50 {
            let bytes = pack_tree(path, None, IdMap::IDENTITY).unwrap();
            let is_inside = |window: &[u8]| window == b"SECRET";
            assert!(!bytes.windows(6).any(is_inside));
        }
    });
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_packed_keeps_the_archive_whole() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("log");
    fs::write(&path, vec![7; 3 << 20]).unwrap();
    fs::write(root.path().join("z"), "after").unwrap();
    let (is_over, path) = (&AtomicBool::new(false), &path);
    std::thread::scope(|scope| {
        let _over = Over(is_over);
        scope.spawn(move || {
            let file = File::options().write(true).open(path).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                file.set_len(10).unwrap();
                file.set_len(5 << 20).unwrap();
            }
        });
        for _ in 0..20 {
            let bytes = pack_tree(root.path(), None, IdMap::IDENTITY).unwrap();
            // With holes in it, the file goes by another name in the header.
            let found = names(&bytes).into_iter();
            let found: Vec<_> = found
                .map(|name| name.replace("GNUSparseFile.0", "rootfs"))
                .collect();
            let wanted = ["metadata.yaml", "rootfs", "rootfs/log", "rootfs/z"];
            assert_eq!(found, wanted);
        }
    });
}

#[test]
fn trees_without_end_are_refused() {
    let root = TempDir::new().unwrap();
    let deep = |depth: usize| {
        let mut directory = std::os::fd::OwnedFd::from(File::open(root.path()).unwrap());
        for _ in 0..depth {
            // What is there already is fine.
            rustix::fs::mkdirat(&directory, "d", rustix::fs::Mode::RWXU).unwrap_or(());
            directory = beneath::open_directory(&directory, "d").unwrap();
        }
    };
    deep(511);
    pack_tree(root.path(), None, IdMap::IDENTITY).unwrap();
    deep(512);
    let error = pack_tree(root.path(), None, IdMap::IDENTITY).unwrap_err();
    assert!(error.message().contains("512 deep"), "{error}");
    program("rm", root.path(), &["-rf", "d"]);
}

#[test]
fn what_nobody_takes_any_more_ends() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| {
                std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error())
            })?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let root = rich_root();
    let directory = File::open(root.path()).unwrap();
    let tree = Tree {
        metadata: b"",
        metadata_modified: 0,
        root: Root::Directory(directory.as_fd()),
        templates: None,
        format: Format::Tar,
    };
    let cancel = CancellationToken::new();
    let watch = Watch {
        progress: &|_| {},
        cancel: &cancel,
    };
    let error = pack(&tree, IdMap::IDENTITY, &mut Full(1 << 20), &watch).unwrap_err();
    assert_eq!(error.message(), "No space left on device");
    cancel.cancel();
    let error = pack(&tree, IdMap::IDENTITY, &mut Vec::new(), &watch).unwrap_err();
    assert_eq!(error.message(), "Operation was cancelled");
}

#[test]
fn the_disk_of_a_virtual_machine_goes_there_and_back() {
    let scratch = TempDir::new().unwrap();
    let raw = scratch.path().join("root.img");
    let disk = File::create(&raw).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&disk, &vec![7; 100_000], 3 << 20).unwrap();
    disk.set_len(16 << 20).unwrap();
    let (disk, directory) = (
        File::open(&raw).unwrap(),
        File::open(scratch.path()).unwrap(),
    );
    let tree = Tree {
        metadata: rich::METADATA.as_bytes(),
        metadata_modified: 0,
        root: Root::Disk {
            disk: disk.as_fd(),
            scratch: directory.as_fd(),
        },
        templates: None,
        format: Format::Tar,
    };
    let cancel = CancellationToken::new();
    let watch = Watch {
        progress: &|_| {},
        cancel: &cancel,
    };
    let mut sink = Vec::new();
    pack(&tree, IdMap::IDENTITY, &mut sink, &watch).unwrap();
    assert_eq!(names(&sink), ["metadata.yaml", "rootfs.img"]);
    let image = scratch.path().join("image.tar");
    fs::write(&image, &sink).unwrap();
    let out = scratch.path().join("out");
    unpack_files(&image, None, &out, IdMap::IDENTITY).unwrap();
    assert!(fs::read(out.join("root.img")).unwrap() == fs::read(&raw).unwrap());
}
