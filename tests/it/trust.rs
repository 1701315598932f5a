//! Who is trusted: certificates, passwords, tokens, and what a restricted client may do.

use std::{sync::Arc, thread, time::Duration};

use rcgen::{CertificateParams, DnType, date_time_ymd};
use serde_json::{Value, json};

use crate::support::{
    Client, Lximaged, Request, against_lxd, beyond_lxd,
    events::Events,
    http::Connection,
    image_api::fingerprint_of,
    images, soon,
    stream::{Identity, tls_after},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

/// A daemon that listens, and somebody with a certificate it does not know.
fn with_client() -> (Lximaged, Arc<Identity>, Client) {
    let daemon = Lximaged::start();
    let identity = Arc::new(Identity::new());
    let client = Client::with(daemon.listen(), &identity);
    (daemon, identity, client)
}

/// Adds a certificate as an administrator does.
#[track_caller]
fn trust(daemon: &Lximaged, identity: &Identity, projects: Option<&[&str]>) -> String {
    let body = json!({"name": "a client", "type": "client", "certificate": identity.base64(),
        "restricted": projects.is_some(), "projects": projects.unwrap_or_default()});
    let url = format!("/1.0/certificates/{}", identity.fingerprint());
    daemon.post("/1.0/certificates", &body).is_created(&url);
    url
}

fn auth(client: &Client) -> Value {
    client.get("/1.0").metadata()["auth"].clone()
}

fn project(daemon: &Lximaged, name: &str) {
    let answer = daemon.post("/1.0/projects", &json!({ "name": name }));
    answer.is_created(&format!("/1.0/projects/{name}"));
}

fn import_into(daemon: &Lximaged, project: &str, marker: &str) -> String {
    let path = format!("/1.0/images?project={project}");
    let request = Request::new("POST", &path).body(images::container(marker));
    fingerprint_of(&daemon.finished(&daemon.send(&request)))
}

/// What `lxc config trust add` prints for a token operation.
fn printed(token: &Value) -> String {
    let metadata = &token["metadata"];
    let handed = json!({"client_name": metadata["request"]["name"],
        "fingerprint": metadata["fingerprint"], "addresses": metadata["addresses"],
        "secret": metadata["secret"], "expires_at": "0001-01-01T00:00:00Z"});
    BASE64.encode(handed.to_string())
}

fn token(daemon: &Lximaged, more: &Value) -> Value {
    let mut body = json!({"name": "guest", "type": "client", "token": true});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    daemon.post("/1.0/certificates", &body).operation().clone()
}

fn join(client: &Client, password: &str) -> crate::support::Answer {
    client.post(
        "/1.0/certificates",
        &json!({"type": "", "password": password}),
    )
}

#[test]
fn a_certificate_is_trusted_until_it_is_removed() {
    let (daemon, identity, client) = with_client();
    assert_eq!(auth(&client), "untrusted");
    let url = trust(&daemon, &identity, None);
    let mut connection = client.connect().unwrap();
    let mut ask = || connection.send(&Request::new("GET", "/1.0/images/aliases").keep_alive());
    assert_eq!(ask().unwrap().status, 200);
    assert_eq!(auth(&client), "trusted");
    let shown = daemon.get(&url).metadata().clone();
    let expected = json!({"name": "a client", "type": "client", "restricted": false,
        "projects": [], "certificate": identity.pem(), "fingerprint": identity.fingerprint()});
    assert_eq!(shown, expected);
    assert_eq!(daemon.get("/1.0/certificates").metadata(), &json!([url]));
    assert_eq!(
        daemon.get("/1.0/certificates?recursion=1").metadata(),
        &json!([expected])
    );
    assert_eq!(daemon.get(&url[..url.len() - 40]).metadata(), &expected);
    let start = &identity.fingerprint()[..12];
    daemon
        .delete(&format!("/1.0/certificates/{start}"))
        .is_done();
    // The connection stays, the trust does not.
    ask().unwrap().is_error(403, "not authorized");
    assert_eq!(auth(&client), "untrusted");
    daemon.delete(&url).is_error(404, "Certificate not found");
}

#[test]
fn trust_outlives_a_restart() {
    let (mut daemon, identity, client) = with_client();
    trust(&daemon, &identity, None);
    daemon.restart();
    assert_eq!(auth(&client), "trusted");
}

#[test]
fn what_is_no_good_certificate_is_refused_in_lxds_words() {
    let (daemon, identity, _) = with_client();
    let post = |body: &Value| daemon.post("/1.0/certificates", body);
    let with = |certificate: &str| post(&json!({"type": "client", "certificate": certificate}));
    with("***").is_error(400, "illegal base64 data at input byte 0");
    with("AAAA*").is_error(400, "illegal base64 data at input byte 4");
    let text = "Invalid certificate material: x509: malformed certificate";
    with("bm90IGEgY2VydA==").is_error(400, text);
    with(&BASE64.encode(vec![0x30; 70_000])).is_error(400, text);
    let expired = |from: i32, to: i32| {
        let mut parameters = CertificateParams::default();
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(to, 1, 1);
        Identity::made(&parameters).base64()
    };
    with(&expired(2000, 2001)).is_error(400, "The provided certificate is expired");
    with(&expired(4000, 4001)).is_error(400, "The provided certificate isn't valid yet");
    post(&json!({"type": "client"})).is_error(400, "Client is already trusted");
    post(&json!({"type": "alien", "certificate": identity.base64()}))
        .is_error(400, "Invalid certificate type");
    post(&json!({"type": "client", "certificate": identity.base64(), "projects": ["nope"]}))
        .is_error(404, "Project not found");
    trust(&daemon, &identity, None);
    with(&identity.base64()).is_error(409, "Certificate already in trust store");
    assert_eq!(
        daemon
            .get("/1.0/certificates")
            .metadata()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_certificate_without_a_name_is_called_after_whom_it_is_for() {
    let daemon = Lximaged::start();
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "somebody");
    let identity = Identity::made(&parameters);
    let body = json!({"type": "client", "certificate": identity.base64()});
    daemon.post("/1.0/certificates", &body);
    let path = format!("/1.0/certificates/{}", identity.fingerprint());
    assert_eq!(daemon.get(&path).metadata()["name"], "somebody");
}

#[test]
fn the_password_gains_trust_and_nothing_else_does() {
    let (daemon, identity, client) = with_client();
    let with = |password: &str| {
        let body = json!({"type": "client", "name": "me", "password": password});
        client.post("/1.0/certificates", &body)
    };
    with("secret").is_error(403, "not authorized");
    daemon
        .patch(
            "/1.0",
            &json!({"config": {"core.trust_password": "secret"}}),
        )
        .is_done();
    for wrong in ["", "Secret", "secret ", "true"] {
        with(wrong).is_error(403, "not authorized");
    }
    assert_eq!(auth(&client), "untrusted");
    with("secret").is_created(&format!("/1.0/certificates/{}", identity.fingerprint()));
    assert_eq!(auth(&client), "trusted");
    with("secret").is_error(400, "Client is already trusted");
    let nobody = Lximaged::anonymous(daemon.listen());
    let body = json!({"type": "client", "password": "secret"});
    nobody
        .post("/1.0/certificates", &body)
        .is_error(400, "No client certificate provided");
    assert!(!daemon.log().contains("secret "), "{}", daemon.log());
}

#[test]
fn a_token_gains_trust_once_even_when_fifty_try() {
    let daemon = Lximaged::start();
    let address = daemon.listen();
    let token = token(&daemon, &json!({"name": "guest"}));
    assert_eq!(
        (&token["class"], &token["may_cancel"]),
        (&json!("token"), &json!(true))
    );
    assert_eq!(token["metadata"]["addresses"], json!([address.to_string()]));
    let password = printed(&token);
    let statuses = thread::scope(|scope| {
        let attempt = |_| {
            let password = &password;
            scope.spawn(move || join(&Lximaged::stranger(address), password).status)
        };
        let attempts: [_; 50] = std::array::from_fn(attempt);
        attempts.map(|attempt| attempt.join().unwrap())
    });
    let count = |status| statuses.iter().filter(|&&found| found == status).count();
    assert_eq!((count(201), count(403)), (1, 49), "{statuses:?}");
    let added = daemon
        .get("/1.0/certificates?recursion=1")
        .metadata()
        .clone();
    assert_eq!(added.as_array().unwrap().len(), 1);
    assert_eq!(added[0]["name"], "guest");
}

#[test]
fn a_token_says_what_its_user_may_do() {
    let (daemon, identity, client) = with_client();
    project(&daemon, "p1");
    let token = token(&daemon, &json!({"restricted": true, "projects": ["p1"]}));
    let body = json!({"type": "server", "name": "root", "restricted": false, "projects": [],
        "password": printed(&token)});
    let url = format!("/1.0/certificates/{}", identity.fingerprint());
    client.post("/1.0/certificates", &body).is_created(&url);
    let added = daemon.get(&url).metadata().clone();
    let rights = ["name", "type", "restricted", "projects"].map(|key| added[key].clone());
    assert_eq!(
        rights,
        [json!("guest"), json!("client"), json!(true), json!(["p1"])]
    );
}

#[test]
fn tokens_that_are_over_open_nothing() {
    let (daemon, _, client) = with_client();
    let revoked = token(&daemon, &json!({}));
    let url = format!("/1.0/operations/{}", revoked["id"].as_str().unwrap());
    daemon.delete(&url).is_done();
    let text = "No matching certificate add operation found";
    join(&client, &printed(&revoked)).is_error(403, text);
    let secret = revoked["metadata"]["secret"].as_str().unwrap();
    join(&client, secret).is_error(403, "not authorized");
    let config = json!({"config": {"core.remote_token_expiry": "0S"}});
    daemon.patch("/1.0", &config).is_done();
    let expired = token(&daemon, &json!({}));
    assert!(expired["metadata"]["expiresAt"].is_string());
    let text = "Failed during search for certificate add token operation: Token has expired";
    let answer = join(&client, &printed(&expired));
    if !against_lxd() {
        answer.is_error(500, text);
    }
    let again = join(&client, &printed(&expired));
    assert_eq!(again.status, 403, "{}", again.text());
    assert_eq!(auth(&client), "untrusted");
}

#[test]
fn tokens_are_refused_where_they_make_no_sense() {
    let daemon = Lximaged::start();
    let post = |body: Value| daemon.post("/1.0/certificates", &body);
    let text = "Can't issue token when server isn't listening on network";
    post(json!({"type": "client", "token": true})).is_error(400, text);
    let client = Lximaged::stranger(daemon.listen());
    let text = "Tokens can only be issued for client certificates";
    post(json!({"type": "metrics", "token": true})).is_error(400, text);
    let text = "Can't use certificate if token is requested";
    post(json!({"type": "client", "token": true, "certificate": "x"})).is_error(400, text);
    let body = json!({"type": "client", "token": true});
    client
        .post("/1.0/certificates", &body)
        .is_error(403, "not authorized");
}

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
fn a_certificate_is_edited_by_administrators() {
    let (daemon, identity, _) = with_client();
    project(&daemon, "p1");
    let url = trust(&daemon, &identity, None);
    let etag = daemon.get(&url).header("etag").unwrap().to_owned();
    let body = json!({"name": "renamed", "type": "client", "restricted": true, "projects": ["p1"]});
    let stale = Request::new("PUT", &url)
        .json(&body)
        .header("If-Match", "\"stale\"");
    assert_eq!(daemon.send(&stale).status, 412);
    let start = &identity.fingerprint()[..12];
    let fresh = Request::new("PUT", &format!("/1.0/certificates/{start}"))
        .json(&body)
        .header("If-Match", &etag);
    daemon.send(&fresh).is_done();
    let shown = daemon.get(&url).metadata().clone();
    assert_eq!(
        (&shown["name"], &shown["projects"]),
        (&json!("renamed"), &json!(["p1"]))
    );
    assert_eq!(shown["certificate"], identity.pem().as_str());
    let again = json!({"name": "again"});
    daemon
        .patch(&format!("/1.0/certificates/{start}"), &again)
        .is_done();
    let shown = daemon.get(&url).metadata().clone();
    assert_eq!(
        (&shown["name"], &shown["restricted"]),
        (&json!("again"), &json!(true))
    );
    let text = "The certificate type cannot be changed";
    daemon
        .patch(&url, &json!({"type": "server"}))
        .is_error(403, text);
    daemon
        .patch(&url, &json!({"projects": ["nope"]}))
        .is_error(404, "Project not found");
    daemon
        .get("/1.0/certificates/%25")
        .is_error(404, "Certificate not found");
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

#[test]
fn measurements_are_for_those_who_may_read_them() {
    let (daemon, identity, client) = with_client();
    let answer = daemon.get("/1.0/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert!(answer.text().ends_with("# EOF\n"));
    client.get("/1.0/metrics").is_error(403, "not authorized");
    let body = json!({"type": "metrics", "name": "m", "certificate": identity.base64()});
    daemon.post("/1.0/certificates", &body);
    assert_eq!(client.get("/1.0/metrics").status, 200);
    assert_eq!(auth(&client), "untrusted");
    client.get("/1.0/profiles").is_error(403, "not authorized");
    let stranger = Lximaged::anonymous(daemon.listen());
    let config = json!({"config": {"core.metrics_authentication": "false"}});
    daemon.patch("/1.0", &config).is_done();
    assert_eq!(stranger.get("/1.0/metrics").status, 200);
}

#[test]
fn lxc_joins_in_every_way() {
    let daemon = Lximaged::start();
    let address = daemon.listen().to_string();
    daemon.import_public(&images::container("public"));
    let url = format!("https://{address}");
    let other = |number: u32, args: &[&str]| {
        let mut command = daemon.lxc_command(args);
        command.env("LXD_CONF", daemon.home().join(format!("other{number}")));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    };
    let (added, text) = other(
        1,
        &[
            "remote",
            "add",
            "r",
            &url,
            "--accept-certificate",
            "--public",
        ],
    );
    assert!(added, "{text}");
    let (_, listed) = other(1, &["image", "list", "r:", "-f", "csv", "-c", "p"]);
    assert_eq!(listed.trim(), "yes");
    daemon
        .patch("/1.0", &json!({"config": {"core.trust_password": "pw"}}))
        .is_done();
    let with_password = [
        "remote",
        "add",
        "r",
        &url,
        "--accept-certificate",
        "--password",
        "pw",
    ];
    let (added, text) = other(2, &with_password);
    assert!(added, "{text}");
    let (listed, text) = other(2, &["config", "trust", "list", "r:", "-f", "csv"]);
    assert!(listed && text.starts_with("client,"), "{text}");
    let (removed, text) = other(2, &["remote", "remove", "r"]);
    assert!(removed, "{text}");
    let again = ["remote", "add", "r", &url, "--accept-certificate"];
    let (added, text) = other(2, &again);
    assert!(added, "already trusted: {text}");
    let printed = daemon.lxc(&["config", "trust", "add", "--name", "third", "-q"]);
    let token = printed.lines().last().unwrap();
    let (added, text) = other(3, &["remote", "add", "r", token]);
    assert!(added, "{text}");
    let (listed, text) = other(3, &["alias", "list"]);
    assert!(listed, "{text}");
    let (shown, text) = other(3, &["info", "r:"]);
    assert!(shown && text.contains("auth: trusted"), "{text}");
    assert!(soon(Duration::from_secs(10), || {
        daemon
            .lxc(&["config", "trust", "list-tokens", "-f", "csv"])
            .trim()
            .is_empty()
    }));
}

#[test]
fn the_command_line_says_whom_the_daemon_trusts() {
    if !beyond_lxd("it has no such command") {
        return;
    }
    let daemon = Lximaged::start();
    let trust = |args: &[&str]| {
        let output = daemon
            .command(&[&["trust"], args].concat())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (added, text) = trust(&["add", "guest"]);
    assert!(
        !added && text.contains("isn't listening on network"),
        "{text}"
    );
    let address = daemon.listen();
    project(&daemon, "p1");
    let (added, token) = trust(&["add", "guest", "--project", "p1"]);
    assert!(added, "{token}");
    let joined = join(&Lximaged::stranger(address), token.trim());
    assert_eq!(joined.status, 201, "{}", joined.text());
    let file = daemon.home().join("client.crt");
    let identity = Identity::new();
    std::fs::write(&file, identity.pem()).unwrap();
    let (added, text) = trust(&["add", "host", "--certificate", &file.to_string_lossy()]);
    assert!(added, "{text}");
    let (_, listed) = trust(&["list"]);
    let columns = |name: &str| {
        let line = listed.lines().find(|line| line.contains(name)).unwrap();
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(columns("guest"), "client guest p1");
    assert_eq!(columns("host"), "client host everything");
    let (removed, text) = trust(&["remove", "guest"]);
    assert!(removed, "{text}");
    let (removed, text) = trust(&["remove", &identity.fingerprint()[..12]]);
    assert!(removed, "{text}");
    assert_eq!(daemon.get("/1.0/certificates").metadata(), &json!([]));
    let (removed, text) = trust(&["remove", "guest"]);
    assert!(!removed && text.contains("0 clients"), "{text}");
}

#[test]
fn a_trusted_proxy_says_whom_it_speaks_for() {
    let (daemon, identity, _) = with_client();
    let address = daemon.listen();
    let config = json!({"config": {"core.trust_password": "pw"}});
    daemon.patch("/1.0", &config).is_done();
    let wrong = || {
        let greeting = b"PROXY TCP4 10.9.9.9 127.0.0.1 1234 8443\r\n";
        let stream = tls_after(address, Some(&identity), greeting).unwrap();
        let body = json!({"type": "client", "password": "wrong"});
        Connection::new(stream).send(&Request::new("POST", "/1.0/certificates").json(&body))
    };
    assert!(wrong().is_err(), "nobody trusts this proxy yet");
    let client = own_client_address(address);
    let config = json!({"config": {"core.https_trusted_proxy": format!("192.0.2.1, {client}")}});
    daemon.patch("/1.0", &config).is_done();
    wrong().unwrap().is_error(403, "not authorized");
    if !against_lxd() {
        assert!(daemon.log().contains("10.9.9.9:1234"), "{}", daemon.log());
    }
}

/// The address that connections to this one come from.
fn own_client_address(address: std::net::SocketAddr) -> std::net::IpAddr {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.local_addr().unwrap().ip()
}
