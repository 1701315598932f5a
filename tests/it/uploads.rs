//! Uploads that end badly, and many at once.

use std::{thread, time::Duration};

use crate::support::{
    Lximaged, PATIENCE, against_lxd, beyond_lxd, fingerprint,
    http::Connection,
    images,
    multipart::{CONTENT_TYPE, Multipart},
    soon,
};

/// Begins an upload with these headers and this much of a body, and leaves it there.
#[track_caller]
fn begun(daemon: &Lximaged, headers: &str, part: &[u8]) -> Connection {
    let mut connection = daemon.connect().unwrap();
    let head = format!("POST /1.0/images HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    connection.write(head.as_bytes()).unwrap();
    connection.write(part).unwrap();
    assert!(
        soon(PATIENCE, || receiving(daemon)),
        "the daemon begins to store the upload"
    );
    connection
}

fn receiving(daemon: &Lximaged) -> bool {
    let place = if against_lxd() { "images" } else { "staging" };
    !daemon.names(place).is_empty()
}

/// Checks that nothing is left of an upload whose client went away.
#[track_caller]
fn nothing_is_left(daemon: &Lximaged) {
    if !against_lxd() {
        assert!(
            soon(Duration::from_secs(10), || !receiving(daemon)),
            "staging is emptied"
        );
    }
    assert!(daemon.images("default").is_empty());
    daemon.import(&images::container("honest"));
}

#[test]
fn a_client_that_vanishes_leaves_nothing() {
    let daemon = Lximaged::start();
    let packed = images::container_of_size("a", 300_000);
    let headers = format!("Content-Length: {}\r\n", packed.len());
    drop(begun(&daemon, &headers, &packed[..200_000]));
    nothing_is_left(&daemon);
}

#[test]
fn a_client_that_vanishes_between_chunks_leaves_nothing() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let chunk = [
        format!("{:x}\r\n", packed.len()).as_bytes(),
        &packed,
        b"\r\n",
    ]
    .concat();
    drop(begun(&daemon, "Transfer-Encoding: chunked\r\n", &chunk));
    nothing_is_left(&daemon);
}

#[test]
fn a_client_that_vanishes_within_a_split_image_leaves_nothing() {
    let daemon = Lximaged::start();
    let rootfs = images::noise("root", 300_000);
    let parts = Multipart::split(&images::metadata_tar("a"), "rootfs", &rootfs);
    let body = parts.body();
    let headers = format!(
        "Content-Type: {}\r\nContent-Length: {}\r\n",
        CONTENT_TYPE,
        body.len()
    );
    drop(begun(&daemon, &headers, &body[..200_000]));
    nothing_is_left(&daemon);
}

#[test]
fn a_client_that_hangs_up_after_its_upload_has_uploaded() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let head = format!(
        "POST /1.0/images HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let mut connection = daemon.connect().unwrap();
    connection
        .write(&[head.as_bytes(), &packed].concat())
        .unwrap();
    connection.wait_for_bytes().unwrap();
    drop(connection);
    assert!(soon(PATIENCE, || daemon.images("default").len() == 1));
}

#[test]
fn thirty_two_clients_import_one_image_at_once() {
    if !beyond_lxd("it fails with the database's text") {
        return;
    }
    let daemon = Lximaged::start();
    let packed = images::container_of_size("a", 400_000);
    let ends: Vec<_> = thread::scope(|scope| {
        let mut clients = Vec::new();
        clients.resize_with(32, || scope.spawn(|| daemon.import_with(&packed, &[])));
        let ends = clients.into_iter().map(|client| client.join().unwrap());
        ends.collect()
    });
    let successes = ends.iter().filter(|end| end["status"] == "Success").count();
    assert!(successes >= 1);
    for end in ends.iter().filter(|end| end["status"] != "Success") {
        assert_eq!(end["err"], "Image with same fingerprint already exists");
    }
    let found = fingerprint(&[&packed]);
    assert_eq!(daemon.names("images"), [found.as_str()], "one copy on disk");
    assert_eq!(daemon.export(&found).files, [packed]);
}

#[test]
fn many_images_come_and_go_at_once() {
    let daemon = Lximaged::start();
    thread::scope(|scope| {
        for client in 0..8 {
            let daemon = &daemon;
            scope.spawn(move || {
                for round in 0..4 {
                    let found = daemon.import(&images::container(&format!("{client} {round}")));
                    daemon.images("default");
                    daemon.export(&found);
                    daemon.remove_image(&found);
                }
            });
        }
    });
    assert!(daemon.images("default").is_empty());
}

#[test]
fn one_image_is_imported_and_deleted_at_once() {
    let daemon = Lximaged::start();
    let packed = images::container("a");
    let found = fingerprint(&[&packed]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..8).for_each(|_| drop(daemon.import_with(&packed, &[]))));
            scope.spawn(|| {
                for _ in 0..8 {
                    let answer = daemon.delete(&format!("/1.0/images/{found}"));
                    if answer.status == 202 {
                        daemon.finished(&answer);
                    }
                }
            });
        }
    });
}
