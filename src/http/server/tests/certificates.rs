//! What TLS agrees on, and the certificates of both sides.

use rcgen::{KeyPair, RsaKeySize};
use rustls::{SignatureScheme, client::ResolvesClientCert};

use super::*;

#[tokio::test]
async fn a_client_without_a_certificate_is_served() {
    let stage = Stage::new();
    let address = stage.open().await;
    assert_eq!(stage.get(address).await, "tls 127.0.0.1 ");
}

#[tokio::test]
async fn a_client_certificate_of_any_kind_reaches_the_request() {
    let stage = Stage::new();
    let address = stage.open().await;
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let pairs = [
        Pair::new(&rcgen::PKCS_ECDSA_P256_SHA256),
        Pair::new(&rcgen::PKCS_ECDSA_P384_SHA384),
        Pair::new(&rcgen::PKCS_ECDSA_P521_SHA512),
        Pair::new(&rcgen::PKCS_ED25519),
        Pair::of(&rsa),
    ];
    for pair in pairs {
        let stream = connect(address, stage.client_with(&pair)).await.unwrap();
        let expected = format!("tls 127.0.0.1 {}", pair.fingerprint());
        assert_eq!(ask(stream).await, expected);
    }
}

#[tokio::test]
async fn a_resumed_session_keeps_its_certificate() {
    let stage = Stage::new();
    let address = stage.open().await;
    let pair = Pair::new(&rcgen::PKCS_ECDSA_P384_SHA384);
    let config = stage.client_with(&pair);
    for _ in 0..2 {
        let stream = connect(address, config.clone()).await.unwrap();
        let expected = format!("tls 127.0.0.1 {}", pair.fingerprint());
        assert_eq!(ask(stream).await, expected);
    }
}

/// Presents a certificate of somebody else.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesClientCert for Impostor {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_certificate_whose_key_the_client_lacks_is_refused() {
    let stage = Stage::new();
    let address = stage.open().await;
    let [victim, own] = [(); 2].map(|()| Pair::new(&rcgen::PKCS_ECDSA_P384_SHA384));
    let own_key = Arc::clone(&own.served().key.key);
    let stolen = CertifiedKey::new(vec![victim.certificate.clone()], own_key);
    let config = stage
        .client_of(&[&rustls::version::TLS13])
        .with_client_cert_resolver(Arc::new(Impostor(Arc::new(stolen))));
    // TLS 1.3: the client is done before the server has judged.
    let mut stream = connect(address, config).await.unwrap();
    drop(stream.write_all(REQUEST).await);
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let stage = Stage::new();
    let address = stage.open().await;
    let config = stage.client_of(&[&rustls::version::TLS12]);
    let error = connect(address, config.with_no_client_auth()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn a_replaced_certificate_is_served_to_new_connections() {
    let mut stage = Stage::new();
    let address = stage.open().await;
    let mut before = stage.connect(address).await;
    stage.server = Pair::new(&rcgen::PKCS_ECDSA_P384_SHA384);
    stage.identity.replace(stage.server.served());
    let after = stage.connect(address).await;
    let served = after.get_ref().1.peer_certificates().unwrap();
    assert_eq!(served, [stage.server.certificate.clone()]);
    assert_eq!(ask(&mut before).await, "tls 127.0.0.1 ");
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let stage = Stage::new();
    let address = stage.open().await;
    let pair = Pair::new(&rcgen::PKCS_ECDSA_P384_SHA384);
    let versions = [
        ("http/1.1", http::Version::HTTP_11),
        ("h2", http::Version::HTTP_2),
    ];
    for (protocol, version) in versions {
        let client = Stage::http_client(address, stage.client_with(&pair), protocol);
        let url = format!("https://localhost:{}/", address.port());
        let answer = soon(client.get(url).send()).await.unwrap();
        assert_eq!(answer.version(), version);
        let expected = format!("tls 127.0.0.1 {}", pair.fingerprint());
        assert_eq!(answer.text().await.unwrap(), expected);
    }
}
