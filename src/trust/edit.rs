//! Changing, renewing and removing certificates.

use super::{Certificate, Certificates, already_there, find, render};
use crate::{
    access::{Caller, Edit},
    api::requests::CertificatePut,
    db::{self, Db, certificates::CertificateRow},
    error::{Error, Result},
};

impl Certificates {
    /// PUT and PATCH: `change` makes the new certificate object of the old one. Who may not do
    /// everything may replace the PEM of their own certificate, and nothing else.
    ///
    /// # Errors
    ///
    /// LXD's texts; 412 when it is not what the client last saw.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        reference: &str,
        edit: &Edit,
        change: impl FnOnce(CertificatePut) -> Result<CertificatePut>,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let rows = db::certificates::list(&mut transaction).await?;
        let old = to_change(rows, caller, reference)?;
        edit.check(&render(old.clone()))?;
        let new = self.changed(&old, change(as_request(&old))?)?;
        if !caller.is_admin() {
            check_own(&old, &new)?;
        }
        if new.kind != old.kind {
            let text = "The certificate type cannot be changed";
            return Err(Error::forbidden(text));
        }
        let updated = db::certificates::update(&mut transaction, &new).await;
        if updated.map_err(already_there)?.is_some() {
            return Err(Error::not_found("Project not found"));
        }
        Db::commit(transaction).await?;
        self.tell("certificate-updated", &old.fingerprint, caller);
        Ok(())
    }

    fn changed(&self, old: &CertificateRow, new: CertificatePut) -> Result<CertificateRow> {
        let mut projects = new.projects.unwrap_or_default();
        projects.sort();
        projects.dedup();
        let mut row = CertificateRow {
            name: new.name,
            kind: new.kind,
            restricted: new.restricted,
            projects,
            ..old.clone()
        };
        if !new.certificate.is_empty() && new.certificate != old.certificate {
            let certificate = Certificate::from_pem(&new.certificate)?;
            certificate.check(self.clock.now())?;
            self.check_issued(&certificate.der)?;
            row.fingerprint = certificate.fingerprint;
            row.certificate = certificate.pem;
        }
        Ok(row)
    }

    /// DELETE: trusts a certificate no more.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    pub(crate) async fn remove(&self, caller: &Caller, reference: &str) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let rows = db::certificates::list(&mut transaction).await?;
        let row = find(rows, caller, reference)?;
        db::certificates::delete(&mut transaction, row.id).await?;
        Db::commit(transaction).await?;
        self.tell("certificate-deleted", &row.fingerprint, caller);
        Ok(())
    }
}

// LXD: what is not theirs reads another refusal than 404 here.
fn to_change(
    rows: Vec<CertificateRow>,
    caller: &Caller,
    reference: &str,
) -> Result<CertificateRow> {
    match find(rows, caller, reference) {
        Err(_) if !caller.is_admin() => Err(Error::forbidden("Certificate cannot be changed")),
        found => found,
    }
}

fn as_request(row: &CertificateRow) -> CertificatePut {
    CertificatePut {
        name: row.name.clone(),
        kind: row.kind.clone(),
        restricted: row.restricted,
        projects: Some(row.projects.clone()),
        certificate: row.certificate.clone(),
    }
}

/// Nobody gives themselves more than they have.
fn check_own(old: &CertificateRow, new: &CertificateRow) -> Result<()> {
    let rights = |row: &CertificateRow| {
        let projects = row.projects.clone();
        (row.name.clone(), row.kind.clone(), row.restricted, projects)
    };
    if rights(old) != rights(new) {
        return Err(Error::forbidden("Only the certificate can be changed"));
    }
    Ok(())
}
