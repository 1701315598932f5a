//! Disks that fail: nothing is said to be there that is not, and nothing that failed is tried
//! again until it succeeds.

use crate::support::{Client, Lximaged, Request, images, strace::Strace};

/// A daemon whose log may tell of failures.
fn on_a_bad_disk() -> Lximaged {
    let mut options = crate::support::daemon::Options::default();
    for text in [
        "Input/output error",
        "Database error",
        "disk I/O",
        "request failed",
    ] {
        options = options.expect_error(text);
    }
    options.start()
}

/// How an import ended: whether it was acknowledged.
fn import(client: &Client, image: &[u8]) -> bool {
    let answer = client.upload(image, &[]);
    answer.status == 202 && client.finished(&answer)["status"] == "Success"
}

#[test]
fn what_cannot_be_made_durable_is_not_acknowledged() {
    for (calls, number) in [
        ("fsync", "1"),
        ("fsync", "2"),
        ("fdatasync", "1+"),
        ("renameat2", "1"),
        ("fchmod", "1"),
    ] {
        let daemon = on_a_bad_disk();
        let kept = daemon.import(&images::container("kept"));
        let new = images::container("new");
        let strace = Strace::failing(&daemon, calls, number);
        let acknowledged = import(&daemon, &new);
        drop(strace);
        let listed = daemon.images("default").len();
        assert_eq!(listed, 1 + usize::from(acknowledged), "{calls} {number}");
        daemon.check();
        if !acknowledged {
            daemon.import(&new);
        }
        assert_eq!(daemon.export(&kept).files, [images::container("kept")]);
    }
}

#[test]
fn an_export_that_cannot_be_read_is_not_taken_for_a_whole_one() {
    let daemon = on_a_bad_disk();
    let found = daemon.import(&images::container_of_size("a", 4 << 20));
    let path = format!("/1.0/images/{found}/export");
    let whole = daemon.get(&path).body.len();
    let strace = Strace::unreadable(&daemon, &format!("images/{found}"), 2);
    let mut connection = daemon.connect().unwrap();
    let answer = connection.send(&Request::new("GET", &path));
    assert!(
        answer.is_err(),
        "{:?}",
        answer.map(|answer| answer.body.len())
    );
    drop(strace);
    assert_eq!(daemon.get(&path).body.len(), whole);
}
