//! Bringing an image up to date: the newer one takes the place of the older one, in one step.

use std::collections::BTreeMap;

use super::{
    Event, Images,
    admit::Replaced,
    edit,
    fetch::{Details, Pull},
    origin::{Behalf, Origin},
    query::{self, Visibility},
};
use crate::{
    access::{Caller, Scope},
    api::{
        Timestamp,
        objects::{Metadata, OperationObject},
    },
    db::{
        self, Db, ImageId, Session, aliases, blobs,
        images::{ImageRow, SourceRow},
    },
    error::{Error, Result},
    image::{Fingerprint, ImageType},
    operations::{Operation, Spec},
    remote::{Asked, Freshness},
};

impl Images {
    /// Begins the operation that brings an image up to date.
    ///
    /// # Errors
    ///
    /// 404 when there is no such image.
    pub(crate) async fn refresh(
        &self,
        scope: Scope,
        reference: &str,
        caller: &Caller,
    ) -> Result<OperationObject> {
        let row = self.find_row(&scope, Visibility::All, reference).await?;
        let spec = Spec {
            description: "Refreshing image",
            project: Some(scope.project.name.clone()),
            requestor: Some(caller.requestor.clone()),
            ..Spec::default()
        };
        let behalf = Behalf::of(caller, &scope);
        let (this, named) = (self.clone(), reference.to_owned());
        Ok(self.operations.task(spec, move |operation| async move {
            this.refresh_now(&scope, row, &named, behalf, &operation)
                .await
        }))
    }

    async fn refresh_now(
        &self,
        scope: &Scope,
        row: ImageRow,
        named: &str,
        behalf: Behalf,
        operation: &Operation,
    ) -> Result<()> {
        let source = db::images::source(&mut *self.db.read().await?, row.id).await?;
        let Some(source) = source else {
            return Err(Error::failed(format!(
                "Failed to update image \"{named}\" in project \"{}\": Image source not found",
                scope.project.name
            )));
        };
        let behalf = behalf.bound_to(&source, scope);
        let refreshed = self.update(scope, &row, &source, behalf, operation).await;
        if operation.is_cancelled() {
            return refreshed.map(drop);
        }
        if let Ok(Some(_)) = refreshed {
            self.tell_refreshed(scope, &row.fingerprint, operation);
        }
        // LXD: a server that cannot be asked is no failure; the image stays as it is.
        let mut told = Metadata::new();
        let new = refreshed.unwrap_or_else(|error| {
            tracing::error!(%error, fingerprint = %row.fingerprint, "failed to update the image");
            told.insert("error".to_owned(), error.message().into());
            None
        });
        told.insert("refreshed".to_owned(), new.is_some().into());
        operation.set_metadata(told);
        Ok(())
    }

    // LXD: only when somebody asked for the refresh.
    fn tell_refreshed(&self, scope: &Scope, old: &Fingerprint, operation: &Operation) {
        let path = format!("/1.0/images/{old}");
        let requestor = operation.requestor();
        self.tell(&Event {
            action: "image-refreshed",
            path: &path,
            scope,
            requestor,
            details: &[],
        });
    }

    /// Fetches what the source of an image has now, and puts it in the image's place. Returns
    /// what it was, if that was something new.
    pub(super) async fn update(
        &self,
        scope: &Scope,
        row: &ImageRow,
        source: &SourceRow,
        behalf: Behalf,
        operation: &Operation,
    ) -> Result<Option<Fingerprint>> {
        let pull = Pull {
            origin: Origin::of_source(source, behalf)?,
            asked: Asked {
                reference: source.alias.clone(),
                // A name that is gone must not become the beginning of some fingerprint.
                only_aliases: source.by_alias,
                kind: ImageType::from_name(&row.kind),
                secret: String::new(),
            },
            freshness: Freshness::Revalidated,
            details: Details {
                public: row.public,
                auto_update: row.auto_update,
                replaces: Some(Replaced {
                    fingerprint: row.fingerprint.clone(),
                    only_if_kept: operation.is_part(),
                }),
                ..Details::default()
            },
        };
        let fingerprint = self.pull(scope, &pull, operation).await?;
        if fingerprint == row.fingerprint {
            return Ok(None);
        }
        Ok(Some(fingerprint))
    }

    /// Puts an image that the project has already in the place of an older one. Returns whether
    /// it has it.
    ///
    /// # Errors
    ///
    /// 404 when it does not have it, and the older one is gone too, or is to stay.
    pub(super) async fn supersede(
        &self,
        scope: &Scope,
        replaced: &Replaced,
        new: &Fingerprint,
    ) -> Result<bool> {
        let old = &replaced.fingerprint;
        let (held, held_old) = self.store.lock_both(new, Some(old)).await;
        // Most images are the newest there is, and need not wait for whoever writes.
        let mut session = self.db.read().await?;
        let is_here = db::images::find(&mut session, scope.images, new).await?;
        let is_here = is_here.is_some();
        let is_old_here = db::images::find(&mut session, scope.images, old).await?;
        if is_here && (old == new || is_old_here.is_none()) {
            return Ok(true);
        }
        replaced.get(&mut session, scope).await?;
        drop(session);
        if !is_here {
            return Ok(false);
        }
        self.hand_over(scope, replaced, new).await?;
        drop(held);
        if let Some(held_old) = held_old {
            self.clear_away(held_old).await;
        }
        Ok(true)
    }

    /// Gives what an image is and has to its successor.
    async fn hand_over(&self, scope: &Scope, replaced: &Replaced, new: &Fingerprint) -> Result<()> {
        let mut transaction = self.db.write().await?;
        scope.check(&mut transaction).await?;
        let new = db::images::find(&mut transaction, scope.images, new).await?;
        let mut new = new.ok_or_else(query::not_found)?;
        let row = replaced.get(&mut transaction, scope).await?;
        // It is looked after from now on, as the older one was.
        if db::images::source(&mut transaction, new.id)
            .await?
            .is_none()
            && let Some(source) = db::images::source(&mut transaction, row.id).await?
        {
            // What the server said was said of the older one.
            let source = SourceRow {
                properties: String::new(),
                expires_at: String::new(),
                ..source
            };
            db::images::insert_source(&mut transaction, new.id, &source).await?;
        }
        let used = later(&row.last_used_at, &new.last_used_at)?;
        let (images, fingerprint) = (scope.images, &new.fingerprint);
        db::images::set_last_used(&mut transaction, images, fingerprint, used).await?;
        new.public |= row.public;
        new.auto_update |= row.auto_update;
        // What points to it from now on keeps it here.
        new.cached &= row.cached;
        db::images::update(&mut transaction, &new).await?;
        take_over(&mut transaction, scope, &replaced.fingerprint, new.id).await?;
        Db::commit(transaction).await
    }
}

/// The later of two points in time.
fn later<'a>(one: &'a str, other: &'a str) -> Result<&'a str> {
    let (first, second): (Timestamp, Timestamp) = (one.parse()?, other.parse()?);
    Ok(if first > second { one } else { other })
}

/// What a newer image takes over from the older one: what the user has changed about it, and what
/// it is used as.
pub(super) async fn inherit(
    session: &mut Session,
    scope: &Scope,
    replaced: &Replaced,
    row: &mut ImageRow,
) -> Result<()> {
    let old = replaced.get(session, scope).await?;
    let source = db::images::source(session, old.id).await?;
    row.public = old.public;
    row.auto_update = old.auto_update;
    row.cached = old.cached;
    row.last_used_at.clone_from(&old.last_used_at);
    let Some(source) = source.filter(|source| !source.properties.is_empty()) else {
        return Ok(());
    };
    let (was, is) = (
        edit::from_text(&source.properties)?,
        edit::from_text(&old.properties)?,
    );
    let new = edit::from_text(&row.properties)?;
    row.properties = edit::to_text(merged(&was, &is, new))?;
    if old.expires_at != source.expires_at {
        row.expires_at = old.expires_at;
    }
    Ok(())
}

/// The new properties, with the changes that were made to the old ones.
fn merged(
    was: &BTreeMap<String, String>,
    is: &BTreeMap<String, String>,
    mut new: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (key, value) in is {
        if was.get(key) != Some(value) {
            new.insert(key.clone(), value.clone());
        }
    }
    // One without a value is none.
    let removed = was
        .iter()
        .filter(|(key, value)| !value.is_empty() && !is.contains_key(*key));
    for (key, _) in removed {
        new.remove(key);
    }
    new
}

/// Gives what points to an image to a newer one, and takes the older one away.
pub(super) async fn take_over(
    session: &mut Session,
    scope: &Scope,
    old: &Fingerprint,
    new: ImageId,
) -> Result<()> {
    let row = db::images::find(session, scope.images, old).await?;
    let row = row.ok_or_else(query::not_found)?;
    aliases::move_all(session, row.id, new).await?;
    db::images::move_profiles(session, row.id, new).await?;
    db::images::delete(session, scope.images, old).await?;
    blobs::release(session, old).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_the_user_changed_outlives_a_refresh() {
        let was = map(&[
            ("os", "Alpine"),
            ("serial", "1"),
            ("label", "old"),
            ("empty", ""),
        ]);
        let is = map(&[("os", "Mine"), ("serial", "1"), ("added", "yes")]);
        let new = map(&[
            ("os", "Alpine"),
            ("serial", "2"),
            ("label", "new"),
            ("empty", ""),
        ]);
        let merged = merged(&was, &is, new);
        let expected = [
            ("added", "yes"),
            ("empty", ""),
            ("os", "Mine"),
            ("serial", "2"),
        ];
        assert_eq!(merged, map(&expected));
    }
}
