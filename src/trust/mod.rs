//! Whom the server trusts: certificates of clients, and how they come to be trusted.
//!
//! [`Certificates::judge`] says what the server makes of a client certificate, for each request
//! anew; [`add`] is how one is added (by those who may, with a token, or with the password),
//! [`edit`] how it is changed, renewed and removed. [`certificate`] reads one, [`pki`] is the
//! authority that may have to have issued it.

mod add;
mod certificate;
mod edit;
mod known;
mod password;
mod pki;
mod token;

pub(crate) use add::{Added, Server};
pub(crate) use certificate::{fingerprint, pem};
pub(crate) use pki::Authority;

use std::sync::{Arc, Mutex};

use crate::{
    access::{Caller, Trust},
    api::objects,
    clock::Clock,
    db::{Db, certificates::CertificateRow},
    error::{Error, Result},
    operations::{Operations, happened},
    settings::Settings,
    tasks::Tasks,
};

use certificate::Certificate;
use known::Known;
use pki::Verdict;

/// The certificates that are trusted. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Certificates {
    db: Db,
    operations: Operations,
    settings: Settings,
    tasks: Tasks,
    clock: Clock,
    /// When there is one, it must have issued whatever certificate a client shows.
    authority: Option<Arc<Authority>>,
    /// What the database says, read again when it has changed.
    known: Arc<Mutex<Arc<Known>>>,
    /// One password is checked at a time: it takes its time on purpose.
    checking_password: Arc<tokio::sync::Mutex<()>>,
}

impl Certificates {
    /// The certificates kept in `db`, under this authority if there is one.
    pub(crate) fn new(
        db: Db,
        operations: Operations,
        settings: Settings,
        tasks: Tasks,
        clock: Clock,
        authority: Option<Authority>,
    ) -> Self {
        Self {
            db,
            operations,
            settings,
            tasks,
            clock,
            authority: authority.map(Arc::new),
            known: Arc::default(),
            checking_password: Arc::default(),
        }
    }

    /// What the server makes of a client that proved to hold this certificate (DER).
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub(crate) async fn judge(&self, der: &[u8], fingerprint: &str) -> Result<Trust> {
        let is_issued = match self
            .authority
            .as_ref()
            .map(|authority| authority.verdict(der, self.clock.now()))
        {
            None => false,
            Some(Verdict::Issued) => true,
            Some(verdict) => {
                tracing::info!(
                    certificate.fingerprint = fingerprint,
                    ?verdict,
                    "not issued by the authority"
                );
                return Ok(Trust::None);
            }
        };
        if let Some(trust) = self
            .known()
            .await?
            .judge(der, fingerprint, self.clock.now())
        {
            return Ok(trust);
        }
        let trusts_all = || {
            let settings = self.settings.current();
            settings
                .get("core.trust_ca_certificates")
                .is_some_and(|text| text == "true")
        };
        if is_issued && trusts_all() {
            return Ok(Trust::Full);
        }
        Ok(Trust::None)
    }

    /// Refuses a certificate that could never be trusted.
    fn check_issued(&self, der: &[u8]) -> Result<()> {
        let verdict = self.authority.as_ref();
        let verdict = verdict.map(|authority| authority.verdict(der, self.clock.now()));
        match verdict {
            None | Some(Verdict::Issued) => Ok(()),
            Some(_) => Err(Error::bad_request(
                "The provided certificate isn't one of the server's authority",
            )),
        }
    }

    /// The certificates that a caller may know of, by fingerprint: all, or their own.
    pub(crate) async fn list(&self, caller: &Caller) -> Result<Vec<objects::Certificate>> {
        let rows = crate::db::certificates::list(&mut *self.db.read().await?).await?;
        let rows = rows.into_iter().filter(|row| shows(caller, row));
        Ok(rows.map(render).collect())
    }

    /// The certificate that a fingerprint, or the beginning of one, names.
    ///
    /// # Errors
    ///
    /// 404 when this caller may know of none; 500 with LXD's text when there are several.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        reference: &str,
    ) -> Result<objects::Certificate> {
        let rows = crate::db::certificates::list(&mut *self.db.read().await?).await?;
        find(rows, caller, reference).map(render)
    }

    fn tell(&self, action: &'static str, fingerprint: &str, caller: &Caller) {
        let path = url(fingerprint);
        let event = happened(action, &path, "default", Some(caller.requestor.clone()));
        self.operations.events().lifecycle(Some("default"), &event);
    }
}

/// `/1.0/certificates/FINGERPRINT`.
pub(crate) fn url(fingerprint: &str) -> String {
    format!("/1.0/certificates/{fingerprint}")
}

/// Who may not do everything knows of their own certificate only.
// LXD: shows every certificate to whoever is trusted at all.
fn shows(caller: &Caller, row: &CertificateRow) -> bool {
    caller.is_admin() || caller.requestor.username == row.fingerprint
}

fn find(rows: Vec<CertificateRow>, caller: &Caller, reference: &str) -> Result<CertificateRow> {
    let wanted = reference.to_ascii_lowercase();
    let is_prefix = !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fits = |row: &CertificateRow| is_prefix && row.fingerprint.starts_with(&wanted);
    let mut matches = rows
        .into_iter()
        .filter(|row| fits(row) && shows(caller, row));
    match (matches.next(), matches.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => Err(Error::not_found("Certificate not found")),
        (Some(_), Some(_)) => Err(Error::failed("More than one certificate matches")),
    }
}

fn render(row: CertificateRow) -> objects::Certificate {
    objects::Certificate {
        name: row.name,
        kind: row.kind,
        restricted: row.restricted,
        projects: row.projects,
        certificate: row.certificate,
        fingerprint: row.fingerprint,
    }
}

/// What a second certificate with the same fingerprint is answered.
fn already_there(error: Error) -> Error {
    if crate::db::constraint(&error) == Some("certificates.fingerprint") {
        return Error::new(
            crate::error::Kind::Conflict,
            "Certificate already in trust store",
        );
    }
    error
}
