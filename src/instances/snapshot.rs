//! Snapshots of instances.

use super::{Instance, Instances, query, status::NEVER};
use crate::{
    api::{
        Timestamp,
        objects::{OperationObject, Requestor},
        requests::InstanceSnapshotsPost,
    },
    config::{self, expiry, pattern},
    db::{
        self, Db, Transaction,
        snapshots::{self, SnapshotRow},
    },
    error::{Context, Error, Kind, Result},
    operations::Spec,
    pool::Pending,
};

impl Instances {
    /// Begins the operation that makes a snapshot.
    ///
    /// # Errors
    ///
    /// 400 for a bad name; 500 for a pattern that gives none, and a project without snapshots.
    pub(crate) async fn create_snapshot(
        &self,
        instance: &Instance,
        body: InstanceSnapshotsPost,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let name = match body.name.as_str() {
            "" => self.next_name(instance).await?,
            name => name.to_owned(),
        };
        config::names::snapshot(&name)?;
        let expires_at = match body.expires_at {
            Some(when) => when.to_string(),
            None => self.expiry(instance),
        };
        let spec = Spec {
            description: "Snapshotting instance",
            requestor: Some(requestor),
            ..Self::spec_of(instance)
        };
        let (this, instance, is_stateful) = (self.clone(), instance.clone(), body.stateful);
        Ok(self.operations.task(spec, move |_| async move {
            if is_stateful {
                return Err(no_memory());
            }
            let _held = this.hold(&instance, "snapshot").await;
            this.snapshot_held(&instance, name, expires_at).await
        }))
    }

    /// Whether a project's instances may have snapshots.
    ///
    /// # Errors
    ///
    /// 404 when there is no such project, 500 with LXD's text when they may not.
    pub(crate) async fn check_snapshots_allowed(&self, project: &str) -> Result<()> {
        let scope = self.scope(project).await?;
        if config::project::allows_snapshots(&scope.project.config) {
            return Ok(());
        }
        let text = format!("Project {project:?} doesn't allow for snapshot creation");
        Err(Error::failed(text))
    }

    async fn next_name(&self, instance: &Instance) -> Result<String> {
        let known = self.snapshots_of(instance).await?;
        let known: Vec<_> = known.iter().map(|row| row.name.as_str()).collect();
        let pattern = instance.get("snapshots.pattern");
        pattern::next(pattern, self.clock.now(), &known).map_err(Error::failed)
    }

    /// When a snapshot made now goes, by `snapshots.expiry`.
    fn expiry(&self, instance: &Instance) -> String {
        let lasts = instance.get("snapshots.expiry").unwrap_or_default();
        let end = expiry::after(lasts, self.clock.now());
        end.map_or_else(|| NEVER.to_owned(), |end| Timestamp::from(end).to_string())
    }

    async fn snapshot_held(
        &self,
        instance: &Instance,
        name: String,
        expires_at: String,
    ) -> Result<()> {
        let prefix = format!("Failed creating instance snapshot record {name:?}");
        if name.contains(' ') {
            let text = "Invalid instance snapshot name: Cannot contain space or / characters";
            return Err(Error::failed(text).context(prefix));
        }
        let instance = self.find(instance.project(), instance.name()).await?;
        let row = SnapshotRow {
            id: 0,
            instance: instance.row.id,
            name: name.clone(),
            ephemeral: instance.row.ephemeral,
            description: instance.row.description.clone(),
            config: instance.row.config.clone(),
            devices: instance.row.devices.clone(),
            created_at: self.now(),
            expires_at,
        };
        self.refuse_taken(&row).await.context(&prefix)?;
        let made = self.copy_to_snapshot(&instance, &name).await?;
        self.record_snapshot(made, &row).await.context(&prefix)?;
        self.tell_snapshot("created", &instance, &name, &[]);
        Ok(())
    }

    async fn refuse_taken(&self, row: &SnapshotRow) -> Result<()> {
        let mut session = self.db.read().await?;
        match snapshots::find(&mut session, row.instance, &row.name).await? {
            Some(_) => Err(already_exists()),
            None => Ok(()),
        }
    }

    async fn copy_to_snapshot(&self, instance: &Instance, name: &str) -> Result<Pending> {
        let (pool, from) = self.tree(instance).await?;
        let to = from.snapshot(name)?;
        let copying = self.tasks.run_blocking(move || pool.copy(&from, &to));
        self.while_still(instance, copying).await
    }

    /// Writes the row of a snapshot whose tree is there.
    pub(super) async fn record_snapshot(&self, made: Pending, row: &SnapshotRow) -> Result<()> {
        let written = self.write_snapshot(row).await;
        self.settle(vec![made], written).await
    }

    async fn write_snapshot(&self, row: &SnapshotRow) -> Result<Transaction> {
        let mut transaction = self.db.write().await?;
        let inserted = snapshots::insert(&mut transaction, row).await;
        inserted.map_err(taken)?;
        Ok(transaction)
    }

    /// Begins the operation that changes when a snapshot goes.
    pub(crate) fn change_snapshot(
        &self,
        instance: &Instance,
        snapshot: &SnapshotRow,
        expires_at: Option<Timestamp>,
        requestor: Requestor,
    ) -> OperationObject {
        // LXD: the snapshot stands there as if it were an instance.
        let spec = Spec {
            description: "Updating snapshot",
            resources: Some(query::resources_named(instance, &snapshot.name)),
            requestor: Some(requestor),
            ..Self::spec_of(instance)
        };
        let (this, mut row) = (self.clone(), snapshot.clone());
        self.operations.task(spec, move |_| async move {
            if let Some(when) = expires_at {
                row.expires_at = when.to_string();
            }
            let mut transaction = this.db.write().await?;
            snapshots::update(&mut transaction, &row).await?;
            Db::commit(transaction).await
        })
    }

    /// Begins the operation that gives a snapshot another name.
    ///
    /// # Errors
    ///
    /// 400 for a bad name, 409 for one that is taken.
    pub(crate) async fn rename_snapshot(
        &self,
        instance: &Instance,
        snapshot: &SnapshotRow,
        new_name: String,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        config::names::snapshot(&new_name)?;
        if new_name.contains(' ') {
            let text = "Invalid instance snapshot name: Cannot contain space or / characters";
            return Err(Error::bad_request(text));
        }
        let mut session = self.db.read().await?;
        let taken = snapshots::find(&mut session, instance.row.id, &new_name).await?;
        if taken.is_some() {
            let text = format!("Name '{}/{new_name}' already in use", instance.name());
            return Err(Error::conflict(text));
        }
        let spec = Spec {
            description: "Renaming snapshot",
            requestor: Some(requestor),
            ..Self::spec_of(instance)
        };
        let (this, instance, old) = (self.clone(), instance.clone(), snapshot.name.clone());
        Ok(self.operations.task(spec, move |_| async move {
            let _held = this.hold(&instance, "rename").await;
            this.rename_snapshot_held(&instance, &old, &new_name).await
        }))
    }

    async fn rename_snapshot_held(
        &self,
        instance: &Instance,
        old: &str,
        new_name: &str,
    ) -> Result<()> {
        let (project, name) = (instance.project(), instance.name());
        let (instance, row) = self.find_snapshot(project, name, old).await?;
        let (pool, from) = self.tree_at(&instance, old).await?;
        let to = from.owner().snapshot(new_name)?;
        let moved = self
            .tasks
            .run_blocking(move || pool.rename(&from, &to))
            .await?;
        let written = self.write_renamed(row.id, new_name).await;
        self.settle(vec![moved], written).await?;
        let old_name = format!("{name}/{old}");
        self.tell_snapshot("renamed", &instance, new_name, &[("old_name", &old_name)]);
        Ok(())
    }

    async fn write_renamed(&self, id: i64, name: &str) -> Result<Transaction> {
        let mut transaction = self.db.write().await?;
        let renamed = snapshots::rename(&mut transaction, id, name).await;
        renamed.map_err(taken)?;
        Ok(transaction)
    }

    /// Begins the operation that deletes a snapshot.
    pub(crate) fn delete_snapshot(
        &self,
        instance: &Instance,
        snapshot: &SnapshotRow,
        requestor: Requestor,
    ) -> OperationObject {
        let full = format!("{}/{}", instance.name(), snapshot.name);
        let spec = Spec {
            description: "Deleting snapshot",
            resources: Some(query::resources_named(instance, &full)),
            requestor: Some(requestor),
            ..Self::spec_of(instance)
        };
        let (this, instance, name) = (self.clone(), instance.clone(), snapshot.name.clone());
        self.operations.task(spec, move |_| async move {
            let _held = this.hold(&instance, "delete").await;
            let (project, of) = (instance.project(), instance.name());
            let (instance, row) = this.find_snapshot(project, of, &name).await?;
            this.remove_snapshot(&instance, &row).await?;
            this.sweep_shared(&instance.row.pool).await;
            Ok(())
        })
    }
}

/// LXD's answer for a snapshot's name that is taken.
fn already_exists() -> Error {
    let text =
        "Add snapshot info to the database: This \"instances_snapshots\" entry already exists";
    Error::failed(text)
}

fn taken(error: Error) -> Error {
    match db::constraint(&error) {
        Some("instance_snapshots.instance_id, instance_snapshots.name") => already_exists(),
        _ => error,
    }
}

/// The memory of an instance is not kept here.
fn no_memory() -> Error {
    let text = "Unable to create a stateful snapshot. The instance isn't running";
    Error::new(Kind::Failed, text)
}
