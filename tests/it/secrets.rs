//! Secrets of private images, and tokens that let a stranger upload one image.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Lximaged, against_lxd, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images, soon,
};

fn with_private_image() -> (Lximaged, Client, String, Vec<u8>) {
    let daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    let packed = images::container("a");
    let found = daemon.import(&packed);
    (daemon, anonymous, found, packed)
}

fn secret(daemon: &Lximaged, found: &str) -> (String, String) {
    let answer = daemon.post(&format!("/1.0/images/{found}/secret"), &json!({}));
    let operation = answer.operation();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        text(&operation["metadata"]["secret"]),
        text(&operation["id"]),
    )
}

fn push_token(daemon: &Lximaged, found: &str) -> String {
    let body = json!({"source": {"mode": "push", "type": "image", "fingerprint": found},
        "public": true, "properties": {"os": "Token"}, "aliases": [{"name": "pushed"}]});
    let answer = daemon.post("/1.0/images", &body);
    assert_eq!(answer.operation()["description"], "Image download token");
    answer.operation()["metadata"]["secret"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn push(client: &Client, packed: &[u8], found: &str, secret: &str) -> Answer {
    client.upload(
        packed,
        &[("X-LXD-fingerprint", found), ("X-LXD-secret", secret)],
    )
}

#[test]
fn a_secret_is_a_token_operation() {
    let (daemon, _, found, _) = with_private_image();
    let answer = daemon.post(&format!("/1.0/images/{found}/secret"), &json!({}));
    let operation = answer.operation();
    assert_eq!(
        (&operation["class"], &operation["may_cancel"]),
        (&json!("token"), &json!(true))
    );
    assert_eq!(operation["description"], "Image download token");
    assert_eq!(
        operation["resources"],
        json!({"images": [format!("/1.0/images/{found}")]})
    );
    let secret = operation["metadata"]["secret"].as_str().unwrap();
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(operation["metadata"].as_object().unwrap().len(), 1);
}

#[test]
fn a_secret_lets_a_stranger_see_and_fetch_a_private_image() {
    let (daemon, anonymous, found, packed) = with_private_image();
    let (secret, _) = secret(&daemon, &found);
    let image = anonymous.get(&format!("/1.0/images/{found}?secret={secret}"));
    assert_eq!(image.metadata()["fingerprint"], found.as_str());
    let file = anonymous.get(&format!("/1.0/images/{found}/export?secret={secret}"));
    assert_eq!(file.body, packed);
}

#[test]
fn a_wrong_secret_is_as_good_as_none() {
    let (daemon, anonymous, found, _) = with_private_image();
    secret(&daemon, &found);
    let other = daemon.import(&images::container("b"));
    let (secret_of_other, _) = secret(&daemon, &other);
    for secret in ["", "x", &"0".repeat(64), &secret_of_other] {
        let answer = anonymous.get(&format!("/1.0/images/{found}?secret={secret}"));
        assert_eq!(answer.status, 404);
        let answer = anonymous.get(&format!("/1.0/images/{found}/export?secret={secret}"));
        assert_eq!(answer.status, 404);
    }
}

#[test]
fn a_cancelled_secret_opens_nothing() {
    let (daemon, anonymous, found, _) = with_private_image();
    let (secret, id) = secret(&daemon, &found);
    daemon.delete(&format!("/1.0/operations/{id}")).is_done();
    // LXD 5.0.2 honours it for some seconds more, which a client does not mind.
    let path = format!("/1.0/images/{found}?secret={secret}");
    assert!(soon(Duration::from_secs(10), || anonymous
        .get(&path)
        .status
        == 404));
}

#[test]
fn a_secret_of_nothing_is_not_found() {
    let daemon = Lximaged::start();
    let path = format!("/1.0/images/{}/secret", "a".repeat(64));
    daemon
        .post(&path, &json!({}))
        .is_error(404, "Image not found");
}

#[test]
fn a_push_token_lets_a_stranger_upload_that_image() {
    let daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    let packed = images::container("a");
    let expected = fingerprint(&[&packed]);
    let answer = push(
        &anonymous,
        &packed,
        &expected,
        &push_token(&daemon, &expected),
    );
    let operation = answer.operation();
    let id = operation["id"].as_str().unwrap();
    let secret = operation["metadata"]["secret"].as_str().unwrap();
    let path = format!("/1.0/operations/{id}/wait?secret={secret}&timeout=-1");
    let ended = anonymous.get(&path).metadata().clone();
    assert_eq!(fingerprint_of(&ended), expected);
    let image = daemon.image(&expected);
    assert_eq!(
        image["properties"],
        json!({"os": "Token"}),
        "the token's, not the file's"
    );
    assert_eq!(
        (&image["public"], &image["aliases"][0]["name"]),
        (&json!(true), &json!("pushed"))
    );
}

#[test]
fn a_push_token_is_good_for_its_image_only() {
    let daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    let (packed, other) = (images::container("a"), images::container("b"));
    let expected = fingerprint(&[&packed]);
    let token = push_token(&daemon, &expected);
    let wrong = push(&anonymous, &other, &fingerprint(&[&other]), &token);
    wrong.is_error(403, "not authorized");
    push(&anonymous, &packed, &expected, "wrong").is_error(403, "not authorized");
    let answer = push(&anonymous, &other, &expected, &token);
    let id = answer.operation()["id"].as_str().unwrap().to_owned();
    let ended = daemon
        .get(&format!("/1.0/operations/{id}/wait"))
        .metadata()
        .clone();
    assert!(refusal(&ended).starts_with("fingerprints don't match, got "));
    assert!(daemon.images("default").is_empty());
}

#[test]
fn waiting_with_a_wrong_secret_is_forbidden_to_everybody() {
    let (daemon, anonymous, found, _) = with_private_image();
    let (_, id) = secret(&daemon, &found);
    let path = format!("/1.0/operations/{id}/wait?secret=wrong&timeout=1");
    daemon.get(&path).is_error(403, "not authorized");
    anonymous.get(&path).is_error(403, "not authorized");
}

#[test]
fn a_push_token_is_good_for_one_upload() {
    if !beyond_lxd("it takes it again for some seconds") {
        return;
    }
    let daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    let packed = images::container("a");
    let expected = fingerprint(&[&packed]);
    let token = push_token(&daemon, &expected);
    let begun = push(&anonymous, &packed, &expected, &token);
    push(&anonymous, &packed, &expected, &token).is_error(403, "not authorized");
    assert_eq!(fingerprint_of(&daemon.finished(&begun)), expected);
}

#[test]
fn a_push_token_opens_nothing_but_an_upload() {
    let daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    let wanted = "a".repeat(64);
    let token = push_token(&daemon, &wanted);
    let body = json!({"source": {"mode": "push", "fingerprint": "b".repeat(64)}}).to_string();
    let answer = push(&anonymous, body.as_bytes(), &wanted, &token);
    if !against_lxd() {
        answer.is_error(403, "not authorized");
    }
    assert!(daemon.images("default").is_empty());
}
