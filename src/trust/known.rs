//! The trusted certificates in memory, as requests ask for them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, MutexGuard, PoisonError},
};

use subtle::ConstantTimeEq;
use time::OffsetDateTime;

use super::{Certificate, Certificates};
use crate::{
    access::Trust,
    db::{self, certificates::CertificateRow},
    error::Result,
};

/// All of one state of the database.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `None` before anything was read.
    version: Option<(u64, u64)>,
    by_fingerprint: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    certificate: Certificate,
    trust: Trust,
}

impl Known {
    /// What is made of a certificate that is known, at this time.
    pub(super) fn judge(
        &self,
        der: &[u8],
        fingerprint: &str,
        now: OffsetDateTime,
    ) -> Option<Trust> {
        let entry = self.by_fingerprint.get(fingerprint)?;
        let certificate = &entry.certificate;
        let is_same: bool = certificate.der.as_slice().ct_eq(der).into();
        (is_same && certificate.is_valid(now)).then(|| entry.trust.clone())
    }
}

impl Certificates {
    /// The certificates as they are now.
    pub(super) async fn known(&self) -> Result<Arc<Known>> {
        let version = Some(self.db.version());
        {
            let known = self.lock_known();
            if known.version == version {
                return Ok(Arc::clone(&known));
            }
        }
        let rows = db::certificates::list(&mut *self.db.read().await?).await?;
        let entries = rows.into_iter().filter_map(entry);
        let known = Arc::new(Known {
            version,
            by_fingerprint: entries.collect(),
        });
        *self.lock_known() = Arc::clone(&known);
        Ok(known)
    }

    fn lock_known(&self) -> MutexGuard<'_, Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(row: CertificateRow) -> Option<(String, Entry)> {
    let certificate = match Certificate::from_pem(&row.certificate) {
        Ok(certificate) => certificate,
        Err(error) => {
            tracing::warn!(%error, certificate.fingerprint = row.fingerprint, "cannot be read");
            return None;
        }
    };
    let trust = match row.kind.as_str() {
        "metrics" => Trust::Metrics,
        // LXD: servers are trusted like clients that may do everything.
        _ if !row.restricted => Trust::Full,
        _ => Trust::Restricted(Arc::new(BTreeSet::from_iter(row.projects))),
    };
    Some((row.fingerprint, Entry { certificate, trust }))
}
