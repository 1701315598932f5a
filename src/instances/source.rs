//! Which image a new instance is made from.

use std::collections::BTreeMap;

use super::Instances;
use crate::{
    access::Scope,
    api::requests::InstanceSource,
    db::images::ImageRow,
    error::{Error, Kind, Result},
    images::Visibility,
};

/// The image of a new instance, as far as it is known before the operation begins.
#[derive(Debug)]
pub(super) enum Wanted {
    /// One that is here.
    Here(Box<ImageRow>),
    /// None: there is no image with this fingerprint.
    // LXD: the operation says so.
    Nowhere,
    /// One that another server has.
    Remote,
}

impl Instances {
    /// The image that a source names.
    ///
    /// # Errors
    ///
    /// LXD's text for an alias that is not there, properties that no image has, and nothing named.
    pub(super) async fn wanted_image(
        &self,
        scope: &Scope,
        source: &InstanceSource,
    ) -> Result<Wanted> {
        let properties = source.properties.as_ref();
        if !source.server.is_empty() {
            return named_elsewhere(source);
        }
        if !source.fingerprint.is_empty() {
            return self.by_fingerprint(scope, &source.fingerprint).await;
        }
        if !source.alias.is_empty() {
            let alias = self.images.alias(scope, Visibility::All, &source.alias);
            return self.by_fingerprint(scope, &alias.await?.target).await;
        }
        match properties {
            Some(properties) => self.by_properties(scope, properties).await,
            None => Err(nothing_named()),
        }
    }

    async fn by_fingerprint(&self, scope: &Scope, fingerprint: &str) -> Result<Wanted> {
        let found = self.images.find_row(scope, Visibility::All, fingerprint);
        match found.await {
            Ok(row) => Ok(Wanted::Here(Box::new(row))),
            Err(error) if error.kind() == Kind::NotFound => Ok(Wanted::Nowhere),
            Err(error) => Err(error),
        }
    }

    /// The newest image that has all of these properties.
    async fn by_properties(
        &self,
        scope: &Scope,
        wanted: &BTreeMap<String, String>,
    ) -> Result<Wanted> {
        let mut fitting = Vec::new();
        for image in self.images.list(scope, Visibility::All).await? {
            let has: BTreeMap<String, String> = serde_json::from_str(image.properties.get())
                .map_err(|error| Error::internal("Failed to read the image", error))?;
            if wanted
                .iter()
                .all(|(key, value)| has.get(key) == Some(value))
            {
                fitting.push((image.created_at, image.fingerprint));
            }
        }
        let newest = fitting.into_iter().max_by_key(|(created_at, _)| {
            let parsed = created_at.parse::<crate::api::Timestamp>();
            parsed.unwrap_or_default()
        });
        match newest {
            Some((_, fingerprint)) => self.by_fingerprint(scope, &fingerprint).await,
            None => Err(Error::failed("No matching image could be found")),
        }
    }
}

fn named_elsewhere(source: &InstanceSource) -> Result<Wanted> {
    if source.fingerprint.is_empty() && source.alias.is_empty() {
        if source.properties.is_some() {
            let text = "Property match is only supported for local images";
            return Err(Error::failed(text));
        }
        return Err(nothing_named());
    }
    Ok(Wanted::Remote)
}

fn nothing_named() -> Error {
    let text = "Must specify one of alias, fingerprint or properties for init from image";
    Error::failed(text)
}
