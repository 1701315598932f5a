//! Tokens: with one, a client adds itself once.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Certificates, add::Server};
use crate::{
    access::Caller,
    api::{
        Timestamp,
        objects::{Metadata, OperationObject},
        requests::CertificatesPost,
    },
    config,
    error::{Context, Error, Result},
    operations::{Operation, Spec, new_secret, same_secret},
};

/// What `lxc` makes of a token operation, for its user to hand on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Handed {
    client_name: String,
    fingerprint: String,
    addresses: Vec<String>,
    secret: String,
}

impl Handed {
    /// Reads what somebody sent as a password, if it is a token.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let json = BASE64.decode(text).ok()?;
        let handed: Self = serde_json::from_slice(&json).ok()?;
        let texts = [&handed.client_name, &handed.fingerprint, &handed.secret];
        let is_whole = !handed.addresses.is_empty() && texts.iter().all(|text| !text.is_empty());
        is_whole.then_some(handed)
    }
}

/// What a token allows.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) restricted: bool,
    pub(super) projects: Vec<String>,
}

impl Certificates {
    /// Makes a token. It lasts until it is used, deleted, or `core.remote_token_expiry` has passed.
    pub(super) fn create_token(
        &self,
        request: &CertificatesPost,
        server: &Server,
        caller: &Caller,
    ) -> Result<OperationObject> {
        let mut metadata = Metadata::from_iter([
            ("addresses".to_owned(), server.addresses.clone().into()),
            ("fingerprint".to_owned(), server.fingerprint.clone().into()),
            ("request".to_owned(), rendered(request)),
            ("secret".to_owned(), new_secret()?.into()),
        ]);
        if let Some(expires_at) = self.expires_at() {
            let text = Timestamp::from(expires_at).to_string();
            metadata.insert("expiresAt".to_owned(), text.into());
        }
        let token = self.operations.token(Spec {
            // LXD: it has no words for this one.
            description: "Executing operation",
            project: Some("default".to_owned()),
            metadata: Some(metadata),
            requestor: Some(caller.requestor.clone()),
            ..Spec::default()
        });
        Ok(token.object())
    }

    fn expires_at(&self) -> Option<OffsetDateTime> {
        let settings = self.settings.current();
        let expiry = settings.get("core.remote_token_expiry")?;
        config::expiry::after(expiry, self.clock.now())
    }

    /// Uses a token up: of any number who try, one succeeds.
    ///
    /// # Errors
    ///
    /// 403 when there is no such token; 500 with LXD's text when it is too late.
    pub(super) fn redeem(&self, handed: &Handed) -> Result<Allowed> {
        let tokens = self.operations.tokens("default").into_iter();
        let mut tokens = tokens.filter(|token| is_for(token, handed));
        let used = tokens.find(|token| self.operations.use_up(token));
        let token =
            used.ok_or_else(|| Error::forbidden("No matching certificate add operation found"))?;
        let metadata = token.metadata().unwrap_or_default();
        let expires_at = metadata
            .get("expiresAt")
            .and_then(serde_json::Value::as_str);
        let expires_at = expires_at.and_then(|text| text.parse::<Timestamp>().ok());
        if expires_at.is_some_and(|at| OffsetDateTime::from(at) < self.clock.now()) {
            return Err(Error::failed("Token has expired"))
                .context("Failed during search for certificate add token operation");
        }
        Ok(allowed(&metadata))
    }
}

fn is_for(token: &Operation, handed: &Handed) -> bool {
    let is_join = token
        .metadata()
        .is_some_and(|metadata| metadata.contains_key("request"));
    let secret = token.metadata_text("secret");
    is_join && secret.is_some_and(|known| same_secret(&known, &handed.secret))
}

/// LXD's own struct, written as Go writes it.
fn rendered(request: &CertificatesPost) -> serde_json::Value {
    serde_json::json!({
        "name": request.name,
        "type": request.kind,
        "restricted": request.restricted,
        "projects": request.projects.clone().unwrap_or_default(),
        "certificate": "",
        "password": "",
        "token": true,
    })
}

fn allowed(metadata: &Metadata) -> Allowed {
    let request = metadata.get("request").cloned().unwrap_or_default();
    let text = |key: &str| {
        let value = request.get(key).and_then(serde_json::Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let projects = request.get("projects").cloned().unwrap_or_default();
    Allowed {
        name: text("name"),
        kind: text("type"),
        // Anything but a clear no confines.
        restricted: request.get("restricted") != Some(&serde_json::Value::Bool(false)),
        projects: serde_json::from_value(projects).unwrap_or_default(),
    }
}
