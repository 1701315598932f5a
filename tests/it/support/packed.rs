//! Archives made by the programs that people make images with.

use std::{fs, path::Path, process::Command};

use super::images;

/// What a shell script packs. It runs in the directory of an image, with `metadata.yaml` and a
/// small `rootfs`, and leaves its result in `../out`.
#[track_caller]
pub(crate) fn packed(script: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    unpacked(&image, script);
    let made = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", script])
        .env("LC_ALL", "C.UTF-8")
        .current_dir(&image)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{script}: {said}");
    fs::read(directory.path().join("out")).unwrap()
}

/// Makes the directory of a container image.
pub(crate) fn unpacked(directory: &Path, marker: &str) {
    let marker: String = marker.chars().filter(char::is_ascii_alphanumeric).collect();
    fs::create_dir_all(directory.join("rootfs/etc")).unwrap();
    fs::write(directory.join("metadata.yaml"), images::metadata(&marker)).unwrap();
    fs::write(directory.join("rootfs/etc/hostname"), "test\n").unwrap();
    std::os::unix::fs::symlink("etc/hostname", directory.join("rootfs/link")).unwrap();
}
