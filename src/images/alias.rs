//! Names for images, unique in their project.

use super::{Event, Images, query};
use crate::{
    access::{Edit, Scope},
    api::{
        objects::{Alias, Requestor},
        url::escape,
    },
    db::{
        self, Db, Session,
        aliases::{self, AliasRow},
    },
    error::{Error, Kind, Result},
    image::Fingerprint,
};

use super::query::Visibility;

/// Longest name of an alias, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// The fields of an alias that a PATCH has.
#[derive(Debug, Default)]
pub(crate) struct AliasPatch {
    /// Free text.
    pub(crate) description: Option<String>,
    /// Fingerprint, or the beginning of one.
    pub(crate) target: Option<String>,
}

impl Images {
    /// The aliases of a project, by name.
    pub(crate) async fn aliases(&self, scope: &Scope) -> Result<Vec<Alias>> {
        let mut session = self.db.read().await?;
        let rows = aliases::list(&mut session, scope.images).await?;
        Ok(rows.into_iter().map(render).collect())
    }

    /// One alias, if the caller may see the image it names.
    pub(crate) async fn alias(&self, scope: &Scope, sees: Visibility, name: &str) -> Result<Alias> {
        let mut session = self.db.read().await?;
        let row = find(&mut session, scope, name).await?;
        if sees == Visibility::Public && !row.public {
            return Err(not_found());
        }
        Ok(render(row))
    }

    /// Makes an alias.
    pub(crate) async fn create_alias(
        &self,
        scope: &Scope,
        alias: Alias,
        requestor: Requestor,
    ) -> Result<()> {
        if alias.name.is_empty() || alias.target.is_empty() {
            return Err(Error::bad_request("name and target are required"));
        }
        check_name(&alias.name)?;
        let mut transaction = self.db.write().await?;
        refuse_taken(&mut transaction, scope, &alias.name).await?;
        let image = query::find(&mut transaction, scope, Visibility::All, &alias.target).await?;
        let named = (alias.name.as_str(), alias.description.as_str());
        aliases::insert(&mut transaction, scope.images, named, image.id).await?;
        Db::commit(transaction).await?;
        self.tell_alias(
            "image-alias-created",
            scope,
            &alias.name,
            &requestor,
            &[("target", &alias.target)],
        );
        Ok(())
    }

    /// Replaces what a PATCH or PUT names.
    pub(crate) async fn change_alias(
        &self,
        scope: &Scope,
        name: &str,
        patch: AliasPatch,
        edit: Edit,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let row = find(&mut transaction, scope, name).await?;
        edit.check(&render(row.clone()))?;
        let target = patch.target.unwrap_or_else(|| row.target.clone());
        let description = patch.description.unwrap_or(row.description);
        let image = query::find(&mut transaction, scope, Visibility::All, &target).await?;
        aliases::update(&mut transaction, row.id, image.id, &description).await?;
        Db::commit(transaction).await?;
        self.tell_alias(
            "image-alias-updated",
            scope,
            name,
            &edit.requestor,
            &[("target", &target)],
        );
        Ok(())
    }

    /// Gives an alias another name.
    pub(crate) async fn rename_alias(
        &self,
        scope: &Scope,
        name: &str,
        new_name: &str,
        requestor: Requestor,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        // LXD: the new name is looked at before the old one.
        refuse_taken(&mut transaction, scope, new_name).await?;
        let row = find(&mut transaction, scope, name).await?;
        check_name(new_name)?;
        aliases::rename(&mut transaction, row.id, new_name).await?;
        Db::commit(transaction).await?;
        self.tell_alias(
            "image-alias-renamed",
            scope,
            new_name,
            &requestor,
            &[("old_name", name)],
        );
        Ok(())
    }

    /// Removes an alias.
    pub(crate) async fn delete_alias(
        &self,
        scope: &Scope,
        name: &str,
        requestor: Requestor,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let row = find(&mut transaction, scope, name).await?;
        aliases::delete(&mut transaction, row.id).await?;
        Db::commit(transaction).await?;
        self.tell_alias("image-alias-deleted", scope, name, &requestor, &[]);
        Ok(())
    }

    /// Makes the aliases that came with an image, all or none. The image stays either way.
    pub(super) async fn add_aliases(
        &self,
        scope: &Scope,
        fingerprint: &Fingerprint,
        named: &[(String, String)],
        requestor: Option<&Requestor>,
    ) -> Result<()> {
        if named.is_empty() {
            return Ok(());
        }
        let mut transaction = self.db.write().await?;
        let image = db::images::find(&mut transaction, scope.images, fingerprint).await?;
        let image = image.ok_or_else(query::not_found)?;
        for (name, description) in named {
            check_name(name)?;
            if aliases::find(&mut transaction, scope.images, name)
                .await?
                .is_some()
            {
                return Err(Error::failed(format!("Alias already exists: {name}")));
            }
            aliases::insert(
                &mut transaction,
                scope.images,
                (name, description),
                image.id,
            )
            .await?;
        }
        Db::commit(transaction).await?;
        let target = fingerprint.as_str();
        for (name, _) in named {
            let path = path(name);
            let details = [("target", target)];
            let action = "image-alias-created";
            self.tell(&Event {
                action,
                path: &path,
                scope,
                requestor,
                details: &details,
            });
        }
        Ok(())
    }

    fn tell_alias(
        &self,
        action: &'static str,
        scope: &Scope,
        name: &str,
        requestor: &Requestor,
        details: &[(&str, &str)],
    ) {
        let path = path(name);
        self.tell(&Event {
            action,
            path: &path,
            scope,
            requestor: Some(requestor),
            details,
        });
    }
}

/// The URL of an alias.
pub(crate) fn path(name: &str) -> String {
    format!("/1.0/images/aliases/{}", escape(name))
}

fn not_found() -> Error {
    Error::not_found("Image alias not found")
}

async fn find(session: &mut Session, scope: &Scope, name: &str) -> Result<AliasRow> {
    aliases::find(session, scope.images, name)
        .await?
        .ok_or_else(not_found)
}

async fn refuse_taken(session: &mut Session, scope: &Scope, name: &str) -> Result<()> {
    match aliases::find(session, scope.images, name).await? {
        None => Ok(()),
        Some(_) => Err(Error::new(
            Kind::Conflict,
            format!("Alias {name:?} already exists"),
        )),
    }
}

/// Names end up in URLs, logs and terminals, so they have a bound and no control characters.
fn check_name(name: &str) -> Result<()> {
    if name.len() > MAX_NAME_BYTES {
        let text = format!("Alias names may not be longer than {MAX_NAME_BYTES} bytes");
        return Err(Error::bad_request(text));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::bad_request(
            "Alias names may not contain control characters",
        ));
    }
    Ok(())
}

fn render(row: AliasRow) -> Alias {
    Alias {
        description: row.description,
        target: row.target,
        name: row.name,
        kind: row.kind,
    }
}
