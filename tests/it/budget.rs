//! `limits.disk` of a project: how much its images may take.

use std::{sync::Barrier, thread, time::Duration};

use serde_json::json;

use crate::support::{
    Answer, Lximaged, Request, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    multipart::{CONTENT_TYPE, Multipart},
    soon,
    upstream::{
        Act, Site,
        streams::{Tree, file},
    },
};

/// How many upload at once.
const CLIENTS: usize = 8;

/// A daemon with a project `p` that may have this many bytes of images.
fn with_limit(limit: usize) -> Lximaged {
    let daemon = Lximaged::start();
    let body = json!({"name": "p", "config": {"limits.disk": limit.to_string()}});
    daemon
        .post("/1.0/projects", &body)
        .is_created("/1.0/projects/p");
    daemon
}

fn request(body: &[u8]) -> Request {
    Request::new("POST", "/1.0/images?project=p").body(body)
}

#[track_caller]
fn is_over_the_limit(answer: &Answer, quota: usize) {
    let error = answer.json["error"].as_str().unwrap_or_default();
    let expected = format!("bytes, exceeding quota of {quota}");
    assert_eq!(answer.status, 500, "{error}");
    assert!(
        error.starts_with("reached ") && error.ends_with(&expected),
        "{error}"
    );
}

#[test]
fn an_upload_over_the_limit_is_refused_and_leaves_nothing() {
    let packed = images::container_of_size("big", 100_000);
    let daemon = with_limit(packed.len() - 1);
    for request in [request(&packed), request(&packed).chunked()] {
        is_over_the_limit(&daemon.send(&request), packed.len() - 1);
    }
    let parts = Multipart::split(
        &images::metadata_tar("a"),
        "rootfs",
        &images::noise("a", packed.len()),
    );
    let split = request(&parts.body()).header("Content-Type", CONTENT_TYPE);
    is_over_the_limit(&daemon.send(&split), packed.len() - 1);
    assert!(daemon.images("p").is_empty());
}

#[test]
fn an_image_that_just_fits_is_taken() {
    let packed = images::container("a");
    let daemon = with_limit(packed.len());
    let found = fingerprint_of(&daemon.finished(&daemon.send(&request(&packed))));
    let state = daemon.get("/1.0/projects/p/state").metadata().clone();
    if beyond_lxd("it does not count images") {
        let expected = json!({"Limit": packed.len(), "Usage": packed.len()});
        assert_eq!(state["resources"]["disk"], expected);
        is_over_the_limit(&daemon.send(&request(&images::container("b"))), 0);
    }
    let deleted = daemon.delete(&format!("/1.0/images/{found}?project=p"));
    daemon.finished(&deleted);
    daemon.finished(&daemon.send(&request(&images::container("c"))));
    assert_eq!(daemon.images("p").len(), 1);
}

#[test]
fn uploads_at_the_same_time_share_one_limit() {
    if !beyond_lxd("each has the whole limit") {
        return;
    }
    let size = images::container("0").len();
    let daemon = with_limit(2 * size + size / 2);
    let (client, barrier) = (daemon.clone(), Barrier::new(CLIENTS));
    let answers: Vec<_> = thread::scope(|scope| {
        let upload = |number: usize| {
            let (client, barrier) = (&client, &barrier);
            scope.spawn(move || {
                let packed = images::container(&number.to_string());
                barrier.wait();
                client.send(&request(&packed))
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(upload).collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let begun = answers.iter().filter(|answer| answer.status == 202);
    let taken = begun
        .filter(|answer| daemon.finished(answer)["status"] == "Success")
        .count();
    assert_eq!(daemon.images("p").len(), taken);
    assert!((1..=2).contains(&taken), "{taken}");
    let usage = daemon.get("/1.0/projects/p/state").metadata()["resources"]["disk"].clone();
    assert!(
        usage["Usage"].as_u64() <= usage["Limit"].as_u64(),
        "{usage}"
    );
}

#[test]
fn an_image_that_is_stored_already_counts_as_well() {
    let packed = images::container("a");
    let daemon = with_limit(packed.len() - 1);
    daemon.import(&packed);
    is_over_the_limit(&daemon.send(&request(&packed)), packed.len() - 1);
    assert!(daemon.images("p").is_empty());
}

#[test]
fn a_limit_that_was_lowered_holds_for_what_is_on_its_way() {
    if !beyond_lxd("it looks once") {
        return;
    }
    let daemon = with_limit(10_000_000);
    let packed = images::container("a");
    let mut connection = daemon.connect().unwrap();
    let head = format!(
        "POST /1.0/images?project=p HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    connection.write(head.as_bytes()).unwrap();
    connection.write(&packed[..1000]).unwrap();
    let begun = || !daemon.names("staging").is_empty();
    assert!(soon(Duration::from_secs(10), begun));
    let body = json!({"config": {"limits.disk": "1000"}});
    daemon.patch("/1.0/projects/p", &body).is_done();
    connection.write(&packed[1000..]).unwrap();
    let answer = connection.read_answer("POST").unwrap();
    let error = refusal(&daemon.finished(&answer));
    assert!(error.ends_with("exceeding quota of 1000"), "{error}");
}

#[test]
fn a_project_that_shares_images_is_not_limited_by_its_own_setting() {
    let daemon = Lximaged::start();
    let config = json!({"features.images": "false", "limits.disk": "1"});
    let answer = daemon.post("/1.0/projects", &json!({"name": "p", "config": config}));
    answer.is_created("/1.0/projects/p");
    let packed = images::container("a");
    let found = fingerprint_of(&daemon.finished(&daemon.send(&request(&packed))));
    assert_eq!(found, fingerprint(&[&packed]));
}

#[test]
fn a_list_without_sizes_does_not_get_past_the_limit() {
    if !beyond_lxd("it goes on") {
        return;
    }
    let site = Site::start();
    let body = json!({"name": "p", "config": {"limits.disk": "1MiB"}});
    let created = site.daemon.post("/1.0/projects", &body);
    created.is_created("/1.0/projects/p");
    let (ftype, serial) = ("lxd_combined.tar.gz", "20240101_0000");
    let (small, large) = (
        images::container("small"),
        images::container_of_size("large", 2 << 20),
    );
    let mut tree = Tree::new(&site.upstream);
    for (name, image) in [("small", &small), ("large", &large)] {
        tree.product(name, &json!({}));
        tree.version(name, serial, &[(ftype, image)]);
        let item = tree.item(name, serial, ftype).as_object_mut().unwrap();
        item.remove("size");
    }
    tree.publish();
    let path = file("large", serial, ftype);
    let pull = |alias: &str| site.daemon.ask("p", &site.wish(&json!({ "alias": alias })));
    // It is cut off on the way, not when all of it has come.
    site.upstream.act(&path, Act::Endless);
    let said = refusal(&pull("large"));
    assert!(said.ends_with("exceeding quota of 1048576"), "{said}");
    assert_eq!(site.upstream.seen_at(&path).len(), 1);
    assert_eq!(fingerprint_of(&pull("small")), fingerprint(&[&small]));
}
