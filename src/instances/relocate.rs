//! `POST /1.0/instances/NAME`: another name, and another project.

use super::{
    APPLY_TEMPLATE, Instance, Instances, Status, change, draft, locks::Second, query, record, trees,
};
use crate::{
    access::{Caller, Population, Scope},
    api::{
        objects::{OperationObject, Requestor, Resources},
        requests::InstancePost,
    },
    config::{self, expand},
    db::{self, Transaction, profiles::Devices},
    error::{Context, Error, Kind, Result},
    operations::Spec,
    pool::{Pending, TreeName},
};

/// Where an instance goes.
struct Place {
    scope: Scope,
    name: String,
    pool: String,
}

impl Instances {
    /// Begins the operation that renames or moves an instance.
    ///
    /// # Errors
    ///
    /// 400 for a bad name, 409 for one that is taken, 501 for another server or pool.
    pub(crate) async fn relocate(
        &self,
        instance: &Instance,
        to: InstancePost,
        caller: &Caller,
    ) -> Result<OperationObject> {
        if to.migration {
            return self.move_elsewhere(instance, to, caller).await;
        }
        config::names::instance(&to.name).map_err(|error| match to.name.as_str() {
            // LXD: no name is taken for the old one.
            "" => in_use(instance.name()),
            _ => error,
        })?;
        let taken = self.find(instance.project(), &to.name).await;
        if taken.is_ok() {
            return Err(in_use(&to.name));
        }
        let mut spec = Self::spec_of(instance);
        spec.description = "Renaming instance";
        spec.requestor = Some(caller.requestor.clone());
        let scope = self.scope(instance.project()).await?;
        let place = Place {
            pool: instance.row.pool.clone(),
            scope,
            name: to.name,
        };
        Ok(self.begin_move(spec, instance, place))
    }

    async fn move_elsewhere(
        &self,
        instance: &Instance,
        to: InstancePost,
        caller: &Caller,
    ) -> Result<OperationObject> {
        if to.project.is_empty() && to.pool.is_empty() || to.target.is_some() {
            let text = "Migration between servers is not implemented";
            return Err(Error::new(Kind::NotImplemented, text));
        }
        let pool = match to.pool.as_str() {
            "" => instance.row.pool.clone(),
            pool => pool.to_owned(),
        };
        let project = match to.project.as_str() {
            "" => instance.project(),
            project => project,
        };
        if !caller.may_use(project) {
            return Err(Error::not_authorized());
        }
        let scope = self.scope(project).await?;
        let name = match to.name.as_str() {
            "" => instance.name().to_owned(),
            name => name.to_owned(),
        };
        config::names::instance(&name)?;
        let url = query::url_of("instances", "default", instance.name());
        let spec = Spec {
            description: "Migrating instance",
            project: Some(instance.project().to_owned()),
            resources: Some(Resources::from([("instances", vec![url])])),
            requestor: Some(caller.requestor.clone()),
            ..Spec::default()
        };
        Ok(self.begin_move(spec, instance, Place { scope, name, pool }))
    }

    fn begin_move(&self, spec: Spec, instance: &Instance, to: Place) -> OperationObject {
        let (this, instance) = (self.clone(), instance.clone());
        self.operations.task(spec, move |_| async move {
            let from = (instance.project(), instance.name());
            let there = (to.scope.project.name.as_str(), to.name.as_str());
            let locking = this.locks.hold_with(from, (there, Second::Hold), "rename");
            let _locked = locking.await;
            this.move_held(&instance, &to).await
        })
    }

    async fn move_held(&self, instance: &Instance, to: &Place) -> Result<()> {
        let instance = self.find(instance.project(), instance.name()).await?;
        if self.status(&instance) != Status::Stopped {
            let text = "Renaming of running instance not allowed";
            return Err(Error::failed(text));
        }
        let moved = self.move_trees(&instance, to).await?;
        let written = self.write_moved(&instance, to).await;
        self.settle(moved, written).await?;
        let renamed = self.find(&to.scope.project.name, &to.name).await?;
        self.rename_logs(&instance, &renamed).await;
        let old = [("old_name", instance.name())];
        self.tell_instance("instance-renamed", &renamed, &old);
        Ok(())
    }

    async fn rename_logs(&self, old: &Instance, new: &Instance) {
        let (Ok(from), Ok(to)) = (trees::name(old), trees::name(new)) else {
            return;
        };
        let runtime = self.runtime.clone();
        let renaming = move || runtime.rename_logs(from.qualified(), to.qualified());
        if let Err(error) = self.tasks.run_blocking(renaming).await {
            tracing::warn!(%error, instance.name = new.name(), "its logs stay under its old name");
        }
    }

    /// Within a pool another name is enough; into another one everything is copied.
    async fn move_trees(&self, instance: &Instance, to: &Place) -> Result<Vec<Pending>> {
        let (pool, from) = self.tree(instance).await?;
        let there = TreeName::instance(instance.row.kind, &to.scope.project.name, &to.name)?;
        if to.pool == instance.row.pool {
            let moving = move || Ok(vec![pool.rename(&from, &there)?]);
            return self.tasks.run_blocking(moving).await;
        }
        let target = self.trees.pool(&to.pool).await?;
        let snapshots = self.snapshots_of(instance).await?;
        let moving = move || {
            let mut moved = vec![target.copy_from(&pool, &from, &there)?];
            for snapshot in &snapshots {
                let (old, new) = (
                    from.snapshot(&snapshot.name)?,
                    there.snapshot(&snapshot.name)?,
                );
                moved.push(target.copy_from(&pool, &old, &new)?);
            }
            moved.push(pool.removal(&from)?);
            Ok(moved)
        };
        self.tasks.run_blocking(moving).await
    }

    async fn write_moved(&self, instance: &Instance, to: &Place) -> Result<Transaction> {
        let scope = &to.scope;
        let mut transaction = self.db.write().await?;
        let project = scope.check(&mut transaction).await?;
        let profiles =
            draft::named_profiles(&mut transaction, scope, &instance.profile_names()).await?;
        let mut row = instance.row.clone();
        row.project = project.id;
        row.name.clone_from(&to.name);
        // LXD: a trigger that is still to be applied stays.
        row.config
            .entry(APPLY_TEMPLATE.to_owned())
            .or_insert_with(|| "rename".to_owned());
        if row.pool != to.pool {
            row.pool.clone_from(&to.pool);
            name_pool(&mut row.devices, instance, &to.pool);
        }
        let moved = Instance::new(row, profiles);
        if project.id != instance.row.project {
            let population = Population::of(&mut transaction, project).await?;
            population.allow_creation(record::subject(&moved))?;
        }
        let relocated = db::instances::relocate(&mut transaction, &moved.row).await;
        relocated
            .map_err(|error| match db::constraint(&error) {
                Some("instances.project_id, instances.name") => draft::already_exists(),
                _ => error,
            })
            .context("Failed creating instance record")?;
        change::write(&mut transaction, &moved).await?;
        Ok(transaction)
    }
}

/// Gives an instance a root disk of its own in another pool.
fn name_pool(devices: &mut Devices, instance: &Instance, pool: &str) {
    let Some((name, root)) = expand::root_disk(&instance.devices) else {
        return;
    };
    let mut root = root.clone();
    root.insert("pool".to_owned(), pool.to_owned());
    devices.insert(name.to_owned(), root);
}

fn in_use(name: &str) -> Error {
    Error::conflict(format!("Name {name:?} already in use"))
}

impl Instances {
    /// An operation on one instance; who asked for it and what it does is for the caller to add.
    pub(super) fn spec_of(instance: &Instance) -> Spec {
        Spec {
            project: Some(instance.project().to_owned()),
            resources: Some(query::resources(instance)),
            ..Spec::default()
        }
    }

    /// Tells listeners what happened to an instance.
    // LXD: without saying who asked for it.
    pub(super) fn tell_instance(
        &self,
        action: &'static str,
        instance: &Instance,
        details: &[(&str, &str)],
    ) {
        let path = query::url_of("instances", "default", instance.name());
        self.tell(
            action,
            (instance.project(), &path),
            None::<&Requestor>,
            details,
        );
    }

    /// Tells listeners what happened to a snapshot: `created`, `renamed`, …
    pub(super) fn tell_snapshot(
        &self,
        what: &str,
        instance: &Instance,
        snapshot: &str,
        details: &[(&str, &str)],
    ) {
        let action = match what {
            "created" => "instance-snapshot-created",
            "renamed" => "instance-snapshot-renamed",
            _ => "instance-snapshot-deleted",
        };
        let path = query::snapshot_path(instance, snapshot);
        self.tell(
            action,
            (instance.project(), &path),
            None::<&Requestor>,
            details,
        );
    }
}
