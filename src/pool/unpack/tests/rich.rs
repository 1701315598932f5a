//! A tree with everything in it that a file can have.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, symlink},
    },
    path::Path,
};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat,
    lsetxattr, makedev, mknodat, utimensat,
};

/// The metadata of an image with nothing special about it.
pub(in crate::pool) const METADATA: &str = "architecture: x86_64\ncreation_date: 1424284563\n";

/// Capabilities of a file, the way they are written outside of containers.
const CAPABILITIES: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// Fills a directory with a root file system.
pub(in crate::pool) fn fill(root: &Path) {
    for directory in ["bin", "dev", "etc/empty", "var/deep/deeper/deepest", "tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    file(root, "bin/su", b"setuid", 0o4755, (0, 0));
    file(root, "bin/wall", b"setgid", 0o2755, (0, 5));
    file(root, "bin/ping", b"capable", 0o755, (0, 0));
    xattr(root, "bin/ping", "security.capability", &CAPABILITIES);
    file(root, "etc/shadow", b"secret", 0o640, (0, 42));
    file(root, "etc/nothing", b"", 0, (65_534, 65_534));
    file(root, "etc/日本語", "名前".as_bytes(), 0o644, (1000, 1000));
    let odd = OsStr::from_bytes(b"etc/\xff\xfe odd\nname");
    fs::write(root.join(odd), "odd").unwrap();
    let long = format!("var/deep/{}", "l".repeat(255));
    file(root, &long, b"long", 0o600, (1, 2));
    fs::hard_link(root.join("bin/su"), root.join("etc/su-too")).unwrap();
    fs::hard_link(root.join(&long), root.join("var/other")).unwrap();
    symlink("../etc/shadow", root.join("bin/link")).unwrap();
    symlink("/".repeat(300), root.join("bin/long-link")).unwrap();
    chownat(
        CWD,
        root.join("bin/link"),
        Some(uid(7)),
        Some(gid(8)),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .unwrap();
    xattr(root, "bin/link", "trusted.link", b"of a link");
    specials(root);
    sparse(root);
    large(root);
    access_lists(root);
    xattr(root, "etc/shadow", "user.text", b"value");
    xattr(root, "etc/shadow", "user.binary", b"a\0b\n12 path=evil\n");
    xattr(root, "etc/empty", "user.directory", b"of a directory");
    chmod(root.join("tmp"), Mode::from_raw_mode(0o1777)).unwrap();
    chmod(root.join("etc/empty"), Mode::from_raw_mode(0o500)).unwrap();
    times(root);
}

fn uid(id: u32) -> Uid {
    Uid::from_raw(id)
}

fn gid(id: u32) -> Gid {
    Gid::from_raw(id)
}

fn file(root: &Path, name: &str, data: &[u8], mode: u32, owner: (u32, u32)) {
    let path = root.join(name);
    fs::write(&path, data).unwrap();
    chownat(
        CWD,
        &path,
        Some(uid(owner.0)),
        Some(gid(owner.1)),
        AtFlags::empty(),
    )
    .unwrap();
    chmod(&path, Mode::from_raw_mode(mode)).unwrap();
}

fn xattr(root: &Path, name: &str, key: &str, value: &[u8]) {
    lsetxattr(root.join(name), key, value, XattrFlags::empty()).unwrap();
}

fn specials(root: &Path) {
    for (name, kind, device) in [
        ("dev/null", FileType::CharacterDevice, makedev(1, 3)),
        ("dev/sdz", FileType::BlockDevice, makedev(259, 1_000)),
        ("dev/pipe", FileType::Fifo, 0),
    ] {
        let mode = Mode::from_raw_mode(0o620);
        mknodat(CWD, root.join(name), kind, mode, device).unwrap();
        chownat(
            CWD,
            root.join(name),
            Some(uid(3)),
            Some(gid(4)),
            AtFlags::empty(),
        )
        .unwrap();
    }
    xattr(root, "dev/null", "trusted.device", b"of a device");
}

fn sparse(root: &Path) {
    let holes = File::create(root.join("var/holes")).unwrap();
    holes.write_all_at(b"first", 1 << 20).unwrap();
    holes.write_all_at(&[7; 10_000], 5 << 20).unwrap();
    holes.set_len(9 << 20).unwrap();
    let end = File::create(root.join("var/hole-first")).unwrap();
    end.write_all_at(b"end", (3 << 20) + 17).unwrap();
    File::create(root.join("var/only-hole"))
        .unwrap()
        .set_len(2 << 20)
        .unwrap();
    let many = File::create(root.join("var/many-holes")).unwrap();
    for part in 0..50 {
        many.write_all_at(&[part; 100], u64::from(part) * 65_536)
            .unwrap();
    }
}

fn large(root: &Path) {
    let mut value = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        value.to_le_bytes()[3]
    })
    .take(1_500_001)
    .collect();
    file(root, "var/large", &noise, 0o644, (0, 0));
    for size in [
        255 * 1024,
        256 * 1024,
        256 * 1024 + 1,
        131_072,
        511,
        512,
        513,
    ] {
        file(
            root,
            &format!("var/deep/{size}"),
            &noise[..size],
            0o644,
            (0, 0),
        );
    }
    for number in 0..300 {
        let name = format!("var/deep/deeper/{number}");
        file(
            root,
            &name,
            &noise[number..number * 7],
            0o644,
            (u32::try_from(number).unwrap(), 0),
        );
    }
}

fn access_lists(root: &Path) {
    let entry = |tag: u16, permissions: u16, id: u32| {
        [
            &tag.to_le_bytes()[..],
            &permissions.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    };
    let none = u32::MAX;
    let list = |user| {
        [
            2_u32.to_le_bytes().to_vec(),
            entry(1, 7, none),
            entry(2, 6, user),
            entry(4, 5, none),
            entry(8, 4, 20),
            entry(16, 7, none),
            entry(32, 0, none),
        ]
        .concat()
    };
    xattr(root, "etc/shadow", "system.posix_acl_access", &list(33));
    xattr(
        root,
        "var/deep/deeper",
        "system.posix_acl_access",
        &list(34),
    );
    xattr(
        root,
        "var/deep/deeper",
        "system.posix_acl_default",
        &list(35),
    );
}

/// Times with fractions, directories last.
fn times(root: &Path) {
    for (name, seconds, nanoseconds) in [
        ("etc/shadow", 1_234_567_890, 123_456_789),
        ("bin/link", 1_000_000_000, 5),
        ("dev/pipe", 999_999_999, 999_999_999),
        ("etc/nothing", -86_400, 250_000_000),
        ("bin/su", 0, 0),
        ("etc/empty", 1_100_000_000, 1),
        ("var/deep/deeper", 1_200_000_000, 20),
        ("var", 1_300_000_000, 0),
        ("", 1_400_000_000, 500_000_000),
    ] {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            },
            last_modification: Timespec {
                tv_sec: seconds,
                tv_nsec: nanoseconds,
            },
        };
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        utimensat(CWD, root.join(name), &times, flags).unwrap();
    }
}
