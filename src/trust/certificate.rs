//! One certificate of a client, read.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, prelude::FromDer, public_key::PublicKey};

use crate::error::{Error, Result};

/// The longest certificate that is read, in bytes of DER.
const MAX_BYTES: usize = 64 * 1024;

/// The weakest RSA key that is trusted, in bits.
const MIN_RSA_BITS: usize = 2048;

/// Go's standard base64: padded, whatever the last bits are.
const GO_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// SHA-256 of a certificate (DER), as LXD names certificates.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// A certificate, and what the server wants to know of it.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// The certificate itself.
    pub(super) der: Vec<u8>,
    /// The same as text.
    pub(super) pem: String,
    /// SHA-256 of it.
    pub(super) fingerprint: String,
    /// Whom it is for, if it says so.
    pub(super) common_name: Option<String>,
    /// From when on it is valid.
    pub(super) not_before: OffsetDateTime,
    /// Until when it is.
    pub(super) not_after: OffsetDateTime,
    has_weak_key: bool,
}

impl Certificate {
    /// Reads a certificate as LXD's clients send it: base64 of its DER, without PEM's lines.
    ///
    /// # Errors
    ///
    /// 400 with LXD's text.
    pub(super) fn from_base64(text: &str) -> Result<Self> {
        // Go skips line ends, and counts them where it tells the place of an error.
        let digits: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let der = GO_BASE64.decode(&digits).map_err(|error| {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol { offset: at, .. } => at,
                _ => digits.len(),
            };
            Error::bad_request(format!("illegal base64 data at input byte {at}"))
        })?;
        let malformed = "Invalid certificate material: x509: malformed certificate";
        Self::from_der(der).map_err(|_invalid| Error::bad_request(malformed))
    }

    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    ///
    /// 400 when there is none.
    pub(super) fn from_pem(text: &str) -> Result<Self> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| {
            tracing::debug!(%error, "not PEM");
            Error::bad_request("Invalid certificate")
        })?;
        Self::from_der(der.to_vec())
    }

    /// Reads a certificate.
    ///
    /// # Errors
    ///
    /// 400 when it is none.
    pub(super) fn from_der(der: Vec<u8>) -> Result<Self> {
        let invalid = || Error::bad_request("Invalid certificate");
        if der.len() > MAX_BYTES {
            return Err(invalid());
        }
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|error| {
            tracing::debug!(%error, "not a certificate");
            invalid()
        })?;
        if !rest.is_empty() {
            return Err(invalid());
        }
        let common_name = parsed.subject().iter_common_name().next();
        let common_name = common_name.and_then(|name| name.as_str().ok());
        let validity = parsed.validity();
        Ok(Self {
            pem: pem(&der),
            fingerprint: fingerprint(&der),
            common_name: common_name
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            has_weak_key: has_weak_key(&parsed),
            der,
        })
    }

    /// Whether it is good for being trusted now.
    ///
    /// # Errors
    ///
    /// 400 with LXD's text.
    pub(super) fn check(&self, now: OffsetDateTime) -> Result<()> {
        if now < self.not_before {
            let text = "The provided certificate isn't valid yet";
            return Err(Error::bad_request(text));
        }
        if now > self.not_after {
            return Err(Error::bad_request("The provided certificate is expired"));
        }
        if self.has_weak_key {
            let text = "The provided certificate's RSA key is too weak (minimum of 2048bit)";
            return Err(Error::bad_request(text));
        }
        Ok(())
    }

    /// Whether it is trusted at this time, once it is known.
    pub(super) fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.not_before <= now && now <= self.not_after && !self.has_weak_key
    }
}

fn has_weak_key(certificate: &X509Certificate<'_>) -> bool {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size() < MIN_RSA_BITS,
        Ok(_) => false,
        Err(_) => true,
    }
}

/// A certificate (DER) as text, in lines of 64.
pub(crate) fn pem(der: &[u8]) -> String {
    let encoded = general_purpose::STANDARD.encode(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        text.extend([line, "\n"]);
        rest = after;
    }
    if !rest.is_empty() {
        text.extend([rest, "\n"]);
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
