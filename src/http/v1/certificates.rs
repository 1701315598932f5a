//! `/1.0/certificates`.

use super::{Answer, Call};
use crate::{
    api::json,
    error::Result,
    trust::{self, Added, Server},
};

/// GET: the certificates that the caller may know of.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let certificates = call.services.certificates.list(&call.caller).await?;
    if call.recursion() {
        return Answer::sync(&certificates);
    }
    let urls = certificates
        .iter()
        .map(|certificate| trust::url(&certificate.fingerprint));
    Answer::sync(&urls.collect::<Vec<_>>())
}

/// POST: trusts a certificate, or makes a token.
pub(crate) async fn post(mut call: Call) -> Result<Answer> {
    let request = call.json().await?;
    let server = Server {
        addresses: (call.services.addresses)(),
        fingerprint: call.services.identity.current().fingerprint.clone(),
    };
    let certificates = &call.services.certificates;
    match certificates.add(&call.caller, request, &server).await? {
        Added::Certificate(fingerprint) => Ok(Answer::Created(trust::url(&fingerprint))),
        Added::Token(operation) => Ok(Answer::Async(operation)),
    }
}

/// GET: one certificate.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let certificates = &call.services.certificates;
    let certificate = certificates.get(&call.caller, call.segment(0)).await?;
    Answer::tagged(&certificate, &certificate)
}

/// PUT: a new certificate object.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let body = call.bytes().await?;
    let (certificates, edit) = (&call.services.certificates, call.edit());
    certificates
        .change(&call.caller, call.segment(0), &edit, |_old| {
            json::decode(&body)
        })
        .await?;
    Ok(Answer::done())
}

/// PATCH: the fields that are named.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let body = call.bytes().await?;
    let (certificates, edit) = (&call.services.certificates, call.edit());
    certificates
        .change(&call.caller, call.segment(0), &edit, |mut object| {
            json::decode_into(&mut object, &body)?;
            Ok(object)
        })
        .await?;
    Ok(Answer::done())
}

/// DELETE: trusts it no more.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let certificates = &call.services.certificates;
    certificates.remove(&call.caller, call.segment(0)).await?;
    Ok(Answer::done())
}
