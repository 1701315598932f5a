//! Many clients at the same time: what each is told is true, and the store stays whole.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Lximaged, Request, beyond_lxd, fingerprint, images,
    multipart::{CONTENT_TYPE, Multipart},
    stream::Identity,
};

/// Does something `COUNT` times at once.
fn at_once<const COUNT: usize, T: Send>(act: impl Fn(usize) -> T + Sync) -> [T; COUNT] {
    let barrier = Barrier::new(COUNT);
    thread::scope(|scope| {
        let threads: [_; COUNT] = std::array::from_fn(|number| {
            let (barrier, act) = (&barrier, &act);
            scope.spawn(move || {
                barrier.wait();
                act(number)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    })
}

/// A client over HTTPS that may do everything.
fn trusted_client(daemon: &Lximaged) -> Client {
    let identity = Arc::new(Identity::new());
    let client = Client::with(daemon.listen(), &identity);
    let body = json!({"type": "client", "certificate": identity.base64()});
    assert_eq!(daemon.post("/1.0/certificates", &body).status, 201);
    client
}

#[test]
fn one_image_that_comes_in_by_every_way_at_once_is_stored_once() {
    if !beyond_lxd("it loses some of them") {
        return;
    }
    let daemon = Lximaged::start();
    let remote = trusted_client(&daemon);
    for project in ["p1", "p2"] {
        daemon.post("/1.0/projects", &json!({ "name": project }));
    }
    let packed = images::container_of_size("a", 300_000);
    let (metadata, rootfs) = packed.split_at(512);
    let split = Multipart::split(metadata, "rootfs", rootfs);
    let ended: [(usize, Value); 32] = at_once(|number| {
        let (way, project) = (number % 5, ["default", "p1", "p2"][number % 3]);
        let path = format!("/1.0/images?project={project}");
        let request = Request::new("POST", &path).body(&packed);
        let client: &Client = if way % 2 == 0 { &daemon } else { &remote };
        let answer = match way {
            0 | 1 => client.send(&request),
            2 | 3 => client.send(&request.chunked()),
            // The same bytes cut in two: another layout of the same fingerprint.
            _ => client.send(
                &Request::new("POST", &path)
                    .body(split.body())
                    .header("Content-Type", CONTENT_TYPE),
            ),
        };
        (way, client.finished(&answer))
    });
    let mut taken = 0;
    for (way, operation) in &ended {
        let err = operation["err"].as_str().unwrap();
        match operation["status"].as_str().unwrap() {
            "Success" => taken += 1,
            _ if *way == 4 => assert!(!err.is_empty()),
            _ => assert_eq!(err, "Image with same fingerprint already exists"),
        }
    }
    assert_eq!(taken, 3, "{ended:#?}");
    assert_eq!(daemon.names("images"), [fingerprint(&[&packed])]);
    for project in ["default", "p1", "p2"] {
        assert_eq!(daemon.images(project).len(), 1);
    }
}

#[test]
fn a_deletion_cuts_no_export() {
    let daemon = Lximaged::start();
    let remote = trusted_client(&daemon);
    let packed = images::container_of_size("a", 8 << 20);
    let found = daemon.import(&packed);
    let path = format!("/1.0/images/{found}/export");
    let begin = |number: usize| {
        let client: &Client = if number.is_multiple_of(2) {
            &daemon
        } else {
            &remote
        };
        let mut connection = client.connect().unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        connection.write(head.as_bytes()).unwrap();
        connection.wait_for_bytes().unwrap();
        connection
    };
    let mut exports: Vec<_> = (0..8).map(begin).collect();
    daemon.remove_image(&found);
    assert_eq!(daemon.import(&packed), found);
    for export in &mut exports {
        assert!(export.read_answer("GET").unwrap().body == packed);
    }
}

#[test]
fn of_many_who_make_one_alias_one_does() {
    if !beyond_lxd("it answers some of them with 500") {
        return;
    }
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let body = json!({"name": "a", "target": found});
    let answers: [Answer; 16] = at_once(|_| daemon.post("/1.0/images/aliases", &body));
    let made = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(made.count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.is_error(409, "Alias \"a\" already exists");
    }
}

#[test]
fn of_many_who_change_what_they_saw_one_does() {
    if !beyond_lxd("it takes several") {
        return;
    }
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let path = format!("/1.0/images/{found}");
    let etag = daemon.get(&path).header("etag").unwrap().to_owned();
    let answers: [(usize, Answer); 16] = at_once(|number| {
        let body = json!({"properties": {"number": number.to_string()}});
        let request = Request::new("PATCH", &path).json(&body);
        (number, daemon.send(&request.header("If-Match", &etag)))
    });
    let done: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| answer.status == 200)
        .collect();
    let [(number, _)] = done[..] else {
        panic!("{} changed it", done.len())
    };
    assert!(
        answers
            .iter()
            .all(|(_, answer)| [200, 412].contains(&answer.status))
    );
    assert_eq!(
        daemon.image(&found)["properties"]["number"],
        number.to_string()
    );
}

/// A number from 0 to `below`, another each time.
fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap() % below
}

#[test]
fn everything_at_once_ends_with_a_whole_store() {
    if !beyond_lxd("it fails some requests with 500") {
        return;
    }
    let daemon = Lximaged::start();
    let packed: [Vec<u8>; 4] =
        std::array::from_fn(|number| images::container_of_size(&number.to_string(), 50_000));
    let found: Vec<_> = packed.iter().map(|image| fingerprint(&[image])).collect();
    let _: [(); 8] = at_once(|worker| {
        let mut state = 0x9e37_79b9_7f4a_7c15 ^ (worker as u64 + 1);
        for round in 0..40 {
            let image = random(&mut state, packed.len());
            let path = format!("/1.0/images/{}", found[image]);
            let answer = match random(&mut state, 6) {
                0 | 1 => daemon.upload(&packed[image], &[]),
                2 => daemon.delete(&path),
                3 => {
                    let answer = daemon.get(&format!("{path}/export"));
                    assert!(answer.status != 200 || answer.body == packed[image]);
                    answer
                }
                4 => {
                    let alias = json!({"name": format!("a{round}"), "target": found[image]});
                    daemon.post("/1.0/images/aliases", &alias)
                }
                _ => daemon.get("/1.0/images?recursion=1"),
            };
            assert!(answer.status < 500, "{}", answer.text());
            if answer.status == 202 {
                daemon.finished(&answer);
            }
        }
    });
    for image in daemon.images("default") {
        let index = found
            .iter()
            .position(|found| image["fingerprint"] == found.as_str());
        let exported = daemon.export(image["fingerprint"].as_str().unwrap());
        assert!(exported.files == [packed[index.unwrap()].clone()]);
    }
}

#[test]
fn many_uploads_at_once_take_little_memory() {
    if !beyond_lxd("it is no yardstick") {
        return;
    }
    let daemon = Lximaged::start();
    let packed: Vec<_> = (0..64)
        .map(|number| images::gzip(&images::container_of_size(&format!("{number}"), 1 << 20)))
        .collect();
    daemon.import(&images::gzip(&images::container("warm")));
    let before = daemon.peak_memory_kib();
    let ended: [Value; 64] = at_once(|number| daemon.import_with(&packed[number], &[]));
    assert!(
        ended
            .iter()
            .all(|operation| operation["status"] == "Success")
    );
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
}
