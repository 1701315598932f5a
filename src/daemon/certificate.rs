//! The server certificate: made on the first start, read on every other.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use time::{Duration, OffsetDateTime};

use crate::{
    error::{Context, Error, Result},
    http::tls::{self, Certificate},
    store,
};

/// How long a certificate is good for, as LXD's.
const LIFE: Duration = Duration::days(3650);

/// Reads `server.crt` and `server.key`, or makes them when there is neither.
///
/// # Errors
///
/// When only one of them is there, or they do not belong together.
pub(super) fn load_or_create(directory: &Path, now: OffsetDateTime) -> Result<Certificate> {
    let (certificate, key) = (directory.join("server.crt"), directory.join("server.key"));
    match (certificate.exists(), key.exists()) {
        (true, true) => {}
        (false, false) => create(&certificate, &key, now)?,
        (has_certificate, _) => {
            let there = if has_certificate { &certificate } else { &key };
            let text = format!(
                "{} is there without the other half of the pair",
                there.display()
            );
            return Err(Error::failed(text));
        }
    }
    load(&certificate, &key)
}

fn load(certificate: &Path, key: &Path) -> Result<Certificate> {
    let pem = fs::read_to_string(certificate)
        .context(format_args!("Failed to read {}", certificate.display()))?;
    let bad = |error| Error::internal("The server certificate is not usable", error);
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| bad(anyhow::Error::from(error)))?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| bad(anyhow::Error::from(error)))?;
    let fingerprint = tls::fingerprint(&der);
    let key = CertifiedKey::from_der(vec![der], private, &aws_lc_rs::default_provider())
        .map_err(|error| bad(anyhow::Error::from(error)))?;
    Ok(Certificate {
        pem,
        fingerprint,
        key: Arc::new(key),
    })
}

fn create(certificate: &Path, key: &Path, now: OffsetDateTime) -> Result<()> {
    let unusable = |error| Error::internal("Failed to make the server certificate", error);
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).map_err(unusable)?;
    let made = parameters(now)?.self_signed(&pair).map_err(unusable)?;
    // The key first: a certificate without a key would stop the next start.
    store::write_durably(key, pair.serialize_pem().as_bytes(), 0o600)?;
    store::write_durably(certificate, made.pem().as_bytes(), 0o644)
}

/// LXD's recipe. Clients use the first DNS name as the server's name, so there has to be one.
fn parameters(now: OffsetDateTime) -> Result<CertificateParams> {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    let unusable = |error| Error::internal("Failed to make the server certificate", error);
    let names = vec![dns_name(&host), "127.0.0.1".to_owned(), "::1".to_owned()];
    let mut parameters = CertificateParams::new(names).map_err(unusable)?;
    debug_assert!(
        parameters
            .subject_alt_names
            .iter()
            .any(|n| matches!(n, SanType::DnsName(_)))
    );
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    parameters.distinguished_name = DistinguishedName::new();
    let subject = &mut parameters.distinguished_name;
    subject.push(DnType::OrganizationName, "linuxcontainers.org");
    subject.push(DnType::CommonName, format!("{user}@{host}"));
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = now;
    parameters.not_after = now + LIFE;
    Ok(parameters)
}

/// The host's name as a DNS name; a host called by an address or nothing is called `lximaged`.
fn dns_name(host: &str) -> String {
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let is_name = !host.is_empty() && host.chars().all(fits);
    if is_name && !is_address {
        host.to_owned()
    } else {
        "lximaged".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_certificate_is_made_once_and_read_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        let made = load_or_create(dir.path(), now).unwrap();
        let read = load_or_create(dir.path(), now).unwrap();
        assert_eq!(made.fingerprint, read.fingerprint);
        assert_eq!(mode(&dir.path().join("server.key")), 0o600);
        assert_eq!(mode(&dir.path().join("server.crt")), 0o644);
    }

    #[test]
    fn half_a_pair_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("server.crt"), "x").unwrap();
        let error = load_or_create(dir.path(), OffsetDateTime::UNIX_EPOCH);
        assert!(
            error
                .unwrap_err()
                .message()
                .contains("without the other half")
        );
    }

    #[test]
    fn a_host_that_has_no_dns_name_gets_one() {
        assert_eq!(dns_name("box-1.lan"), "box-1.lan");
        for host in ["", "10.0.0.1", "under_score"] {
            assert_eq!(dns_name(host), "lximaged");
        }
    }
}
