//! PKI mode: with a file `server.ca` in the state directory, every client certificate has to be
//! issued by that authority, and `ca.crl` beside it says which ones are revoked.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject};
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate, oid_registry::OID_PKCS1_SHA1WITHRSA, prelude::FromDer,
    revocation_list::CertificateRevocationList,
};

use crate::error::{Context, Error, Result};

/// The longest files that are read.
const MAX_AUTHORITY_BYTES: u64 = 1024 * 1024;
const MAX_REVOKED_BYTES: u64 = 64 * 1024 * 1024;

/// The authority whose certificates clients must have.
#[derive(Debug)]
pub(crate) struct Authority {
    /// DER, each of a certificate that may issue others.
    issuers: Vec<Vec<u8>>,
    /// Serial numbers, sorted.
    revoked: Vec<Vec<u8>>,
}

/// What an authority says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It issued it, and stands by it.
    Issued,
    /// It did not.
    Foreign,
    /// It took it back.
    Revoked,
    /// It is not valid at this time.
    OutOfDate,
}

impl Authority {
    /// Reads `server.ca` and `ca.crl`. Without the first there is no authority.
    ///
    /// # Errors
    ///
    /// When a file is there but cannot be used: a server that must not trust everybody does not
    /// start trusting everybody because of a typing error.
    pub(crate) fn load(directory: &Path) -> Result<Option<Self>> {
        let (authority, list) = (directory.join("server.ca"), directory.join("ca.crl"));
        let Some(text) = read(&authority, MAX_AUTHORITY_BYTES)? else {
            return Ok(None);
        };
        let issuers: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&text)
            .map(|der| der.map(|der| der.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(&authority, &error))?;
        for der in &issuers {
            check_issuer(der).map_err(|reason| unusable(&authority, &reason))?;
        }
        if issuers.is_empty() {
            return Err(unusable(&authority, &"there is no certificate in it"));
        }
        let revoked = match read(&list, MAX_REVOKED_BYTES)? {
            None => Vec::new(),
            Some(text) => revoked(&text, &issuers).map_err(|reason| unusable(&list, &reason))?,
        };
        tracing::info!(
            revoked = revoked.len(),
            "only certificates of the authority are trusted"
        );
        Ok(Some(Self { issuers, revoked }))
    }

    /// What the authority says of a client certificate (DER) at this time.
    pub(super) fn verdict(&self, der: &[u8], now: OffsetDateTime) -> Verdict {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return Verdict::Foreign;
        };
        let is_weak = certificate.signature_algorithm.algorithm == OID_PKCS1_SHA1WITHRSA;
        let issued_by = |issuer: &Vec<u8>| issued(&certificate, issuer, now);
        if is_weak || !self.issuers.iter().any(issued_by) {
            return Verdict::Foreign;
        }
        let serial = certificate.raw_serial().to_vec();
        if self.revoked.binary_search(&serial).is_ok() {
            return Verdict::Revoked;
        }
        if !is_valid(&certificate, now) {
            return Verdict::OutOfDate;
        }
        Verdict::Issued
    }
}

fn read(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(file) if file.len() > max_bytes => Err(unusable(path, &"it is too long")),
        Ok(_) => fs::read(path)
            .map(Some)
            .context(format_args!("Failed to read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(format_args!("Failed to read {}", path.display())),
    }
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("{} cannot be used: {reason}", path.display()))
}

fn check_issuer(der: &[u8]) -> Result<(), String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    if !certificate.is_ca() {
        return Err("its certificate is not one of an authority".to_owned());
    }
    Ok(())
}

fn issued(certificate: &X509Certificate<'_>, issuer: &[u8], now: OffsetDateTime) -> bool {
    let Ok((_, issuer)) = X509Certificate::from_der(issuer) else {
        return false;
    };
    let usage = issuer.key_usage().ok().flatten();
    let may_sign = usage.is_none_or(|usage| usage.value.key_cert_sign());
    let is_named = certificate.issuer().as_raw() == issuer.subject().as_raw();
    may_sign
        && is_named
        && is_valid(&issuer, now)
        && certificate
            .verify_signature(Some(issuer.public_key()))
            .is_ok()
}

fn is_valid(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> bool {
    let validity = certificate.validity();
    validity.not_before.to_datetime() <= now && now <= validity.not_after.to_datetime()
}

/// The serial numbers of a list that one of the issuers signed.
fn revoked(text: &[u8], issuers: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, String> {
    let from_pem = CertificateRevocationListDer::from_pem_slice(text);
    let der = from_pem.map_or_else(|_no_pem| text.to_vec(), |der| der.to_vec());
    let parsed = CertificateRevocationList::from_der(&der);
    let (_, list) = parsed.map_err(|error| error.to_string())?;
    let is_signed = |issuer: &Vec<u8>| {
        let Ok((_, issuer)) = X509Certificate::from_der(issuer) else {
            return false;
        };
        list.verify_signature(issuer.public_key()).is_ok()
    };
    if !issuers.iter().any(is_signed) {
        return Err("the authority did not sign it".to_owned());
    }
    let serials = list.iter_revoked_certificates();
    let mut serials: Vec<_> = serials
        .map(|revoked| revoked.raw_serial().to_vec())
        .collect();
    serials.sort();
    Ok(serials)
}
