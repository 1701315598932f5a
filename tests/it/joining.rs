//! How clients come to be trusted: with the password, with tokens, through the command line.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Lximaged, against_lxd, beyond_lxd, images, soon,
    stream::Identity,
    trust::{auth, join, printed, project, token, with_client},
};

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
