//! What pages of other origins are told: `core.https_allowed_*`.

use std::sync::Arc;

use serde_json::json;

use crate::support::{Answer, Client, Lximaged, Request, beyond_lxd, stream::Identity};

const HEADERS: [&str; 4] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
];

fn told(answer: &Answer) -> [Option<&str>; 4] {
    HEADERS.map(|name| answer.header(name))
}

fn ask(client: &Client, method: &str, path: &str, origin: &str) -> Answer {
    client.send(&Request::new(method, path).header("Origin", origin))
}

#[test]
fn nothing_is_told_unless_it_is_configured() {
    let daemon = Lximaged::start();
    let answer = ask(&daemon, "GET", "/1.0", "https://page.example");
    assert_eq!(told(&answer), [None; 4]);
}

#[test]
fn every_answer_to_a_page_carries_what_is_configured() {
    let daemon = Lximaged::start();
    let config = json!({"config": {
        "core.https_allowed_origin": "https://other.example",
        "core.https_allowed_methods": "GET, POST",
        "core.https_allowed_headers": "Content-Type",
    }});
    daemon.patch("/1.0", &config).is_done();
    let stranger = Lximaged::anonymous(daemon.listen());
    let expected = [
        Some("https://other.example"),
        Some("GET, POST"),
        Some("Content-Type"),
        None,
    ];
    let requests = [
        ("GET", "/", 200),
        ("GET", "/1.0/images", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/1.0/images", 501),
        ("OPTIONS", "/1.0/images", 200),
        ("OPTIONS", "/nowhere", 200),
    ];
    for (method, path, status) in requests {
        let answer = ask(&daemon, method, path, "https://page.example");
        assert_eq!((answer.status, told(&answer)), (status, expected), "{path}");
        let without = daemon.send(&Request::new(method, path));
        assert_eq!(told(&without), [None; 4], "{method} {path}");
    }
    let refused = ask(&stranger, "PUT", "/1.0", "https://page.example");
    assert_eq!((refused.status, told(&refused)), (403, expected));
    let empty = ask(&daemon, "GET", "/1.0", "");
    assert_eq!(told(&empty), [None; 4]);
}

#[test]
fn credentials_are_allowed_to_whoever_asks() {
    let daemon = Lximaged::start();
    let allowed = |value: &str| {
        let config = json!({"config": {"core.https_allowed_credentials": value}});
        daemon.patch("/1.0", &config).is_done();
        told(&daemon.get("/1.0/images"))[3].map(str::to_owned)
    };
    assert_eq!(allowed("1").as_deref(), Some("true"));
    assert_eq!(allowed("false"), None);
}

#[test]
fn a_setting_that_is_no_header_is_not_sent() {
    let daemon = Lximaged::start();
    let config = json!({"config": {"core.https_allowed_origin": "a\r\nX-Injected: 1"}});
    daemon.patch("/1.0", &config).is_done();
    let answer = ask(&daemon, "GET", "/1.0/images", "https://page.example");
    assert_eq!((answer.status, told(&answer)), (200, [None; 4]));
    assert_eq!(answer.header("x-injected"), None);
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    if !beyond_lxd("it trusts whatever a browser sends") {
        return;
    }
    let daemon = Lximaged::start();
    let address = daemon.listen();
    let identity = Arc::new(Identity::new());
    let body = json!({"type": "client", "certificate": identity.base64()});
    assert_eq!(daemon.post("/1.0/certificates", &body).status, 201);
    let client = Client::with(address, &identity);
    let post = |headers: &[(&str, &str)]| {
        let request = Request::new("POST", "/1.0/projects").json(&json!({"name": "p1"}));
        client.send(&request.headers(headers))
    };
    let text = "Requests from other origins are refused";
    post(&[("Origin", "https://evil.example")]).is_error(403, text);
    post(&[("Sec-Fetch-Site", "cross-site")]).is_error(403, text);
    // As what every request of the tests calls the server.
    let own = "https://unix.socket";
    post(&[("Origin", own), ("Sec-Fetch-Site", "same-origin")]).is_created("/1.0/projects/p1");
    assert_eq!(
        ask(&client, "GET", "/1.0", "https://evil.example").status,
        200
    );
}
