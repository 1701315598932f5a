//! The server certificate: made on the first start, read on every other.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use time::{Duration, OffsetDateTime};

use crate::{
    error::{Context, Error, Result},
    http::tls::Certificate,
    store, trust,
};

/// How long a certificate is good for, as LXD's.
const LIFE: Duration = Duration::days(3650);

/// Reads `server.crt` and `server.key`, or makes them when there is neither. The first certificate
/// of the file is the server's; what follows leads to its issuer and is served with it.
///
/// # Errors
///
/// When only one of them is there, or they do not belong together.
pub(super) fn load_or_create(directory: &Path, now: OffsetDateTime) -> Result<Certificate> {
    finish_replacement(directory)?;
    let (certificate, key) = (directory.join("server.crt"), directory.join("server.key"));
    match (is_there(&certificate)?, is_there(&key)?) {
        (true, true) => {}
        (false, false) => create(&certificate, &key, now)?,
        (true, false) => return Err(half_a_pair(&certificate, &key)),
        (false, true) => return Err(half_a_pair(&key, &certificate)),
    }
    load(&certificate, &key)
}

/// Reads the pair as it is now; none is made.
///
/// # Errors
///
/// When it is not there, or its halves do not belong together.
pub(super) fn load_again(directory: &Path) -> Result<Certificate> {
    load(&directory.join("server.crt"), &directory.join("server.key"))
}

/// Keeps another pair (PEM) from now on. It is whole on disk before the first half is put in its
/// place, and [`finish_replacement`] puts the second there when nothing else did.
///
/// # Errors
///
/// 400 when the halves do not belong together; nothing is changed then.
pub(super) fn replace(directory: &Path, certificate: &str, key: &str) -> Result<Certificate> {
    let [new_certificate, new_key] = next(directory);
    store::write_durably(&new_key, key.as_bytes(), 0o600)?;
    let read = store::write_durably(&new_certificate, certificate.as_bytes(), 0o644)
        .and_then(|()| load(&new_certificate, &new_key));
    if let Err(error) = read {
        store::discard(&new_certificate)?;
        store::discard(&new_key)?;
        return Err(Error::bad_request(error.message()));
    }
    finish_replacement(directory)?;
    read
}

/// Where a pair waits to take the place of the other.
fn next(directory: &Path) -> [PathBuf; 2] {
    ["next-server.crt", "next-server.key"].map(|name| directory.join(name))
}

/// Puts a new pair in its place, whatever stopped that before. The certificate is moved last: as
/// long as it waits, its key is either waiting too or in place already.
fn finish_replacement(directory: &Path) -> Result<()> {
    let [certificate, key] = next(directory);
    if !is_there(&certificate)? {
        return store::discard(&key);
    }
    if is_there(&key)? {
        store::move_durably(&key, &directory.join("server.key"))?;
    }
    store::move_durably(&certificate, &directory.join("server.crt"))
}

/// What changes when somebody writes or replaces one of the files.
pub(super) fn stamp(directory: &Path) -> [Option<(u64, i64, i64)>; 2] {
    ["server.crt", "server.key"].map(|name| {
        let file = fs::metadata(directory.join(name)).ok()?;
        Some((file.ino(), file.mtime(), file.mtime_nsec()))
    })
}

/// Whether there is such a file. One that cannot be looked at is not taken for a missing one.
fn is_there(path: &Path) -> Result<bool> {
    path.try_exists()
        .context(format_args!("Failed to look for {}", path.display()))
}

fn half_a_pair(there: &Path, missing: &Path) -> Error {
    let (there, missing) = (there.display(), missing.display());
    Error::failed(format!(
        "{there} is there without the other half of the pair: put {missing} beside it, \
         or remove it to have a new pair made"
    ))
}

fn load(certificate: &Path, key: &Path) -> Result<Certificate> {
    let text = fs::read_to_string(certificate)
        .context(format_args!("Failed to read {}", certificate.display()))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(unusable)?;
    let Some(leaf) = chain.first() else {
        let path = certificate.display();
        return Err(Error::failed(format!("There is no certificate in {path}")));
    };
    let (pem, fingerprint) = (trust::pem(leaf), trust::fingerprint(leaf));
    let private = PrivateKeyDer::from_pem_file(key).map_err(unusable)?;
    let provider = aws_lc_rs::default_provider();
    let key = CertifiedKey::from_der(chain, private, &provider).map_err(unusable)?;
    Ok(Certificate {
        pem,
        fingerprint,
        key: Arc::new(key),
    })
}

fn unusable(error: impl Into<anyhow::Error>) -> Error {
    let error = error.into();
    let text = format!("The server certificate is not usable: {error}");
    Error::internal(text, error)
}

fn create(certificate: &Path, key: &Path, now: OffsetDateTime) -> Result<()> {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).map_err(not_made)?;
    let made = parameters(now)?.self_signed(&pair).map_err(not_made)?;
    // The key first: a certificate without a key would stop the next start.
    store::write_durably(key, pair.serialize_pem().as_bytes(), 0o600)?;
    store::write_durably(certificate, made.pem().as_bytes(), 0o644)
}

fn not_made(error: rcgen::Error) -> Error {
    Error::internal("Failed to make the server certificate", error)
}

/// LXD's recipe. Clients use the first DNS name as the server's name, so there has to be one.
fn parameters(now: OffsetDateTime) -> Result<CertificateParams> {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    let names = vec![dns_name(&host), "127.0.0.1".to_owned(), "::1".to_owned()];
    let mut parameters = CertificateParams::new(names).map_err(not_made)?;
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
    fn a_replacement_that_was_cut_off_is_finished_or_forgotten() {
        let [old, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        let before = load_or_create(old.path(), now).unwrap();
        let after = load_or_create(new.path(), now).unwrap();
        let text = |name: &str| fs::read_to_string(new.path().join(name)).unwrap();
        let put = |name: &str, text: &str| fs::write(old.path().join(name), text).unwrap();
        put("next-server.key", &text("server.key"));
        let read = load_or_create(old.path(), now).unwrap();
        assert_eq!(read.fingerprint, before.fingerprint);
        put("next-server.key", &text("server.key"));
        put("next-server.crt", &text("server.crt"));
        let read = load_or_create(old.path(), now).unwrap();
        assert_eq!(read.fingerprint, after.fingerprint);
        // Cut off between the two moves.
        put("next-server.crt", &text("server.crt"));
        put("server.crt", &before.pem);
        let read = load_or_create(old.path(), now).unwrap();
        assert_eq!(read.fingerprint, after.fingerprint);
        let names = fs::read_dir(old.path()).unwrap().count();
        assert_eq!(names, 2);
    }

    #[test]
    fn a_pair_that_does_not_fit_replaces_nothing() {
        let [old, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        let before = load_or_create(old.path(), now).unwrap();
        let other = load_or_create(new.path(), now).unwrap();
        let key = fs::read_to_string(old.path().join("server.key")).unwrap();
        let error = replace(old.path(), &other.pem, &key).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::BadRequest);
        let read = load_or_create(old.path(), now).unwrap();
        assert_eq!(read.fingerprint, before.fingerprint);
        let key = fs::read_to_string(new.path().join("server.key")).unwrap();
        let replaced = replace(old.path(), &other.pem, &key).unwrap();
        assert_eq!(replaced.fingerprint, other.fingerprint);
    }

    #[test]
    fn half_a_pair_is_refused() {
        for name in ["server.crt", "server.key"] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(name), "x").unwrap();
            let error = load_or_create(dir.path(), OffsetDateTime::UNIX_EPOCH).unwrap_err();
            assert!(error.message().contains("without the other half"));
            let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
            assert_eq!(names.len(), 1, "nothing is made beside {name}");
        }
    }

    #[test]
    fn halves_of_two_pairs_are_refused() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        load_or_create(one.path(), now).unwrap();
        load_or_create(other.path(), now).unwrap();
        let name = "server.key";
        fs::copy(other.path().join(name), one.path().join(name)).unwrap();
        let error = load_or_create(one.path(), now).unwrap_err();
        assert!(error.message().contains("is not usable"), "{error}");
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("server.crt"), "").unwrap();
        fs::write(dir.path().join("server.key"), "").unwrap();
        let error = load_or_create(dir.path(), OffsetDateTime::UNIX_EPOCH).unwrap_err();
        assert!(error.message().contains("no certificate"), "{error}");
    }

    #[test]
    fn a_chain_is_served_whole_and_named_by_its_first() {
        let [server, issuer] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        let made = load_or_create(server.path(), now).unwrap();
        let issuer = load_or_create(issuer.path(), now).unwrap();
        let path = server.path().join("server.crt");
        assert_eq!(fs::read_to_string(&path).unwrap(), made.pem);
        fs::write(&path, format!("ours:\n{}\n{}", made.pem, issuer.pem)).unwrap();
        let read = load_or_create(server.path(), now).unwrap();
        assert_eq!((read.pem, read.fingerprint), (made.pem, made.fingerprint));
        assert_eq!(read.key.cert.len(), 2);
    }

    #[test]
    fn a_certificate_follows_lxds_recipe() {
        let dir = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let made = load_or_create(dir.path(), now).unwrap();
        let der = made.key.cert.first().unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(der).unwrap();
        let subject = read.subject().to_string();
        assert!(
            subject.starts_with("O=linuxcontainers.org, CN="),
            "{subject}"
        );
        assert!(subject.contains('@'), "{subject}");
        let life = read.validity().not_after.timestamp() - read.validity().not_before.timestamp();
        assert_eq!(life, 3650 * 24 * 3600);
        let curve = read.public_key().algorithm.parameters.as_ref().unwrap();
        let curve = curve.as_oid().unwrap().to_id_string();
        assert_eq!(curve, "1.3.132.0.34", "P-384");
        let usage = read.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && usage.key_encipherment());
        assert!(
            read.extended_key_usage()
                .unwrap()
                .unwrap()
                .value
                .server_auth
        );
        let names = &read.subject_alternative_name().unwrap().unwrap().value;
        let kinds: Vec<_> = names
            .general_names
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(kinds[0].starts_with("DNSName("), "{kinds:?}");
        assert_eq!(kinds.len(), 3);
        assert!(!read.is_ca());
    }

    #[test]
    fn a_host_that_has_no_dns_name_gets_one() {
        assert_eq!(dns_name("box-1.lan"), "box-1.lan");
        for host in ["", "10.0.0.1", "under_score"] {
            assert_eq!(dns_name(host), "lximaged");
        }
    }
}
