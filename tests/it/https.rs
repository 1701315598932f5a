//! The network listener, and what somebody without trust sees there.

use std::{fs, io::Read, net::TcpListener};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Client, Lximaged, beyond_lxd, daemon::own_address, http::Connection, images, soon,
};

fn listening() -> (Lximaged, Client) {
    let daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    (daemon, anonymous)
}

#[test]
fn strangers_see_a_reduced_server() {
    let (daemon, anonymous) = listening();
    let server = anonymous.get("/1.0").metadata().clone();
    let keys: Vec<_> = server.as_object().unwrap().keys().cloned().collect();
    let expected = [
        "api_extensions",
        "api_status",
        "api_version",
        "auth",
        "public",
        "auth_methods",
    ];
    assert_eq!(keys, expected);
    assert_eq!(server["auth"], "untrusted");
    assert_eq!(
        server["api_extensions"],
        daemon.get("/1.0").metadata()["api_extensions"]
    );
    assert_eq!(anonymous.get("/").metadata(), &json!(["/1.0"]));
}

#[test]
fn an_unknown_certificate_is_as_good_as_none() {
    let daemon = Lximaged::start();
    let stranger = Lximaged::stranger(daemon.listen());
    assert_eq!(stranger.get("/1.0").metadata()["auth"], "untrusted");
    stranger
        .get("/1.0/operations")
        .is_error(403, "not authorized");
}

#[test]
fn strangers_see_public_images_only() {
    let (daemon, anonymous) = listening();
    let private = daemon.import(&images::container("private"));
    let packed = images::container("public");
    let public = daemon.import_public(&packed);
    let urls = json!([format!("/1.0/images/{public}")]);
    assert_eq!(anonymous.get("/1.0/images").metadata(), &urls);
    let list = anonymous.get("/1.0/images?recursion=1").metadata().clone();
    assert_eq!(list, json!([daemon.image(&public)]));
    assert_eq!(
        anonymous.get(&format!("/1.0/images/{public}/export")).body,
        packed
    );
    assert_eq!(anonymous.get(&format!("/1.0/images/{private}")).status, 404);
    assert_eq!(
        anonymous
            .get(&format!("/1.0/images/{private}/export"))
            .status,
        404
    );
}

#[test]
fn strangers_find_aliases_of_public_images_only() {
    let (daemon, anonymous) = listening();
    daemon.alias("private", &daemon.import(&images::container("private")));
    let public = daemon.import_public(&images::container("public"));
    daemon.alias("public", &public);
    let alias = anonymous.get("/1.0/images/aliases/public");
    assert_eq!(alias.metadata()["target"], public.as_str());
    anonymous
        .get("/1.0/images/aliases/private")
        .is_error(404, "Image alias not found");
    anonymous
        .get("/1.0/images/aliases")
        .is_error(403, "not authorized");
}

#[test]
fn strangers_cannot_write() {
    let (daemon, anonymous) = listening();
    let found = daemon.import_public(&images::container("a"));
    let path = format!("/1.0/images/{found}");
    let answers = [
        anonymous.upload(&images::container("b"), &[]),
        anonymous.put(&path, &json!({})),
        anonymous.patch(&path, &json!({})),
        anonymous.delete(&path),
        anonymous.post(
            "/1.0/images/aliases",
            &json!({"name": "x", "target": found}),
        ),
        anonymous.post(&format!("{path}/secret"), &json!({})),
        anonymous.put("/1.0", &json!({})),
        anonymous.get("/1.0/events"),
    ];
    for answer in answers {
        answer.is_error(403, "not authorized");
    }
    assert_eq!(daemon.images("default").len(), 1);
}

#[test]
fn the_start_of_a_private_fingerprint_reveals_nothing() {
    if !beyond_lxd("its answer tells the whole fingerprint") {
        return;
    }
    let (daemon, anonymous) = listening();
    let found = daemon.import(&images::container("a"));
    for name in [&found, &found[..12], "0"] {
        anonymous
            .get(&format!("/1.0/images/{name}"))
            .is_error(404, "Image not found");
    }
}

#[test]
fn a_request_in_the_clear_is_answered_at_once() {
    let (daemon, anonymous) = listening();
    let Client::Tls(address, _) = anonymous else {
        unreachable!()
    };
    let mut stream = Client::Tcp(address).stream().unwrap();
    stream
        .write_all(b"GET /1.0 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    // The daemon may close before it has read everything; what it said has come all the same.
    drop(stream.read_to_string(&mut answer));
    assert!(
        answer.starts_with("HTTP/1.0 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
        "{answer}"
    );
    drop(daemon);
}

#[test]
fn a_moved_listener_is_closed_at_the_old_address() {
    let (daemon, anonymous) = listening();
    let address = own_address(8443);
    let body = json!({"config": {"core.https_address": address.to_string()}});
    daemon.patch("/1.0", &body).is_done();
    Lximaged::anonymous(address).get("/1.0").metadata();
    assert!(
        anonymous.connect().is_err(),
        "nobody listens there any more"
    );
    let addresses = daemon.get("/1.0").metadata()["environment"]["addresses"].clone();
    assert_eq!(addresses, json!([address.to_string()]));
}

#[test]
fn an_address_in_use_is_refused_and_the_listener_stays() {
    let (daemon, anonymous) = listening();
    let taken = TcpListener::bind(own_address(0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let before = daemon.get("/1.0").metadata()["config"].clone();
    let body = json!({"config": {"core.https_address": address}});
    let answer = daemon.patch("/1.0", &body);
    assert_eq!(answer.status, 500);
    let error = answer.json["error"].as_str().unwrap();
    let begins = format!("Cannot listen on network HTTPS socket \"{address}\": ");
    assert!(
        error.starts_with(&begins) && error.ends_with("address already in use"),
        "{error}"
    );
    anonymous.get("/1.0").metadata();
    assert_eq!(daemon.get("/1.0").metadata()["config"], before);
}

#[test]
fn the_listener_moves_to_all_addresses_of_its_port() {
    let daemon = Lximaged::start();
    let port = TcpListener::bind(own_address(0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for address in [own_address(port).to_string(), format!("0.0.0.0:{port}")] {
        let body = json!({"config": {"core.https_address": address}});
        daemon.patch("/1.0", &body).is_done();
    }
    Lximaged::anonymous(own_address(port))
        .get("/1.0")
        .metadata();
}

#[test]
fn a_new_certificate_is_served_after_sighup() {
    if !beyond_lxd("it has to be restarted") {
        return;
    }
    let (daemon, anonymous) = listening();
    let other = Lximaged::start();
    for name in ["server.key", "server.crt"] {
        fs::copy(other.dir().join(name), daemon.dir().join(name)).unwrap();
    }
    daemon.signal(Signal::HUP);
    let reloaded = || daemon.log().contains("read again");
    assert!(soon(crate::support::PATIENCE, reloaded));
    anonymous.get("/1.0").metadata();
    let served = |daemon: &Lximaged| {
        daemon.get("/1.0").metadata()["environment"]["certificate_fingerprint"].clone()
    };
    assert_eq!(served(&daemon), served(&other));
}

#[test]
fn an_unset_listener_is_closed() {
    let (daemon, anonymous) = listening();
    daemon
        .patch("/1.0", &json!({"config": {"core.https_address": ""}}))
        .is_done();
    assert!(anonymous.connect().is_err());
    assert_eq!(
        daemon.get("/1.0").metadata()["environment"]["addresses"],
        json!([])
    );
}

#[test]
fn the_listener_comes_back_with_the_daemon_and_keeps_its_certificate() {
    let mut daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    let certificate = |daemon: &Lximaged| {
        daemon.get("/1.0").metadata()["environment"]["certificate_fingerprint"].clone()
    };
    let before = certificate(&daemon);
    daemon.restart();
    assert!(soon(crate::support::PATIENCE, || anonymous
        .connect()
        .is_ok()));
    anonymous.get("/1.0").metadata();
    assert_eq!(certificate(&daemon), before);
}

#[test]
fn one_connection_serves_many_requests() {
    let (_daemon, anonymous) = listening();
    let mut connection: Connection = anonymous.connect().unwrap();
    for _ in 0..3 {
        let request = crate::support::Request::new("GET", "/1.0/images").keep_alive();
        assert_eq!(connection.send(&request).unwrap().metadata(), &json!([]));
    }
}
