//! Whom connections trust: the certificate that a client named, or the system's authorities.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};

use crate::error::{Error, Result};

/// The one certificate that a server has to show, or be vouched for by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pin(Arc<[u8]>);

impl Pin {
    /// From PEM; `None` when the text is empty.
    ///
    /// # Errors
    ///
    /// LXD's text when it is no certificate.
    pub(crate) fn from_pem(text: &str) -> Result<Option<Self>> {
        if text.is_empty() {
            return Ok(None);
        }
        let invalid = || Error::failed("Invalid remote certificate");
        let der = CertificateDer::from_pem_slice(text.as_bytes()).ok();
        let der = der.filter(|der| X509Certificate::from_der(der).is_ok());
        let der = der.ok_or_else(invalid)?;
        Ok(Some(Self(Arc::from(der.as_ref()))))
    }

    /// The certificate, DER.
    pub(super) fn der(&self) -> &[u8] {
        &self.0
    }
}

/// The certificate that this server shows, as it is at the time of the request.
pub(crate) type IdentityOf = Arc<dyn Fn() -> Arc<CertifiedKey> + Send + Sync>;

/// How connections are made: to whom `pin` names or else whom the system trusts, showing
/// `identity` if there is one.
pub(super) fn config(pin: Option<&Pin>, identity: Option<IdentityOf>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let failed = |error| Error::internal("Failed to set TLS up", anyhow::Error::new(error));
    let builder = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match pin {
        None => builder.with_root_certificates(system_authorities()),
        Some(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned::new(pin.clone(), &provider))),
    };
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(Arc::new(Identified(identity))),
    })
}

/// The system's authorities, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn system_authorities() -> RootCertStore {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some certificate authorities cannot be read");
    }
    store.add_parsable_certificates(found.certs);
    store
}

/// Accepts one certificate, or what it vouches for when it is an authority's.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    authority: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(pin: Pin, provider: &Arc<CryptoProvider>) -> Self {
        let is_authority =
            X509Certificate::from_der(pin.der()).is_ok_and(|(_, certificate)| certificate.is_ca());
        let authority = is_authority.then(|| {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(pin.der().to_vec())).ok()?;
            let (roots, provider) = (Arc::new(roots), Arc::clone(provider));
            WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .ok()
        });
        Self {
            pin,
            authority: authority.flatten(),
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

/// Whether the dates of a certificate allow its use.
fn check_dates(der: &[u8], now: UnixTime) -> Result<(), TlsError> {
    let bad = |error| TlsError::InvalidCertificate(error);
    let (_, certificate) = X509Certificate::from_der(der)
        .ok()
        .ok_or(bad(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).ok();
    let now = now.and_then(|now| ASN1Time::from_timestamp(now).ok());
    if now.is_some_and(|now| certificate.validity().is_valid_at(now)) {
        return Ok(());
    }
    Err(bad(CertificateError::Expired))
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if certificate.as_ref() == self.pin.der() {
            check_dates(certificate, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = || TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = self.authority.as_ref().ok_or_else(unknown)?;
        authority.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Shows this server's certificate to whoever asks for one.
struct Identified(IdentityOf);

impl std::fmt::Debug for Identified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identified")
    }
}

impl ResolvesClientCert for Identified {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = (self.0)();
        key.key.choose_scheme(schemes).map(|_| key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
