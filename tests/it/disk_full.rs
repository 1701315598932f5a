//! A disk that is too small.

use rustix::fs::statvfs;

use crate::support::{
    Answer, Lximaged, Options, Request, images,
    multipart::{CONTENT_TYPE, Multipart},
};

/// Room for the database of either daemon, and for small images.
const DISK_MIB: u32 = 64;

fn free_bytes(daemon: &Lximaged) -> u64 {
    let disk = statvfs(daemon.dir()).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// What the daemon says of an image for which there is no room.
#[track_caller]
fn complaint(daemon: &Lximaged, answer: &Answer) -> String {
    if answer.status == 202 {
        return daemon.finished(answer)["err"]
            .as_str()
            .unwrap()
            .to_lowercase();
    }
    answer.json["error"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase()
}

#[track_caller]
fn recovers(request: &Request) {
    let daemon = Options::default()
        .tmpfs_mib(DISK_MIB)
        .expect_error("space")
        .start();
    let small = images::container("small");
    let kept = daemon.import(&small);
    let before = free_bytes(&daemon);
    let text = complaint(&daemon, &daemon.send(request));
    assert!(text.contains("no space left on device"), "{text}");
    assert_eq!(daemon.images("default").len(), 1);
    daemon.check();
    let lost = before.saturating_sub(free_bytes(&daemon));
    assert!(lost < 1 << 20, "{lost} bytes are not given back");
    assert_eq!(daemon.export(&kept).files, [small]);
    daemon.import(&images::container("another"));
    daemon.remove_image(&kept);
}

#[test]
fn an_image_larger_than_the_disk_is_refused_and_leaves_nothing() {
    let image = images::container_of_size("big", (DISK_MIB as usize) << 20);
    recovers(&Request::new("POST", "/1.0/images").body(image).chunked());
}

#[test]
fn a_split_image_larger_than_the_disk_is_refused_and_leaves_nothing() {
    let rootfs = images::noise("big", (DISK_MIB as usize) << 20);
    let parts = Multipart::split(&images::metadata_tar("a"), "rootfs", &rootfs);
    let request = Request::new("POST", "/1.0/images")
        .body(parts.body())
        .chunked();
    recovers(&request.header("Content-Type", CONTENT_TYPE));
}

#[test]
fn images_can_be_deleted_while_the_disk_is_full() {
    let daemon = Options::default()
        .tmpfs_mib(DISK_MIB)
        .expect_error("space")
        .start();
    let found = daemon.import(&images::container_of_size("a", 4 << 20));
    let filler = daemon.dir().join("filler");
    let room = usize::try_from(free_bytes(&daemon)).unwrap();
    std::fs::write(&filler, vec![1; room]).unwrap();
    daemon.remove_image(&found);
    std::fs::remove_file(filler).unwrap();
}
