//! What a restricted client may do and see, and what strangers cannot find out.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{
    Client, Lximaged, Request, against_lxd, beyond_lxd,
    events::Events,
    images,
    stream::Identity,
    trust::{auth, import_into, project, token, trust, with_client},
};

#[test]
fn a_secret_is_shown_to_its_owner_only() {
    if !beyond_lxd("it shows secrets to whoever is trusted") {
        return;
    }
    let (daemon, identity, client) = with_client();
    trust(&daemon, &identity, None);
    let mut events = Events::listen(&client, "?type=operation");
    let own = token(&daemon, &json!({}));
    let url = format!("/1.0/operations/{}", own["id"].as_str().unwrap());
    let secret = |object: &Value| object["metadata"]["secret"].clone();
    assert_eq!(secret(&own).as_str().unwrap().len(), 64);
    assert_eq!(secret(daemon.get(&url).metadata()), secret(&own));
    assert_eq!(secret(client.get(&url).metadata()), "");
    let listed = client.get("/1.0/operations?recursion=1").metadata().clone();
    assert_eq!(secret(&listed["running"][0]), "");
    let waited = client
        .get(&format!("{url}/wait?timeout=0"))
        .metadata()
        .clone();
    assert_eq!(secret(&waited), "");
    let told = events.find(|event| event["metadata"]["id"] == own["id"]);
    assert_eq!(secret(&told["metadata"]), "");
    let log = daemon.log();
    assert!(!log.contains(secret(&own).as_str().unwrap()), "{log}");
}

#[test]
fn a_project_that_goes_takes_the_right_to_it_along() {
    let (daemon, identity, client) = with_client();
    project(&daemon, "p1");
    let url = trust(&daemon, &identity, Some(&["p1"]));
    assert_eq!(client.get("/1.0/profiles?project=p1").status, 200);
    daemon.delete("/1.0/projects/p1").is_done();
    assert_eq!(daemon.get(&url).metadata()["projects"], json!([]));
    client
        .get("/1.0/profiles?project=p1")
        .is_error(403, "not authorized");
    project(&daemon, "p1");
    client
        .get("/1.0/profiles?project=p1")
        .is_error(403, "not authorized");
}

#[test]
fn a_restricted_client_renews_its_certificate_and_gains_nothing() {
    let (daemon, identity, client) = with_client();
    project(&daemon, "p1");
    project(&daemon, "p2");
    let url = trust(&daemon, &identity, Some(&["p1"]));
    let before = daemon.get(&url).metadata().clone();
    let text = "Only the certificate can be changed";
    for gain in [
        json!({"restricted": false}),
        json!({"projects": ["p1", "p2"]}),
        json!({"projects": []}),
        json!({"type": "server"}),
        json!({"name": "root"}),
    ] {
        client.patch(&url, &gain).is_error(403, text);
        let mut whole = before.clone();
        whole
            .as_object_mut()
            .unwrap()
            .extend(gain.as_object().unwrap().clone());
        client.put(&url, &whole).is_error(403, text);
        assert_eq!(daemon.get(&url).metadata(), &before);
    }
    client.delete(&url).is_error(403, "not authorized");
    let other = Identity::new();
    let other_url = trust(&daemon, &other, None);
    let body = json!({"certificate": identity.pem()});
    client
        .patch(&other_url, &body)
        .is_error(403, "Certificate cannot be changed");
    if !against_lxd() {
        client
            .patch(&url, &json!({"certificate": "x"}))
            .is_error(400, "Invalid certificate");
        let body = json!({"certificate": other.pem()});
        let text = "Certificate already in trust store";
        client.patch(&url, &body).is_error(409, text);
    }
    let renewed = Arc::new(Identity::new());
    client
        .patch(&url, &json!({"certificate": renewed.pem()}))
        .is_done();
    assert_eq!(auth(&client), "untrusted");
    let address = daemon.get("/1.0").metadata()["config"]["core.https_address"].clone();
    let client = Client::with(address.as_str().unwrap().parse().unwrap(), &renewed);
    assert_eq!(auth(&client), "trusted");
    client
        .get("/1.0/profiles?project=p2")
        .is_error(403, "not authorized");
    assert_eq!(client.get("/1.0/profiles?project=p1").status, 200);
}

#[test]
fn a_restricted_client_sees_its_projects_and_no_others() {
    let (daemon, identity, client) = with_client();
    project(&daemon, "mine");
    project(&daemon, "theirs");
    let own = trust(&daemon, &identity, Some(&["mine"]));
    let other = Identity::new();
    trust(&daemon, &other, None);
    let mine = import_into(&daemon, "mine", "mine");
    let theirs = import_into(&daemon, "theirs", "theirs");
    assert_eq!(client.get("/1.0").metadata()["config"], Value::Null);
    assert_eq!(
        client.get("/1.0/projects").metadata(),
        &json!(["/1.0/projects/mine"])
    );
    let listed = client.get("/1.0/projects?recursion=1").metadata().clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    client
        .get("/1.0/projects/theirs")
        .is_error(403, "not authorized");
    client
        .get("/1.0/projects/theirs/state")
        .is_error(403, "not authorized");
    assert_eq!(client.get("/1.0/projects/mine/state").status, 200);
    let list = |client: &Client, query: &str| {
        client
            .get(&format!("/1.0/images{query}"))
            .metadata()
            .clone()
    };
    assert_eq!(
        list(&client, "?project=mine"),
        json!([format!("/1.0/images/{mine}")])
    );
    assert_eq!(list(&client, "?project=theirs"), json!([]));
    client
        .get(&format!("/1.0/images/{mine}?project=mine"))
        .metadata();
    let pool = client.get("/1.0/storage-pools/default").metadata().clone();
    assert_eq!(
        (&pool["config"], &pool["used_by"]),
        (&Value::Null, &json!([]))
    );
    if !against_lxd() {
        let everywhere = json!([format!("/1.0/images/{mine}?project=mine")]);
        assert_eq!(list(&client, "?all-projects=true"), everywhere);
        assert_eq!(client.get("/1.0/certificates").metadata(), &json!([own]));
        let other = format!("/1.0/certificates/{}", other.fingerprint());
        client.get(&other).is_error(404, "Certificate not found");
        let private = client.get(&format!("/1.0/images/{theirs}?project=theirs"));
        private.is_error(404, "Image not found");
    }
    let request = Request::new("POST", "/1.0/images?project=mine").body(images::container("new"));
    let begun = client.send(&request);
    assert_eq!(client.finished(&begun)["status"], "Success");
    let request = Request::new("POST", "/1.0/images?project=theirs").body(images::container("new"));
    client.send(&request).is_error(403, "not authorized");
    client
        .patch("/1.0", &json!({"config": {}}))
        .is_error(403, "not authorized");
}

#[test]
fn operations_and_events_of_other_projects_stay_theirs() {
    if !beyond_lxd("it shows the operations of every project") {
        return;
    }
    let (daemon, identity, client) = with_client();
    project(&daemon, "mine");
    project(&daemon, "theirs");
    trust(&daemon, &identity, Some(&["mine"]));
    let theirs = import_into(&daemon, "theirs", "theirs");
    let mut events = Events::listen(&client, "?all-projects=true");
    let path = format!("/1.0/images/{theirs}/secret?project=theirs");
    let secret = daemon.post(&path, &json!({}));
    let url = format!(
        "/1.0/operations/{}",
        secret.operation()["id"].as_str().unwrap()
    );
    for method in ["GET", "DELETE"] {
        client
            .send(&Request::new(method, &url))
            .is_error(404, "Operation not found");
    }
    client
        .get(&format!("{url}/wait?timeout=0"))
        .is_error(404, "Operation not found");
    assert_eq!(
        client.get("/1.0/operations?project=theirs").metadata(),
        &json!({})
    );
    assert_eq!(daemon.get(&url).metadata()["status"], "Running");
    daemon
        .patch("/1.0", &json!({"config": {"user.x": "y"}}))
        .is_done();
    let mine = import_into(&daemon, "mine", "mine");
    events.find(|event| event["metadata"]["action"] == "image-created");
    for event in events.seen() {
        assert_eq!(event["project"], "mine", "{event}");
        assert_ne!(event["type"], "logging", "{event}");
    }
    let source = format!("/1.0/images/{mine}?project=mine");
    assert_eq!(events.seen().last().unwrap()["metadata"]["source"], source);
    client
        .get("/1.0/events?type=logging&project=mine")
        .is_error(500, "Forbidden");
    client
        .get("/1.0/events?project=theirs")
        .is_error(403, "not authorized");
}

#[test]
fn strangers_cannot_tell_a_private_image_from_a_missing_one_nor_projects() {
    if !beyond_lxd("it tells missing projects") {
        return;
    }
    let daemon = Lximaged::start();
    let address = daemon.listen();
    project(&daemon, "there");
    let restricted = Arc::new(Identity::new());
    trust(&daemon, &restricted, Some(&["default"]));
    let private = import_into(&daemon, "there", "private");
    let missing = "0".repeat(64);
    let answer = |client: &Client, project: &str, path: &str| {
        let path = path.replace("PROJECT", project);
        let answer = client.get(&path);
        (answer.status, answer.body, answer.headers.len())
    };
    let clients = [
        Lximaged::anonymous(address),
        Client::with(address, &restricted),
    ];
    for client in &clients {
        for secret in ["", "&secret=wrong"] {
            for (one, other) in [
                (
                    "/1.0/images?project=PROJECT".to_owned(),
                    "/1.0/images?project=PROJECT".to_owned(),
                ),
                (
                    format!("/1.0/images/{private}?project=PROJECT{secret}"),
                    format!("/1.0/images/{missing}?project=PROJECT{secret}"),
                ),
                (
                    format!("/1.0/images/{private}/export?project=PROJECT{secret}"),
                    format!("/1.0/images/{missing}/export?project=PROJECT{secret}"),
                ),
                (
                    "/1.0/images/aliases/a?project=PROJECT".to_owned(),
                    "/1.0/images/aliases/b?project=PROJECT".to_owned(),
                ),
            ] {
                let expected = answer(client, "there", &one);
                assert_eq!(answer(client, "there", &other), expected, "{one}");
                assert_eq!(answer(client, "nowhere", &one), expected, "{one}");
            }
        }
    }
}
