//! Adding certificates, in LXD's order of checks.

use super::{
    Certificate, Certificates, already_there,
    token::{Allowed, Handed},
};
use crate::{
    access::Caller,
    api::{objects::OperationObject, requests::CertificatesPost},
    db::{self, Db, certificates::CertificateRow},
    error::{Error, Result},
};

/// What certificates are for.
const KINDS: [&str; 3] = ["client", "server", "metrics"];

/// What a request to add a certificate led to.
#[derive(Debug)]
pub(crate) enum Added {
    /// The certificate with this fingerprint is trusted now.
    Certificate(String),
    /// There is a token now.
    Token(Box<OperationObject>),
}

/// What a token says of the server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) addresses: Vec<String>,
    /// Fingerprint of the certificate it serves with.
    pub(crate) fingerprint: String,
}

impl Certificates {
    /// POST: trusts a certificate, or makes a token.
    ///
    /// # Errors
    ///
    /// LXD's texts, for whatever is wrong first.
    pub(crate) async fn add(
        &self,
        caller: &Caller,
        request: CertificatesPost,
        server: &Server,
    ) -> Result<Added> {
        check_token_request(&request, server)?;
        if caller.is_trusted() && request.certificate.is_empty() && !request.token {
            return Err(Error::bad_request("Client is already trusted"));
        }
        let allowed = self.allowed(caller, &request).await?;
        if request.token {
            let token = self.create_token(&request, server, caller)?;
            return Ok(Added::Token(Box::new(token)));
        }
        if !KINDS.contains(&allowed.kind.as_str()) {
            return Err(Error::bad_request("Invalid certificate type"));
        }
        let certificate = shown(caller, &request.certificate)?;
        certificate.check(self.clock.now())?;
        self.check_issued(&certificate.der)?;
        let fingerprint = certificate.fingerprint.clone();
        self.insert(row(certificate, allowed, caller)).await?;
        self.tell("certificate-created", &fingerprint, caller);
        Ok(Added::Certificate(fingerprint))
    }

    /// Trusts a certificate that the administrator brings from a file, with no daemon in between.
    pub(crate) async fn insert(&self, row: CertificateRow) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let inserted = db::certificates::insert(&mut transaction, &row).await;
        if inserted.map_err(already_there)?.is_some() {
            return Err(Error::not_found("Project not found"));
        }
        Db::commit(transaction).await
    }

    /// What the caller may ask for: what they like, what a token says, or with the password what
    /// they like.
    async fn allowed(&self, caller: &Caller, request: &CertificatesPost) -> Result<Allowed> {
        let asked = || Allowed {
            name: request.name.clone(),
            kind: request.kind.clone(),
            restricted: request.restricted,
            projects: request.projects.clone().unwrap_or_default(),
        };
        if caller.is_admin() {
            return Ok(asked());
        }
        if request.token || request.password.is_empty() {
            return Err(Error::not_authorized());
        }
        if let Some(handed) = Handed::decode(&request.password) {
            return self.redeem(&handed);
        }
        if self.is_password(&request.password).await? {
            return Ok(asked());
        }
        tracing::warn!(ip = caller.requestor.address, "a wrong trust password");
        Err(Error::not_authorized())
    }
}

fn check_token_request(request: &CertificatesPost, server: &Server) -> Result<()> {
    if !request.token {
        return Ok(());
    }
    if !request.certificate.is_empty() {
        let text = "Can't use certificate if token is requested";
        return Err(Error::bad_request(text));
    }
    if request.kind != "client" {
        let text = "Tokens can only be issued for client certificates";
        return Err(Error::bad_request(text));
    }
    if server.addresses.is_empty() {
        let text = "Can't issue token when server isn't listening on network";
        return Err(Error::bad_request(text));
    }
    Ok(())
}

/// The certificate in the request, or else that of the connection.
fn shown(caller: &Caller, base64: &str) -> Result<Certificate> {
    if !base64.is_empty() {
        return Certificate::from_base64(base64);
    }
    if caller.is_local() {
        let text = "Can't use TLS data on non-TLS link";
        return Err(Error::bad_request(text));
    }
    let der = caller.certificate.as_deref();
    let der = der.ok_or_else(|| Error::bad_request("No client certificate provided"))?;
    Certificate::from_der(der.to_vec())
}

fn row(certificate: Certificate, allowed: Allowed, caller: &Caller) -> CertificateRow {
    let mut projects = allowed.projects;
    projects.sort();
    projects.dedup();
    let address = &caller.requestor.address;
    let host = address
        .rsplit_once(':')
        .map_or(address.as_str(), |(host, _)| host);
    let name = match allowed.name {
        name if name.is_empty() => certificate.common_name.unwrap_or_else(|| host.to_owned()),
        name => name,
    };
    CertificateRow {
        id: 0,
        fingerprint: certificate.fingerprint,
        kind: allowed.kind,
        name,
        certificate: certificate.pem,
        restricted: allowed.restricted,
        projects,
    }
}
