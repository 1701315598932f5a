//! Certificates that the daemon trusts.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rcgen::{CertificateParams, DnType, date_time_ymd};
use serde_json::{Value, json};

use crate::support::{
    Lximaged, Request, against_lxd,
    http::Connection,
    stream::{Identity, tls_after},
    trust::{auth, project, trust, with_client},
};

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
