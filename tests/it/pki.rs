//! PKI mode: `server.ca` says who issues certificates, `ca.crl` which are taken back.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use serde_json::json;

use crate::support::{Client, Lximaged, daemon::Options, stream::Identity};

/// Somebody who issues certificates.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        Self {
            certificate,
            issuer,
        }
    }

    /// A client's certificate with this serial number, good until this year.
    fn issue(&self, serial: u8, until: i32) -> Arc<Identity> {
        let mut parameters = CertificateParams::new(["client".to_owned()]).unwrap();
        parameters.serial_number = Some(SerialNumber::from(vec![serial]));
        parameters.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let made = parameters.signed_by(&key, &self.issuer).unwrap();
        Arc::new(Identity::of(made.der().clone(), &key))
    }

    /// A list of what is taken back.
    fn revoke(&self, serial: u8) -> String {
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(vec![serial]),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A daemon under an authority, which has taken the certificate with serial number 2 back.
fn under(authority: &Authority) -> Lximaged {
    let mut daemon = Options::default().prepare();
    fs::create_dir_all(daemon.dir()).unwrap();
    fs::write(daemon.dir().join("server.ca"), &authority.certificate).unwrap();
    fs::write(daemon.dir().join("ca.crl"), authority.revoke(2)).unwrap();
    daemon.boot();
    daemon
}

fn is_trusted(client: &Client) -> bool {
    client.get("/1.0").metadata()["auth"] == "trusted"
}

fn trust_all(daemon: &Lximaged) {
    let config = json!({"config": {"core.trust_ca_certificates": "true"}});
    daemon.patch("/1.0", &config).is_done();
}

#[test]
fn what_the_authority_issued_can_be_trusted_and_nothing_else() {
    let authority = Authority::new("authority");
    let daemon = under(&authority);
    let address = daemon.listen();
    let impostor = Authority::new("authority");
    let clients = [
        ("issued", authority.issue(1, 2090), true),
        ("revoked", authority.issue(2, 2090), false),
        ("expired", authority.issue(3, 2020), false),
        (
            "of somebody of the same name",
            impostor.issue(4, 2090),
            false,
        ),
        ("self-signed", Arc::new(Identity::new()), false),
    ];
    for (what, identity, _) in &clients {
        assert!(!is_trusted(&Client::with(address, identity)), "{what}");
    }
    trust_all(&daemon);
    for (what, identity, trusted) in &clients {
        assert_eq!(
            is_trusted(&Client::with(address, identity)),
            *trusted,
            "{what}"
        );
    }
}

#[test]
fn a_certificate_of_the_authority_is_added_like_any_other() {
    let authority = Authority::new("authority");
    let daemon = under(&authority);
    let address = daemon.listen();
    daemon
        .patch("/1.0", &json!({"config": {"core.trust_password": "pw"}}))
        .is_done();
    let join = |identity: &Arc<Identity>| {
        let client = Client::with(address, identity);
        let body = json!({"type": "client", "password": "pw"});
        (
            client.post("/1.0/certificates", &body).status,
            is_trusted(&client),
        )
    };
    assert_eq!(join(&authority.issue(1, 2090)), (201, true));
    assert_eq!(join(&authority.issue(2, 2090)), (400, false));
    assert_eq!(join(&Arc::new(Identity::new())), (400, false));
}

#[test]
fn a_restricted_certificate_stays_restricted_although_all_are_trusted() {
    let authority = Authority::new("authority");
    let daemon = under(&authority);
    trust_all(&daemon);
    let identity = authority.issue(1, 2090);
    let client = Client::with(daemon.listen(), &identity);
    let body = json!({"type": "client", "certificate": identity.base64(), "restricted": true,
        "projects": []});
    assert_eq!(daemon.post("/1.0/certificates", &body).status, 201);
    client.get("/1.0/profiles").is_error(403, "not authorized");
}

#[test]
fn what_was_trusted_before_there_was_an_authority_is_not_any_more() {
    let mut daemon = Lximaged::start();
    let identity = Arc::new(Identity::new());
    let client = Client::with(daemon.listen(), &identity);
    let body = json!({"type": "client", "certificate": identity.base64()});
    assert_eq!(daemon.post("/1.0/certificates", &body).status, 201);
    assert!(is_trusted(&client));
    daemon.stop();
    let authority = Authority::new("authority");
    fs::write(daemon.dir().join("server.ca"), &authority.certificate).unwrap();
    daemon.boot();
    assert!(!is_trusted(&client));
    trust_all(&daemon);
    assert!(!is_trusted(&client));
}

#[test]
fn an_authority_that_cannot_be_read_keeps_the_daemon_from_starting() {
    let authority = Authority::new("authority");
    let other = Authority::new("other");
    let leaf = Identity::new().pem();
    let crl = other.revoke(2);
    let files: [(&str, &str, &str); 4] = [
        ("nonsense", "", "server.ca"),
        (&leaf, "", "server.ca"),
        (&authority.certificate, "nonsense", "ca.crl"),
        (&authority.certificate, &crl, "ca.crl"),
    ];
    for (ca, crl, named) in files {
        let mut daemon = Options::default().prepare();
        fs::create_dir_all(daemon.dir()).unwrap();
        let put = |path: &Path, text: &str| fs::write(path, text).unwrap();
        put(&daemon.dir().join("server.ca"), ca);
        if !crl.is_empty() {
            put(&daemon.dir().join("ca.crl"), crl);
        }
        daemon.spawn();
        let code = daemon.ended_within(std::time::Duration::from_secs(20));
        assert_eq!(code, Some(1), "{named}: {}", daemon.log());
        assert!(daemon.log().contains(named), "{}", daemon.log());
    }
}
