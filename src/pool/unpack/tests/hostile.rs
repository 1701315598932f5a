//! Images that want to be somewhere else, something else, or more than there is room for.

use std::{
    fs::{self, File},
    io::Write,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{program, rich::METADATA, unpack_files, unpack_within};
use crate::pool::{
    idmap::IdMap,
    unpack::{ImageFiles, Limits, unpack},
    watch::Watch,
};

/// An entry of an archive.
pub(super) fn entry(name: &str, flag: u8, data: &[u8], link: &str) -> Vec<u8> {
    let mut block = vec![0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000755\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", data.len()).as_bytes());
    put(136, b"00000000001\0");
    put(148, b"        ");
    put(156, &[flag]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    if matches!(flag, b'3' | b'4') {
        put(329, b"0000001\0");
        put(337, b"0000003\0");
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend(data);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

/// Extended records for the entry after them.
fn records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 9)
            .find(|length| length.to_string().len() + rest == *length)
            .unwrap();
        data.extend(format!("{length} {key}=").bytes());
        data.extend(*value);
        data.push(b'\n');
    }
    entry("records", b'x', &data, "")
}

fn file(name: &str) -> Vec<u8> {
    entry(name, b'0', b"data", "")
}

fn directory(name: &str) -> Vec<u8> {
    entry(name, b'5', b"", "")
}

fn link(name: &str, to: &str) -> Vec<u8> {
    entry(name, b'2', b"", to)
}

fn hard(name: &str, to: &str) -> Vec<u8> {
    entry(name, b'1', b"", to)
}

/// Somewhere to unpack to, with something next to it that must not change.
struct Place {
    scratch: TempDir,
}

impl Place {
    fn new() -> Self {
        let scratch = TempDir::new().unwrap();
        fs::write(scratch.path().join("sentinel"), "untouched").unwrap();
        fs::create_dir(scratch.path().join("elsewhere")).unwrap();
        Self { scratch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn unpack_with(&self, entries: &[Vec<u8>], limits: &Limits) -> Result<PathBuf, String> {
        let target = self.path("out");
        if target.exists() {
            fs::remove_dir_all(&target).unwrap();
        }
        let good = [
            entry("metadata.yaml", b'0', METADATA.as_bytes(), ""),
            directory("rootfs/"),
        ];
        let mut archive = [good.concat(), entries.concat()].concat();
        archive.resize(archive.len() + 1024, 0);
        let image = self.path("image.tar");
        fs::write(&image, archive).unwrap();
        let outcome = unpack_within(&image, None, &target, IdMap::IDENTITY, limits);
        self.check();
        outcome
            .map(|_| target)
            .map_err(|error| error.message().to_owned())
    }

    fn unpack(&self, entries: &[Vec<u8>]) -> Result<PathBuf, String> {
        self.unpack_with(entries, &Limits::default())
    }

    fn check(&self) {
        let sentinel = self.path("sentinel");
        assert_eq!(fs::read(&sentinel).unwrap(), b"untouched");
        assert_eq!(fs::metadata(&sentinel).unwrap().mode() & 0o777, 0o644);
        assert_eq!(fs::metadata(&sentinel).unwrap().nlink(), 1);
        assert_eq!(fs::read_dir(self.path("elsewhere")).unwrap().count(), 0);
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let place = Place::new();
    let sentinel = place.path("sentinel");
    let sentinel = sentinel.to_str().unwrap();
    for (entries, reason) in [
        (vec![file("rootfs/../sentinel")], "\"..\""),
        (vec![file("../sentinel")], "\"..\""),
        (vec![file("templates/../../sentinel")], "\"..\""),
        (vec![file("/../rootfs/x")], "\"..\""),
        (
            vec![link("rootfs/l", ".."), file("rootfs/l/sentinel")],
            "behind a link",
        ),
        (
            vec![link("rootfs/l", "/"), file("rootfs/l/etc/x")],
            "behind a link",
        ),
        (
            vec![link("rootfs/l", "."), directory("rootfs/l/x")],
            "behind a link",
        ),
        (
            vec![link("rootfs/l", "../elsewhere"), link("rootfs/l/x", "y")],
            "behind a link",
        ),
        (
            vec![
                link("rootfs/l", ".."),
                hard("rootfs/x", "rootfs/l/sentinel"),
            ],
            "behind a link",
        ),
        (
            vec![link("rootfs/l", "../elsewhere"), directory("rootfs/l/")],
            "duplicate",
        ),
        (vec![file("rootfs/f"), file("rootfs/f/x")], "behind a link"),
        (vec![hard("rootfs/x", "sentinel")], "outside of its root"),
        (
            vec![hard("rootfs/x", "metadata.yaml")],
            "outside of its root",
        ),
        (vec![hard("rootfs/x", "../sentinel")], "\"..\""),
        (vec![hard("rootfs/x", sentinel)], "outside of its root"),
        (vec![hard("rootfs/x", "rootfs/missing")], "not there"),
        (vec![hard("rootfs/x", "rootfs")], "outside of its root"),
        (vec![link("templates", "/etc")], "link in place of"),
        (
            vec![link("templates/x", "/etc/passwd")],
            "no file in place of the template",
        ),
        (
            vec![hard("templates/x", "metadata.yaml")],
            "no file in place of the template",
        ),
        (
            vec![entry("templates/x", b'6', b"", "")],
            "no file in place of the template",
        ),
        (vec![link("rootfs", "/")], "duplicate"),
        (vec![link(".", "/")], "root"),
        (vec![file("metadata.yaml")], "duplicate"),
        (vec![file("./metadata.yaml")], "duplicate"),
    ] {
        let error = place.unpack(&entries).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn nothing_but_what_belongs_to_an_image_leaves_it() {
    let place = Place::new();
    let target = place.unpack(&[
        link("exec-output", "/"),
        file("backup.yaml"),
        directory("state"),
        file("state/x"),
        link("snapshots", "/etc"),
        hard("snapshots2", "metadata.yaml"),
        entry("disk", b'4', b"", ""),
        file("rootfs/kept"),
    ]);
    let names = fs::read_dir(target.unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["metadata.yaml", "rootfs"]);
}

#[test]
fn nothing_takes_the_place_of_another_thing() {
    let place = Place::new();
    let kinds = [
        file("rootfs/x"),
        directory("rootfs/x"),
        link("rootfs/x", "../../sentinel"),
        hard("rootfs/x", "rootfs/other"),
        entry("rootfs/x", b'3', b"", ""),
        entry("rootfs/x", b'6', b"", ""),
    ];
    for (index, one) in kinds.iter().enumerate() {
        for (other_index, other) in kinds.iter().enumerate() {
            let outcome = place.unpack(&[file("rootfs/other"), one.clone(), other.clone()]);
            if (index, other_index) == (1, 1) {
                outcome.unwrap();
            } else {
                let error = outcome.unwrap_err();
                assert!(
                    error.contains("duplicate entry \"x\""),
                    "{index} {other_index}: {error}"
                );
            }
        }
    }
}

#[test]
fn a_link_that_has_another_name_is_not_followed() {
    let place = Place::new();
    let target = place.unpack(&[
        link("rootfs/l", "../../sentinel"),
        hard("rootfs/m", "rootfs/l"),
    ]);
    let target = target.unwrap();
    let metadata = fs::symlink_metadata(target.join("rootfs/m")).unwrap();
    assert!(metadata.is_symlink());
    assert_eq!(metadata.nlink(), 2);
}

#[test]
fn directories_without_entries_come_into_being_and_later_ones_count() {
    let place = Place::new();
    let target = place
        .unpack(&[file("rootfs/a/b/c"), directory("rootfs/a")])
        .unwrap();
    assert_eq!(fs::read(target.join("rootfs/a/b/c")).unwrap(), b"data");
    let mode = |name: &str| fs::metadata(target.join(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("rootfs/a/b"), 0o755);
    assert_eq!(fs::metadata(target.join("rootfs/a")).unwrap().mtime(), 1);
}

#[test]
fn each_limit_is_one_under_and_one_over() {
    let place = Place::new();
    let deep = |depth: usize| vec![directory(&format!("rootfs{}", "/d".repeat(depth)))];
    let six = || {
        (0..6)
            .map(|n| file(&format!("rootfs/{n}")))
            .collect::<Vec<_>>()
    };
    let long = || vec![entry("rootfs/long", b'0', &[7; 5000], "")];
    let limits = Limits::default;
    let cases = [
        (
            six(),
            Limits {
                entries: 8,
                ..limits()
            },
            Limits {
                entries: 7,
                ..limits()
            },
            "entries",
        ),
        (
            six(),
            Limits {
                bytes: 24,
                ratio: 0,
                ..limits()
            },
            Limits {
                bytes: 23,
                ratio: 0,
                ..limits()
            },
            "unpacks to more",
        ),
        (
            deep(9),
            Limits {
                depth: 10,
                ..limits()
            },
            Limits {
                depth: 9,
                ..limits()
            },
            "deep",
        ),
        (
            vec![entry("rootfs/long", b'0', &[7; 300_000], "")],
            Limits {
                file_bytes: 300_000,
                ..limits()
            },
            Limits {
                file_bytes: 299_999,
                ..limits()
            },
            "file of more than",
        ),
    ];
    for (entries, enough, too_little, reason) in cases {
        place.unpack_with(&entries, &enough).unwrap();
        let error = place.unpack_with(&entries, &too_little).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    let no_time = Limits {
        time: std::time::Duration::ZERO,
        bytes_per_second: u64::MAX,
        ..limits()
    };
    let error = place.unpack_with(&long(), &no_time).unwrap_err();
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn templates_are_few_and_short() {
    let place = Place::new();
    let long = |length: usize| vec![entry("templates/x", b'0', &vec![b'x'; length], "")];
    place.unpack(&long(1 << 20)).unwrap();
    let error = place.unpack(&long((1 << 20) + 1)).unwrap_err();
    assert!(error.contains("larger than"), "{error}");
    let many = |count: usize| -> Vec<_> {
        (0..count)
            .map(|n| file(&format!("templates/{n}")))
            .collect()
    };
    place.unpack(&many(256)).unwrap();
    let error = place.unpack(&many(257)).unwrap_err();
    assert!(error.contains("more than 256 templates"), "{error}");
    let target = place.unpack(&[file("templates/a/b/c")]).unwrap();
    assert!(target.join("templates/a/b/c").exists());
}

#[test]
fn what_overlays_would_take_for_orders_does_not_come_from_an_image() {
    let place = Place::new();
    let with = |name: &'static str| {
        let record = [(name, &b"y"[..])];
        [records(&record), directory("rootfs/d")]
    };
    let target = place
        .unpack(&with("SCHILY.xattr.trusted.overlay.opaque"))
        .unwrap();
    let mut names = [0; 1000];
    let count = rustix::fs::llistxattr(target.join("rootfs/d"), &mut names).unwrap();
    assert_eq!(count, 0);
    place.unpack(&with("SCHILY.xattr.trusted.other")).unwrap();
}

#[test]
fn ids_outside_of_the_map_are_refused() {
    let place = Place::new();
    let map = IdMap::new(1_000_000, 10).unwrap();
    for (key, value) in [("uid", &b"10"[..]), ("gid", b"4294967295")] {
        let entries = [
            entry("metadata.yaml", b'0', METADATA.as_bytes(), ""),
            records(&[(key, value)]),
            file("rootfs/x"),
            vec![0; 1024],
        ];
        let image = place.path("image.tar");
        fs::write(&image, entries.concat()).unwrap();
        let error = unpack_files(&image, None, &place.path(key), map).unwrap_err();
        assert!(error.message().contains("id map"), "{error}");
    }
}

#[test]
fn access_lists_of_text_are_taken_as_well() {
    let place = Place::new();
    let acl = b"user::rwx,user:11:r--,group::r-x,mask::r-x,other::---";
    let target = place
        .unpack(&[records(&[("SCHILY.acl.access", acl)]), file("rootfs/x")])
        .unwrap();
    let mut value = [0; 1000];
    let path = target.join("rootfs/x");
    let count = rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut value).unwrap();
    assert_eq!(count, 4 + 5 * 8);
    assert_eq!(value[12..20], [2, 0, 4, 0, 11, 0, 0, 0]);
    // LXD writes them as the kernel has them.
    let target = place
        .unpack(&[
            records(&[("SCHILY.acl.access", &value[..count])]),
            file("rootfs/x"),
        ])
        .unwrap();
    let mut again = [0; 1000];
    let path = target.join("rootfs/x");
    let same = rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut again).unwrap();
    assert_eq!(again[..same], value[..count]);
}

#[test]
fn an_access_list_of_somebody_unknown_is_left_out() {
    let place = Place::new();
    let acls = [
        &b"user::rwx,user:lisa:r,group::r,mask::r,other::r"[..],
        b"user::rwx,user:4294967295:r,group::r,mask::r,other::r",
        b"user::rwx,user:11:r,group::r,other::r",
        b"user::rwx,nonsense",
        b"\x02\0\0\0\x01",
    ];
    for acl in acls {
        for key in ["SCHILY.acl.access", "SCHILY.xattr.system.posix_acl_access"] {
            let target = place
                .unpack(&[records(&[(key, acl)]), file("rootfs/x")])
                .unwrap();
            let mut names = [0; 1000];
            let count = rustix::fs::llistxattr(target.join("rootfs/x"), &mut names).unwrap();
            assert_eq!(count, 0, "{key}");
        }
    }
}

#[test]
fn what_nobody_wants_counts_as_well() {
    let place = Place::new();
    let limits = Limits {
        bytes: 500_000,
        ratio: 0,
        ..Limits::default()
    };
    let long = entry("backup.yaml", b'0', &vec![0; 1_000_000], "");
    let error = place.unpack_with(&[long], &limits).unwrap_err();
    assert!(error.contains("more than 500000 bytes"), "{error}");
    let noise = "x".repeat(60_000);
    let attributes = [
        ("SCHILY.xattr.user.a", noise.as_bytes()),
        ("SCHILY.xattr.user.b", noise.as_bytes()),
    ];
    let many: Vec<_> = (0..10)
        .flat_map(|n| [records(&attributes), directory(&format!("rootfs/{n}"))])
        .collect();
    let error = place.unpack_with(&many, &limits).unwrap_err();
    assert!(error.contains("more than 500000 bytes"), "{error}");
}

#[test]
fn what_is_cut_off_anywhere_is_refused_and_nothing_waits_for_the_rest() {
    let place = Place::new();
    let mut entries = vec![entry("metadata.yaml", b'0', METADATA.as_bytes(), "")];
    entries.extend((0..20).map(|n| entry(&format!("rootfs/{n}"), b'0', &[n; 3000], "")));
    let whole = [entries.concat(), vec![0; 1024]].concat();
    let image = place.path("image");
    for (name, packed) in [
        ("gzip", gzip(&whole)),
        ("zstd", zstd::encode_all(&*whole, 1).unwrap()),
        ("xz", xz(&whole)),
    ] {
        for cut in (1..packed.len() - 8).step_by(packed.len() / 20 + 1) {
            fs::write(&image, &packed[..cut]).unwrap();
            let target = place.path(&format!("{name}-{cut}"));
            unpack_files(&image, None, &target, IdMap::IDENTITY).unwrap_err();
        }
        fs::write(&image, &packed).unwrap();
        unpack_files(&image, None, &place.path(name), IdMap::IDENTITY).unwrap();
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let place = Place::new();
    let bomb = vec![entry("rootfs/zeros", b'0', &vec![0; 8 << 20], "")];
    let limits = Limits {
        bytes: 1 << 20,
        ratio: 0,
        ..Limits::default()
    };
    let error = place.unpack_with(&bomb, &limits).unwrap_err();
    assert!(error.contains("unpacks to more"), "{error}");
    let written = fs::metadata(place.path("out/rootfs/zeros")).unwrap();
    assert!(written.len() <= 1 << 20);
}

#[test]
fn an_image_lacks_neither_metadata_nor_a_root() {
    let place = Place::new();
    let image = place.path("image.tar");
    for (entries, reason) in [
        (
            entry("metadata.yaml", b'0', METADATA.as_bytes(), ""),
            "Image is missing a rootfs: rootfs",
        ),
        (
            file("rootfs/x"),
            "Metadata tarball is missing metadata.yaml",
        ),
        (
            entry("metadata.yaml", b'6', b"", ""),
            "Cannot read non-regular file \"metadata.yaml\"",
        ),
        (
            entry("metadata.yaml", b'0', &vec![b' '; (1 << 20) + 1], ""),
            "metadata.yaml is larger",
        ),
    ] {
        fs::write(&image, [entries, vec![0; 1024]].concat()).unwrap();
        let target = TempDir::new_in(place.scratch.path()).unwrap();
        let error = unpack_files(&image, None, target.path(), IdMap::IDENTITY).unwrap_err();
        assert!(error.message().contains(reason), "{error}");
    }
    fs::write(&image, "nonsense").unwrap();
    let error = unpack_files(&image, None, &place.path("none"), IdMap::IDENTITY).unwrap_err();
    assert_eq!(error.message(), "Unsupported compression");
}

#[test]
fn what_is_cancelled_ends_and_says_so() {
    let place = Place::new();
    let entries = [
        entry("metadata.yaml", b'0', METADATA.as_bytes(), ""),
        entry("rootfs/zeros", b'0', &vec![0; 8 << 20], ""),
        vec![0; 1024],
    ];
    let image = place.path("image.tar");
    fs::write(&image, entries.concat()).unwrap();
    let cancel = CancellationToken::new();
    let watch = Watch {
        progress: &|read| {
            if read > 1 << 20 {
                cancel.cancel();
            }
        },
        cancel: &cancel,
    };
    let source = ImageFiles {
        image: File::open(&image).unwrap(),
        rootfs: None,
    };
    fs::create_dir(place.path("out")).unwrap();
    let target = File::open(place.path("out")).unwrap();
    let limits = Limits::default();
    let error = unpack(&source, target.as_fd(), IdMap::IDENTITY, &limits, &watch).unwrap_err();
    assert_eq!(error.message(), "Operation was cancelled");
}

/// A file system of a few MiB, unmounted when it is dropped.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_is_called_so() {
    let place = Place::new();
    let mounted = place.path("small");
    fs::create_dir(&mounted).unwrap();
    let options = [
        "-t",
        "tmpfs",
        "-o",
        "size=2m",
        "none",
        mounted.to_str().unwrap(),
    ];
    program("mount", Path::new("/"), &options);
    let small = Small(mounted);
    for size in [3 << 20, 200_000] {
        let mut entries = vec![entry("metadata.yaml", b'0', METADATA.as_bytes(), "")];
        let file = |n: usize| entry(&format!("rootfs/{n}"), b'0', &vec![7; size], "");
        entries.extend((0..20).map(file));
        entries.push(vec![0; 1024]);
        let image = place.path("image.tar");
        fs::write(&image, entries.concat()).unwrap();
        let target = small.0.join(size.to_string());
        let error = unpack_files(&image, None, &target, IdMap::IDENTITY).unwrap_err();
        assert_eq!(
            error.message(),
            "Unable to unpack image, run out of disk space"
        );
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn devices_and_pipes_are_made_and_never_opened() {
    let place = Place::new();
    let target = place.unpack(&[
        entry("rootfs/p", b'6', b"", ""),
        entry("rootfs/c", b'3', b"", ""),
    ]);
    let target = target.unwrap();
    let kind = |name: &str| fs::symlink_metadata(target.join(name)).unwrap().file_type();
    assert!(kind("rootfs/p").is_fifo());
    assert!(kind("rootfs/c").is_char_device());
}
