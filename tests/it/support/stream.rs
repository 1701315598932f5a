//! The connections under the protocol: the Unix socket, TCP, TLS over TCP.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};

/// A blocking connection that gives up after [`READ_TIMEOUT`].
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Longer than any answer takes, so that a test fails rather than hangs.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// Connects to a Unix socket.
pub(crate) fn unix(path: &Path) -> io::Result<Box<dyn Stream>> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    Ok(Box::new(stream))
}

/// Connects over TCP, in the clear.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(connect(address)?))
}

/// Connects over TLS, taking whatever certificate the server shows.
pub(crate) fn tls(address: SocketAddr, identity: Option<&Identity>) -> io::Result<Box<dyn Stream>> {
    tls_after(address, identity, b"")
}

/// The same, with something in the clear first.
pub(crate) fn tls_after(
    address: SocketAddr,
    identity: Option<&Identity>,
    greeting: &[u8],
) -> io::Result<Box<dyn Stream>> {
    let config = client_config(identity);
    let name = ServerName::from(address.ip());
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = connect(address)?;
    stream.write_all(greeting)?;
    Ok(Box::new(StreamOwned::new(session, stream)))
}

/// Connects over TLS for HTTP/2. A write that the server does not take in time fails.
pub(crate) fn tls_h2(address: SocketAddr) -> io::Result<Box<dyn Stream>> {
    let mut config = client_config(None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::from(address.ip());
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = connect(address)?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    Ok(Box::new(StreamOwned::new(session, stream)))
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    Ok(stream)
}

/// A client certificate, as `lxc` makes one for itself.
#[derive(Debug)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    /// A new self-signed one.
    pub(crate) fn new() -> Self {
        Self::made(&CertificateParams::new(["client".to_owned()]).unwrap())
    }

    /// A new self-signed one of this kind.
    pub(crate) fn made(parameters: &CertificateParams) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let made = parameters.self_signed(&key).unwrap();
        Self::of(made.der().clone(), &key)
    }

    /// One that somebody else made.
    pub(crate) fn of(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = key.serialize_der();
        Self { certificate, key }
    }

    /// SHA-256 of the certificate.
    pub(crate) fn fingerprint(&self) -> String {
        super::fingerprint(&[&self.certificate])
    }

    /// The certificate as `POST /1.0/certificates` takes it.
    pub(crate) fn base64(&self) -> String {
        BASE64.encode(&self.certificate)
    }

    /// The certificate as a file.
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Its key as a file.
    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

/// DER as a file.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let encoded = BASE64.encode(der);
    let lines = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

fn client_config(identity: Option<&Identity>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate));
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(
                vec![identity.certificate.clone()],
                PrivateKeyDer::Pkcs8(identity.key.clone().into()),
            )
            .unwrap(),
    }
}

/// Takes every certificate; the tests know whom they talk to.
#[derive(Debug)]
struct AnyCertificate;

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
