//! The certificate the daemon serves with, and other ones that take its place.

use std::{fs, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::support::{Lximaged, soon};

/// A pair as files.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(["server".to_owned()]).unwrap();
    (
        parameters.self_signed(&key).unwrap().pem(),
        key.serialize_pem(),
    )
}

fn served(daemon: &Lximaged) -> Value {
    daemon.get("/1.0").metadata()["environment"]["certificate"].clone()
}

/// Certificates in one form, however their lines end.
fn is(shown: &Value, pem: &str) -> bool {
    shown
        .as_str()
        .unwrap()
        .split_whitespace()
        .eq(pem.split_whitespace())
}

#[test]
fn a_pair_that_is_put_in_its_place_is_served_without_a_restart() {
    let daemon = Lximaged::start();
    let (certificate, key) = pair();
    fs::write(daemon.dir().join("server.key"), key).unwrap();
    fs::write(daemon.dir().join("server.crt"), &certificate).unwrap();
    assert!(soon(Duration::from_secs(30), || is(
        &served(&daemon),
        &certificate
    )));
}

#[test]
fn an_administrator_replaces_the_pair_through_the_api() {
    let mut daemon = Lximaged::start();
    let (certificate, key) = pair();
    let put = |certificate: &str, key: &str| {
        let body = json!({"cluster_certificate": certificate, "cluster_certificate_key": key});
        daemon.put("/1.0/cluster/certificate", &body)
    };
    let before = served(&daemon);
    for (bad_certificate, bad_key) in [("", ""), ("x", key.as_str()), (&certificate, &pair().1)] {
        let refused = put(bad_certificate, bad_key);
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert_eq!(served(&daemon), before);
    }
    put(&certificate, &key).is_done();
    assert!(is(&served(&daemon), &certificate));
    daemon.restart();
    assert!(is(&served(&daemon), &certificate));
}
