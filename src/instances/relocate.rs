//! `POST /1.0/instances/NAME`: another name, and another project.

use super::{APPLY_TEMPLATE, Instance, Instances, Status, change, draft, query, record};
use crate::{
    access::{Caller, Population, Scope},
    api::{
        objects::{OperationObject, Requestor, Resources},
        requests::InstancePost,
    },
    config,
    db::{self, Transaction},
    error::{Context, Error, Kind, Result},
    operations::Spec,
    pool::TreeName,
};

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
        let mut spec = self.spec_of(instance);
        spec.description = "Renaming instance";
        spec.requestor = Some(caller.requestor.clone());
        let scope = self.scope(instance.project()).await?;
        Ok(self.begin_move(spec, instance, to.name, scope))
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
        if !to.pool.is_empty() && to.pool != instance.row.pool {
            let text = "Moving instances between storage pools is not implemented";
            return Err(Error::new(Kind::NotImplemented, text));
        }
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
        Ok(self.begin_move(spec, instance, name, scope))
    }

    fn begin_move(
        &self,
        spec: Spec,
        instance: &Instance,
        name: String,
        scope: Scope,
    ) -> OperationObject {
        let (this, instance) = (self.clone(), instance.clone());
        self.operations.task(spec, move |_| async move {
            this.move_now(&instance, &name, &scope).await
        })
    }

    async fn move_now(&self, instance: &Instance, name: &str, scope: &Scope) -> Result<()> {
        let (project, target) = (instance.project(), scope.project.name.as_str());
        // Two that trade names would wait for each other otherwise.
        let mut places = [(project, instance.name()), (target, name)];
        places.sort_unstable();
        let _first = self.locks.hold(places[0].0, places[0].1, "rename").await;
        let _second = match places[0] == places[1] {
            true => None,
            false => Some(self.locks.hold(places[1].0, places[1].1, "rename").await),
        };
        let instance = self.find(project, instance.name()).await?;
        if self.status(&instance) != Status::Stopped {
            let text = "Renaming of running instance not allowed";
            return Err(Error::failed(text));
        }
        let (pool, from) = self.tree(&instance).await?;
        let to = TreeName::instance(instance.row.kind, target, name)?;
        let moved = self
            .tasks
            .run_blocking(move || pool.rename(&from, &to))
            .await?;
        let written = self.write_moved(&instance, name, scope).await;
        self.settle(vec![moved], written).await?;
        let renamed = self.find(target, name).await?;
        let old = [("old_name", instance.name())];
        self.tell_instance("instance-renamed", &renamed, &old);
        Ok(())
    }

    async fn write_moved(
        &self,
        instance: &Instance,
        name: &str,
        scope: &Scope,
    ) -> Result<Transaction> {
        let mut transaction = self.db.write().await?;
        let project = scope.check(&mut transaction).await?;
        let profiles =
            draft::named_profiles(&mut transaction, scope, &instance.profile_names()).await?;
        let mut row = instance.row.clone();
        row.project = project.id;
        name.clone_into(&mut row.name);
        // LXD: a trigger that is still to be applied stays.
        row.config
            .entry(APPLY_TEMPLATE.to_owned())
            .or_insert_with(|| "rename".to_owned());
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

fn in_use(name: &str) -> Error {
    Error::conflict(format!("Name {name:?} already in use"))
}

impl Instances {
    /// An operation on one instance; who asked for it and what it does is for the caller to add.
    pub(super) fn spec_of(&self, instance: &Instance) -> Spec {
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
