//! Profiles: named sets of configuration and devices.

use std::collections::BTreeMap;

use super::{profile_users, query};
use crate::{
    access::{Edit, Scope},
    api::{
        objects::{Profile, Requestor},
        requests::ProfilePut,
        url::escape,
    },
    config,
    db::{
        self, Db, ProjectId, Session,
        profiles::{self, Devices, ProfileRow},
    },
    error::{Context, Error, Kind, Result},
    operations::{Operations, happened},
};

/// The profile that every project with profiles of its own has.
pub(crate) const DEFAULT: &str = "default";

/// The profiles of all projects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Profiles {
    db: Db,
    operations: Operations,
}

impl Profiles {
    /// The profile that instances have when nobody says otherwise.
    pub(crate) const DEFAULT: &str = DEFAULT;

    /// The profiles kept in `db`.
    pub(crate) fn new(db: Db, operations: Operations) -> Self {
        Self { db, operations }
    }

    /// Makes the profile `default` of the project `default` on a fresh start, with a root disk in
    /// the pool `default`, so that nobody needs an init command.
    pub(crate) async fn ensure_default(session: &mut Session, project: ProjectId) -> Result<()> {
        if profiles::find(session, project, DEFAULT).await?.is_some() {
            return Ok(());
        }
        let root = [("path", "/"), ("pool", "default"), ("type", "disk")];
        let root = root.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let profile = ProfileRow {
            id: 0,
            name: DEFAULT.to_owned(),
            description: "Default LXD profile".to_owned(),
            config: BTreeMap::new(),
            devices: BTreeMap::from([("root".to_owned(), BTreeMap::from(root))]),
        };
        profiles::insert(session, project, &profile).await?;
        Ok(())
    }

    /// Looks up whose profiles a request is about.
    pub(crate) async fn scope(&self, project: &str) -> Result<Scope> {
        let mut session = self.db.read().await?;
        let found = Scope::find(&mut session, project).await;
        found.context(format_args!("Failed loading project {project:?}"))
    }

    /// The profiles of a project, by name.
    pub(crate) async fn list(&self, scope: &Scope) -> Result<Vec<Profile>> {
        let mut session = self.db.read().await?;
        let mut users = db::instances::profile_users(&mut session).await?;
        let rows = profiles::list(&mut session, scope.profiles).await?;
        let shown = rows.into_iter().map(|row| render(row, &mut users));
        Ok(shown.collect())
    }

    /// One profile.
    pub(crate) async fn get(&self, scope: &Scope, name: &str) -> Result<Profile> {
        let mut session = self.db.read().await?;
        let row = profiles::find(&mut session, scope.profiles, name).await?;
        let row = row.ok_or_else(not_found).context("Fetch profile")?;
        let mut users = db::instances::profile_users(&mut session).await?;
        Ok(render(row, &mut users))
    }

    /// The profile that is about to be changed; LXD words its absence by `prefix`.
    pub(crate) async fn get_for_change(
        &self,
        scope: &Scope,
        name: &str,
        prefix: &str,
    ) -> Result<Profile> {
        let mut session = self.db.read().await?;
        let row = profiles::find(&mut session, scope.profiles, name).await?;
        let prefix = format_args!("Failed to retrieve {prefix}{name:?}");
        let row = row.ok_or_else(not_found).context(prefix)?;
        Ok(render(row, &mut Users::new()))
    }

    /// Makes a profile.
    pub(crate) async fn create(
        &self,
        scope: &Scope,
        name: &str,
        new: ProfilePut,
        requestor: Requestor,
    ) -> Result<()> {
        config::names::profile(name)?;
        let row = row(0, name, new);
        let row = checked(row).map_err(|error| error.with_kind(Kind::BadRequest))?;
        let mut transaction = self.db.write().await?;
        let made = profiles::insert(&mut transaction, scope.profiles, &row).await;
        made.map_err(|error| already_exists(error, name))?;
        Db::commit(transaction).await?;
        self.tell("profile-created", scope, name, requestor, None);
        Ok(())
    }

    /// Replaces everything but the name.
    pub(crate) async fn replace(
        &self,
        scope: &Scope,
        name: &str,
        new: ProfilePut,
        edit: Edit,
    ) -> Result<()> {
        self.change(scope, name, edit, |old| row(old.id, name, new))
            .await
    }

    /// Lays a PATCH over the profile: configuration and devices by key.
    pub(crate) async fn merge(
        &self,
        scope: &Scope,
        name: &str,
        patch: ProfilePut,
        has_description: bool,
        edit: Edit,
    ) -> Result<()> {
        self.change(scope, name, edit, |mut old| {
            old.config.extend(patch.config);
            old.devices.extend(patch.devices);
            if has_description {
                old.description = patch.description;
            }
            old
        })
        .await
    }

    async fn change(
        &self,
        scope: &Scope,
        name: &str,
        edit: Edit,
        changed: impl FnOnce(ProfileRow) -> ProfileRow,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let old = profiles::find(&mut transaction, scope.profiles, name).await?;
        let old = old.ok_or_else(not_found);
        let old = old.context(format_args!("Failed to retrieve profile {name:?}"))?;
        edit.check(&(&old.config, &old.description, &old.devices))?;
        let new = checked(changed(old.clone()))?;
        let users = profile_users::of(&mut transaction, &old).await?;
        profile_users::check_root(&users, &old, &new)?;
        profile_users::check_restrictions(&mut transaction, &users, scope, &new).await?;
        profiles::update(&mut transaction, &new).await?;
        Db::commit(transaction).await?;
        self.tell("profile-updated", scope, name, edit.requestor, None);
        tokio::task::block_in_place(|| profile_users::check_each(&users, &new))
    }

    /// Gives a profile another name.
    pub(crate) async fn rename(
        &self,
        scope: &Scope,
        name: &str,
        new_name: &str,
        requestor: Requestor,
    ) -> Result<()> {
        if name == DEFAULT {
            return Err(Error::forbidden(
                "The \"default\" profile cannot be renamed",
            ));
        }
        config::names::profile(new_name)?;
        let mut transaction = self.db.write().await?;
        if profiles::find(&mut transaction, scope.profiles, new_name)
            .await?
            .is_some()
        {
            return Err(Error::failed(format!("Name {new_name:?} already in use")));
        }
        let row = profiles::find(&mut transaction, scope.profiles, name).await?;
        let row = row.ok_or_else(not_found)?;
        profiles::rename(&mut transaction, row.id, new_name).await?;
        Db::commit(transaction).await?;
        self.tell(
            "profile-renamed",
            scope,
            new_name,
            requestor,
            Some(("old_name", name)),
        );
        Ok(())
    }

    /// Removes a profile. Images that refer to it lose the entry.
    pub(crate) async fn delete(
        &self,
        scope: &Scope,
        name: &str,
        requestor: Requestor,
    ) -> Result<()> {
        if name == DEFAULT {
            return Err(Error::forbidden(
                "The \"default\" profile cannot be deleted",
            ));
        }
        let mut transaction = self.db.write().await?;
        let row = profiles::find(&mut transaction, scope.profiles, name).await?;
        let row = row.ok_or_else(not_found)?;
        let users = db::instances::profile_users(&mut transaction).await?;
        if users.contains_key(&row.id) {
            return Err(Error::failed("Profile is currently in use"));
        }
        profiles::delete(&mut transaction, row.id).await?;
        Db::commit(transaction).await?;
        self.tell("profile-deleted", scope, name, requestor, None);
        Ok(())
    }

    fn tell(
        &self,
        action: &'static str,
        scope: &Scope,
        name: &str,
        requestor: Requestor,
        detail: Option<(&str, &str)>,
    ) {
        let project = &scope.project.name;
        let path = format!("/1.0/profiles/{}", escape(name));
        let mut event = happened(action, &path, project, Some(requestor));
        if let Some((key, value)) = detail {
            event = event.with(key, value);
        }
        self.operations.events().lifecycle(Some(project), &event);
    }
}

fn not_found() -> Error {
    Error::not_found("Profile not found")
}

fn already_exists(error: Error, name: &str) -> Error {
    if db::constraint(&error) != Some("profiles.project_id, profiles.name") {
        return error;
    }
    let text = format!("Error inserting {name:?} into database: The profile already exists");
    Error::failed(text)
}

fn row(id: i64, name: &str, new: ProfilePut) -> ProfileRow {
    let ProfilePut {
        config,
        description,
        devices,
    } = new;
    ProfileRow {
        id,
        name: name.to_owned(),
        description,
        config,
        devices,
    }
}

/// The profile as it may be stored: known keys with good values, empty ones left out.
fn checked(mut row: ProfileRow) -> Result<ProfileRow> {
    config::instance::validate(&row.config).map_err(Error::failed)?;
    config::device::validate(&row.devices).map_err(Error::failed)?;
    row.config.retain(|_, value| !value.is_empty());
    drop_empty(&mut row.devices);
    Ok(row)
}

fn drop_empty(devices: &mut Devices) {
    for options in devices.values_mut() {
        options.retain(|_, value| !value.is_empty());
    }
}

/// For each profile in use, the project and name of every instance that uses it.
type Users = BTreeMap<i64, Vec<(String, String)>>;

fn render(row: ProfileRow, users: &mut Users) -> Profile {
    let users = users.remove(&row.id).unwrap_or_default().into_iter();
    let used_by = users.map(|(project, name)| query::url_of("instances", &project, &name));
    let used_by = used_by.collect();
    let ProfileRow {
        name,
        description,
        config,
        devices,
        ..
    } = row;
    Profile {
        config,
        description,
        devices,
        name,
        used_by,
    }
}
