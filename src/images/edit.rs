//! What clients may change about an image: visibility, auto-update, properties, expiry, profiles.

use std::collections::BTreeMap;

use super::{Event, Images, query};
use crate::{
    access::{Edit, Scope},
    api::{
        Timestamp,
        objects::{Image, Requestor},
        requests::ImagePut,
    },
    db::{self, Db, Session, images::ImageRow},
    error::{Error, Result},
};

/// The fields of an image that a PATCH has.
#[derive(Debug, Default)]
pub(crate) struct ImagePatch {
    /// Keep it up to date from its source.
    pub(crate) auto_update: Option<bool>,
    /// Everybody sees it.
    pub(crate) public: Option<bool>,
    /// Laid over the properties there are; an empty value removes one.
    pub(crate) properties: Option<BTreeMap<String, String>>,
}

/// What the `ETag` of an image is made from.
// LXD: visibility, auto-update, properties; nothing else counts as a change.
pub(crate) type Tagged = (bool, bool, BTreeMap<String, String>);

impl Image {
    /// What its `ETag` is made from.
    pub(crate) fn tagged(&self) -> Result<Tagged> {
        Ok((
            self.public,
            self.auto_update,
            from_text(self.properties.get())?,
        ))
    }
}

fn tagged(row: &ImageRow) -> Result<Tagged> {
    Ok((row.public, row.auto_update, from_text(&row.properties)?))
}

impl Images {
    /// PUT: replaces everything that can be written.
    pub(crate) async fn replace(
        &self,
        scope: &Scope,
        fingerprint: &str,
        new: ImagePut,
        edit: Edit,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let mut row =
            query::find(&mut transaction, scope, query::Visibility::All, fingerprint).await?;
        edit.check(&tagged(&row)?)?;
        row.public = new.public;
        row.auto_update = new.auto_update;
        row.properties = to_text(new.properties.unwrap_or_default())?;
        // LXD: a missing or zero date leaves the date as it is.
        if !new.expires_at.is_zero() {
            row.expires_at = new.expires_at.to_string();
        }
        let profiles = profile_ids(&mut transaction, scope, new.profiles).await?;
        db::images::set_profiles(&mut transaction, row.id, scope.profiles, &profiles).await?;
        db::images::update(&mut transaction, &row).await?;
        Db::commit(transaction).await?;
        self.tell_updated(scope, &row, &edit.requestor);
        Ok(())
    }

    /// PATCH: changes what is named.
    pub(crate) async fn patch(
        &self,
        scope: &Scope,
        fingerprint: &str,
        patch: ImagePatch,
        edit: Edit,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let mut row =
            query::find(&mut transaction, scope, query::Visibility::All, fingerprint).await?;
        edit.check(&tagged(&row)?)?;
        row.public = patch.public.unwrap_or(row.public);
        row.auto_update = patch.auto_update.unwrap_or(row.auto_update);
        if let Some(over) = patch.properties {
            let mut properties = from_text(&row.properties)?;
            properties.extend(over);
            row.properties = to_text(properties)?;
        }
        db::images::update(&mut transaction, &row).await?;
        Db::commit(transaction).await?;
        self.tell_updated(scope, &row, &edit.requestor);
        Ok(())
    }

    fn tell_updated(&self, scope: &Scope, row: &ImageRow, requestor: &Requestor) {
        let path = format!("/1.0/images/{}", row.fingerprint);
        let requestor = Some(requestor);
        self.tell(&Event {
            action: "image-updated",
            path: &path,
            scope,
            requestor,
            details: &[],
        });
    }
}

/// Sets when an instance was last made from an image, in the database of a daemon that may be
/// running.
pub(crate) async fn set_last_used(
    db: &Db,
    project: &str,
    fingerprint: &str,
    when: &Timestamp,
) -> Result<()> {
    let mut transaction = db.write().await?;
    let scope = Scope::find(&mut transaction, project).await?;
    let Ok(fingerprint) = fingerprint.parse() else {
        return Err(query::not_found());
    };
    let when = when.to_string();
    let found =
        db::images::set_last_used(&mut transaction, scope.images, &fingerprint, &when).await?;
    if !found {
        return Err(query::not_found());
    }
    Db::commit(transaction).await?;
    db.tell_others()
}

/// Stored properties.
pub(super) fn from_text(text: &str) -> Result<BTreeMap<String, String>> {
    serde_json::from_str(text)
        .map_err(|error| Error::internal("Failed to read the database", error))
}

/// The properties as they are stored. One with an empty value is dropped.
pub(super) fn to_text(mut properties: BTreeMap<String, String>) -> Result<String> {
    properties.retain(|_, value| !value.is_empty());
    serde_json::to_string(&properties)
        .map_err(|error| Error::internal("Failed to store the properties", error))
}

/// The rows of the named profiles; no list at all means `default`.
async fn profile_ids(
    session: &mut Session,
    scope: &Scope,
    names: Option<Vec<String>>,
) -> Result<Vec<i64>> {
    let names = names.unwrap_or_else(|| vec!["default".to_owned()]);
    let known = db::profiles::list(session, scope.profiles).await?;
    let mut ids = Vec::new();
    for name in names {
        let Some(profile) = known.iter().find(|profile| profile.name == name) else {
            return Err(Error::bad_request(format!(
                "Profile '{name}' doesn't exist"
            )));
        };
        if !ids.contains(&profile.id) {
            ids.push(profile.id);
        }
    }
    Ok(ids)
}
