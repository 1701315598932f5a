//! Who may read what is in the directory, whatever the umask.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::support::{Lximaged, Options, beyond_lxd, images, multipart::Multipart};

/// Every path below `directory`, and itself.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut paths = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_directory = fs::symlink_metadata(&path).unwrap().is_dir();
        paths.extend(if is_directory {
            tree(&path)
        } else {
            vec![path]
        });
    }
    paths
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A daemon that has made every kind of file it makes.
fn used(umask: u32) -> Lximaged {
    let daemon = Options::default().umask(umask).start();
    daemon.listen();
    let found = daemon.import(&images::container("a"));
    daemon.import_parts(&Multipart::split(
        &images::metadata_tar("a"),
        "rootfs",
        b"root",
    ));
    daemon.export(&found);
    daemon
}

fn nobody_else_may_read(umask: u32) {
    let daemon = used(umask);
    for path in tree(&daemon.dir()) {
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let allowed = match () {
            () if path == daemon.dir() => 0o711,
            // Containers' roots have to get through to their trees.
            () if path == daemon.dir().join("storage-pools") => 0o711,
            () if kind.is_socket() => 0o660,
            () if kind.is_dir() => 0o700,
            () if path.parent() == Some(&daemon.dir().join("images")) => 0o400,
            // What every client is shown anyway.
            () if path.file_name().is_some_and(|name| name == "server.crt") => 0o644,
            () => 0o600,
        };
        let found = mode(&path);
        assert_eq!(found & !allowed, 0, "{} has mode {found:o}", path.display());
    }
}

#[test]
fn nobody_else_may_read_anything_under_the_umask_of_nobody() {
    if beyond_lxd("its directories are laxer") {
        nobody_else_may_read(0o000);
    }
}

#[test]
fn nobody_else_may_read_anything_under_a_strict_umask() {
    if beyond_lxd("its directories are laxer") {
        nobody_else_may_read(0o077);
    }
}

#[test]
fn the_socket_is_open_to_its_group_under_any_umask() {
    for umask in [0o000, 0o027, 0o077] {
        let daemon = Options::default().umask(umask).start();
        assert_eq!(
            mode(&daemon.dir().join("unix.socket")),
            0o660,
            "umask {umask:o}"
        );
    }
}
