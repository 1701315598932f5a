//! `lxc restore`: an instance becomes what a snapshot kept.

use super::{Instance, Instances, Status, change, query, state::Stop};
use crate::{
    api::objects::{OperationObject, Requestor},
    db::{Db, snapshots::SnapshotRow},
    error::{Error, Kind, Result},
    operations::{Operation, Spec},
};

impl Instances {
    /// Begins the operation that goes back to a snapshot.
    pub(crate) fn restore(
        &self,
        instance: &Instance,
        snapshot: String,
        is_stateful: bool,
        requestor: Requestor,
    ) -> OperationObject {
        let spec = Spec {
            description: "Restoring snapshot",
            requestor: Some(requestor),
            ..Self::spec_of(instance)
        };
        let (this, instance) = (self.clone(), instance.clone());
        self.operations.task(spec, move |operation| async move {
            let _held = this.hold(&instance, "restore").await;
            this.restore_held(&operation, &instance, &snapshot, is_stateful)
                .await
        })
    }

    async fn restore_held(
        &self,
        operation: &Operation,
        instance: &Instance,
        snapshot: &str,
        is_stateful: bool,
    ) -> Result<()> {
        let (project, name) = (instance.project(), instance.name());
        // LXD: the name may be the whole one.
        let snapshot = snapshot.rsplit('/').next().unwrap_or_default();
        let found = self.find_snapshot(project, name, snapshot).await;
        let (instance, row) = found.map_err(|error| match error.kind() {
            Kind::NotFound => Error::failed(format!("Snapshot {name}/{snapshot} does not exist")),
            _ => error,
        })?;
        if is_stateful {
            return Err(Error::failed("Stateful snapshots are not supported"));
        }
        let was_running = self.status(&instance) != Status::Stopped;
        if was_running {
            self.stop_held(operation, &instance, Stop::Forced).await?;
        }
        let (pool, tree) = self.tree_at(&instance, snapshot).await?;
        self.tasks.run_blocking(move || pool.restore(&tree)).await?;
        self.write_restored(&instance, &row).await?;
        let full = format!("{name}/{snapshot}");
        self.tell_instance("instance-restored", &instance, &[("snapshot", &full)]);
        if was_running {
            let restored = self.find(project, name).await?;
            self.start_held(&restored).await?;
        }
        Ok(())
    }

    async fn write_restored(&self, instance: &Instance, snapshot: &SnapshotRow) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let (project, name) = (instance.project(), instance.name());
        let now = query::find(&mut transaction, project, name).await?;
        let mut then = now.at(snapshot);
        then.row.created_at.clone_from(&now.row.created_at);
        change::write(&mut transaction, &then).await?;
        Db::commit(transaction).await
    }
}
