//! One-time secrets: with one, somebody who is not trusted fetches one private image, or uploads
//! the one image that a token names.

use std::collections::BTreeMap;

use super::{Images, upload::Grant};
use crate::{
    access::Scope,
    api::{
        Timestamp,
        objects::{Metadata, OperationObject, Requestor},
        requests::ImagesPost,
    },
    db::images::ImageRow,
    error::Result,
    operations::{Operation, Spec, happened, new_secret, same_secret},
};

use super::query::Visibility;

impl Images {
    /// Makes a secret for fetching an image once.
    pub(crate) async fn create_secret(
        &self,
        scope: &Scope,
        reference: &str,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let row = self.find_row(scope, Visibility::All, reference).await?;
        let mut metadata = Metadata::new();
        metadata.insert("secret".to_owned(), new_secret()?.into());
        let token = self.token(scope, row.fingerprint.as_str(), metadata, requestor.clone());
        let path = format!("/1.0/images/{}", row.fingerprint);
        let project = &scope.project.name;
        let event = happened("image-secret-created", &path, project, Some(requestor));
        self.operations.events().lifecycle(Some(project), &event);
        Ok(token.object())
    }

    /// Makes a token that lets somebody upload one image.
    // LXD: the fingerprint is not looked at, and a token for none matches nothing.
    pub(crate) fn create_push_token(
        &self,
        scope: &Scope,
        request: &ImagesPost,
        fingerprint: &str,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let aliases: Option<Vec<serde_json::Value>> = request.aliases.as_ref().map(|aliases| {
            let render = |(name, description): (&str, &str)| {
                serde_json::json!({ "name": name, "description": description })
            };
            aliases.iter().map(|alias| render((&alias.name, &alias.description))).collect()
        });
        let metadata = Metadata::from_iter([
            ("aliases".to_owned(), aliases.into()),
            (
                "expires_at".to_owned(),
                request.put.expires_at.to_string().into(),
            ),
            (
                "properties".to_owned(),
                serde_json::json!(request.put.properties),
            ),
            ("public".to_owned(), request.put.public.into()),
            ("secret".to_owned(), new_secret()?.into()),
        ]);
        Ok(self.token(scope, fingerprint, metadata, requestor).object())
    }

    fn token(
        &self,
        scope: &Scope,
        fingerprint: &str,
        metadata: Metadata,
        requestor: Requestor,
    ) -> Operation {
        let mut spec = Spec::image("Image download token", &scope.project.name, fingerprint);
        spec.metadata = Some(metadata);
        spec.requestor = Some(requestor);
        self.operations.token(spec)
    }

    /// The image that a caller may see because it is public to them or because of `secret`.
    pub(crate) async fn find_with_secret(
        &self,
        scope: &Scope,
        sees: Visibility,
        reference: &str,
        secret: Option<&str>,
    ) -> Result<ImageRow> {
        let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
            return self.find_row(scope, sees, reference).await;
        };
        // LXD: a secret is used up even by those who need none.
        match self.find_row(scope, Visibility::All, reference).await {
            Ok(row) if self.redeem(scope, row.fingerprint.as_str(), secret) => Ok(row),
            _ => self.find_row(scope, sees, reference).await,
        }
    }

    /// Uses a secret up. It keeps matching for the few seconds that its operation can still be
    /// seen, because clients ask for the image first and for its files then.
    fn redeem(&self, scope: &Scope, fingerprint: &str, secret: &str) -> bool {
        let Some(token) = self.find_token(scope, fingerprint, secret) else {
            return false;
        };
        // One that was deleted instead of used opens nothing.
        self.operations.use_up(&token) || token.is_used()
    }

    fn find_token(&self, scope: &Scope, fingerprint: &str, secret: &str) -> Option<Operation> {
        let url = format!("/1.0/images/{fingerprint}");
        self.operations
            .tokens(&scope.project.name)
            .into_iter()
            .find(|token| {
                token.resources("images").contains(&url)
                    && token
                        .metadata_text("secret")
                        .is_some_and(|known| same_secret(&known, secret))
            })
    }

    /// What a push token promised, if the upload carries one.
    ///
    /// # Errors
    ///
    /// 500 when no random numbers are to be had.
    pub(crate) fn redeem_push_token(
        &self,
        scope: &Scope,
        fingerprint: &str,
        secret: &str,
    ) -> Result<Option<Grant>> {
        if fingerprint.is_empty() || secret.is_empty() {
            return Ok(None);
        }
        let Some(token) = self.find_token(scope, fingerprint, secret) else {
            return Ok(None);
        };
        let metadata = token.metadata().unwrap_or_default();
        // A secret for fetching says nothing about an upload.
        let Some(public) = metadata.get("public").and_then(serde_json::Value::as_bool) else {
            return Ok(None);
        };
        // A token is good for one upload.
        if !self.operations.use_up(&token) {
            return Ok(None);
        }
        Ok(Some(Grant {
            aliases: aliases_of(&metadata),
            expires_at: expiry_of(&metadata),
            properties: properties_of(&metadata),
            public,
            wait_secret: new_secret()?,
        }))
    }
}

fn aliases_of(metadata: &Metadata) -> Vec<(String, String)> {
    let text = |alias: &serde_json::Value, key: &str| {
        alias
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let aliases = metadata
        .get("aliases")
        .and_then(serde_json::Value::as_array);
    let aliases = aliases.into_iter().flatten();
    aliases
        .map(|alias| (text(alias, "name"), text(alias, "description")))
        .collect()
}

fn expiry_of(metadata: &Metadata) -> Timestamp {
    let text = metadata
        .get("expires_at")
        .and_then(serde_json::Value::as_str);
    text.and_then(|text| text.parse().ok())
        .unwrap_or(Timestamp::ZERO)
}

fn properties_of(metadata: &Metadata) -> BTreeMap<String, String> {
    let properties = metadata.get("properties").cloned().unwrap_or_default();
    serde_json::from_value(properties).unwrap_or_default()
}
