//! `PUT` and `PATCH` of an instance.

use super::{Config, Instance, Instances, check, create::drop_empty, draft, query, record, spec};
use crate::{
    access::{Edit, Population, Scope},
    api::{objects::OperationObject, requests::InstancePut},
    config::{self, expand},
    db::{self, Db, Session, profiles},
    error::{Context, Error, Result},
    image::Architecture,
    operations::Spec,
};

/// How the body of a change is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// PUT: the body is all of it.
    Replace,
    /// PATCH: what the body has is laid over it.
    Merge {
        /// Whether the body has a `description`.
        description: bool,
        /// Whether the body says whether it is ephemeral.
        ephemeral: bool,
    },
}

impl Instances {
    /// PUT: begins the operation that replaces what can be written.
    ///
    /// # Errors
    ///
    /// What LXD refuses before it makes an operation: a profile that is not there, and what the
    /// project may not have.
    pub(crate) async fn replace(
        &self,
        instance: &Instance,
        new: InstancePut,
        edit: Edit,
    ) -> Result<OperationObject> {
        let scope = self.scope(instance.project()).await?;
        self.look_at(&scope, instance, &new, Change::Replace)
            .await?;
        let spec = Spec {
            description: "Updating instance",
            requestor: Some(edit.requestor.clone()),
            ..Self::spec_of(instance)
        };
        let (this, instance) = (self.clone(), instance.clone());
        Ok(self.operations.task(spec, move |_| async move {
            this.change(&scope, &instance, new, Change::Replace, &edit)
                .await
        }))
    }

    /// PATCH: changes what is named, at once.
    ///
    /// # Errors
    ///
    /// 404 for a profile that is not there, 500 with LXD's text for what may not be.
    pub(crate) async fn patch(
        &self,
        instance: &Instance,
        patch: InstancePut,
        how: Change,
        edit: Edit,
    ) -> Result<()> {
        let scope = self.scope(instance.project()).await?;
        self.look_at(&scope, instance, &patch, how).await?;
        self.change(&scope, instance, patch, how, &edit).await
    }

    /// What is said before an operation is made.
    async fn look_at(
        &self,
        scope: &Scope,
        instance: &Instance,
        new: &InstancePut,
        how: Change,
    ) -> Result<()> {
        let mut session = self.db.read().await?;
        let known = profiles::list(&mut session, scope.profiles).await?;
        let mut named = new.profiles.iter().flatten();
        if named.any(|name| known.iter().all(|profile| profile.name != *name)) {
            return Err(Error::not_found("Profile not found"));
        }
        let changed = laid_over(&mut session, scope, instance, new.clone(), how).await;
        // What is wrong with it is for the operation to say.
        let Ok(changed) = changed else { return Ok(()) };
        let population = Population::of(&mut session, scope.project.clone()).await?;
        population.allow_update(record::subject(&changed))
    }

    async fn change(
        &self,
        scope: &Scope,
        instance: &Instance,
        new: InstancePut,
        how: Change,
        edit: &Edit,
    ) -> Result<()> {
        let (project, name) = (instance.project(), instance.name());
        let _held = self.locks.hold(project, name, "update").await;
        let sources = self
            .look_at_sources(scope, instance, new.clone(), how)
            .await;
        let mut transaction = self.db.write().await?;
        let old = query::find(&mut transaction, project, name).await?;
        edit.check(&tagged(&old))?;
        check_idmap_keys(&old, &new, how)?;
        check::no_duplicates(new.profiles.as_deref().unwrap_or_default())?;
        let changed = laid_over(&mut transaction, scope, &old, new, how).await?;
        validate(&old, &changed)?;
        sources?;
        let project_now = scope.check(&mut transaction).await?;
        let population = Population::of(&mut transaction, project_now).await?;
        population.allow_update(record::subject(&changed))?;
        write(&mut transaction, &changed).await?;
        Db::commit(transaction).await?;
        self.limit_now(&old, &changed).await;
        self.tell_instance("instance-updated", &changed, &[]);
        Ok(())
    }

    /// Whether what the instance's disks will show of the host is there.
    async fn look_at_sources(
        &self,
        scope: &Scope,
        instance: &Instance,
        new: InstancePut,
        how: Change,
    ) -> Result<()> {
        let mut session = self.db.read().await?;
        let old = query::find(&mut session, instance.project(), instance.name()).await?;
        let changed = laid_over(&mut session, scope, &old, new, how).await?;
        drop(session);
        self.check_sources(&changed).await
    }

    /// Puts changed limits on a container that runs. What cannot be put on it now, or is no
    /// limit any more, waits for its next start.
    async fn limit_now(&self, old: &Instance, new: &Instance) {
        let Some(running) = self.find_running(new) else {
            return;
        };
        let limits = |config| spec::limits(running.name(), config);
        let (was, Ok(limits)) = (limits(&old.config), limits(&new.config)) else {
            return;
        };
        if was.is_ok_and(|was| was == limits) {
            return;
        }
        if let Err(error) = self.runtime.limit(&running, limits).await {
            tracing::warn!(%error, instance.name = new.name(), "limits wait for the next start");
        }
    }
}

/// Replaces an instance's row and profiles.
pub(super) async fn write(session: &mut Session, changed: &Instance) -> Result<()> {
    db::instances::update(session, &changed.row).await?;
    let ids: Vec<_> = changed.profiles.iter().map(|profile| profile.id).collect();
    db::instances::set_profiles(session, changed.row.id, &ids).await
}

/// What the `ETag` of an instance is made from.
fn tagged(instance: &Instance) -> impl serde::Serialize + '_ {
    let row = &instance.row;
    (
        &row.architecture,
        &row.config,
        &row.devices,
        row.ephemeral,
        instance.profile_names(),
    )
}

/// The instance after a change.
async fn laid_over(
    session: &mut Session,
    scope: &Scope,
    old: &Instance,
    new: InstancePut,
    how: Change,
) -> Result<Instance> {
    let mut row = old.row.clone();
    let (config, devices) = (new.config, new.devices);
    if how == Change::Replace {
        row.config.clear();
        row.devices.clear();
    }
    row.config.extend(config.unwrap_or_default());
    row.config.retain(|_, value| !value.is_empty());
    row.devices.extend(devices.unwrap_or_default());
    drop_empty(&mut row.devices);
    // LXD: an architecture that it does not know changes nothing.
    if let Ok(architecture) = Architecture::parse(&new.architecture) {
        architecture.name().clone_into(&mut row.architecture);
    }
    let (says_description, says_ephemeral) = match how {
        Change::Replace => (true, true),
        Change::Merge {
            description,
            ephemeral,
        } => (description, ephemeral),
    };
    if says_description {
        row.description = new.description;
    }
    if says_ephemeral {
        row.ephemeral = new.ephemeral;
    }
    let names = match (new.profiles, how) {
        (Some(names), _) => names,
        (None, Change::Replace) => Vec::new(),
        (None, Change::Merge { .. }) => old.profile_names(),
    };
    let profiles = draft::named_profiles(session, scope, &names).await?;
    Ok(Instance::new(row, profiles))
}

/// Keys that only the daemon takes away.
fn check_idmap_keys(old: &Instance, new: &InstancePut, how: Change) -> Result<()> {
    let none = Config::new();
    let sent = new.config.as_ref().unwrap_or(&none);
    let is_idmap =
        |key: &str| key.starts_with("volatile.idmap") || key == "volatile.last_state.idmap";
    let goes = |key: &String| match (sent.get(key), how) {
        (Some(value), _) => value.is_empty(),
        (None, Change::Replace) => true,
        (None, Change::Merge { .. }) => false,
    };
    if old.row.config.keys().any(|key| is_idmap(key) && goes(key)) {
        let text = "Volatile idmap keys can't be deleted by the user";
        return Err(Error::failed(text));
    }
    Ok(())
}

/// Whether an instance may become another, apart from its project's limits and what is to be there
/// on the host.
pub(super) fn validate(old: &Instance, new: &Instance) -> Result<()> {
    let row = &new.row;
    config::instance::validate_own(&row.config, row.kind)
        .map_err(Error::failed)
        .context("Invalid config")?;
    config::device::validate(&row.devices)
        .map_err(Error::failed)
        .context("Invalid devices")?;
    check::devices(new)
        .map_err(Error::failed)
        .context("Invalid expanded devices")?;
    check_pool(old, new)
}

/// The root disk stays in its pool.
// LXD: but it may go altogether.
fn check_pool(old: &Instance, new: &Instance) -> Result<()> {
    let root = expand::root_disk(&new.devices);
    let pool = root.and_then(|(_, root)| root.get("pool"));
    match pool {
        Some(pool) if *pool != old.row.pool => Err(Error::failed(format!(
            "Cannot update root disk device pool name to {pool:?}"
        ))),
        _ => Ok(()),
    }
}
