//! Deleting instances: the row decides, then the tree goes.

use super::{Instance, Instances, Status, query};
use crate::{
    api::objects::{OperationObject, Requestor},
    db::{self, Transaction, snapshots},
    error::{Error, Result},
    image::ImageType,
    operations::Spec,
};

impl Instances {
    /// Begins the operation that deletes an instance with its snapshots.
    ///
    /// # Errors
    ///
    /// 400 for one that runs.
    pub(crate) fn delete(
        &self,
        instance: &Instance,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        if self.status(instance) != Status::Stopped {
            return Err(Error::bad_request("Instance is running"));
        }
        let spec = Spec {
            description: "Deleting instance",
            requestor: Some(requestor),
            ..Self::spec_of(instance)
        };
        let (this, instance) = (self.clone(), instance.clone());
        Ok(self.operations.task(spec, move |_| async move {
            let (project, name) = (instance.project(), instance.name());
            let _held = this.locks.hold(project, name, "delete").await;
            this.delete_held(&instance).await
        }))
    }

    /// Deletes an instance whose lock is held.
    pub(super) async fn delete_held(&self, instance: &Instance) -> Result<()> {
        let instance = self.find(instance.project(), instance.name()).await?;
        if instance.has_flag("security.protection.delete") {
            let what = match instance.row.kind {
                ImageType::Container => "Container",
                ImageType::VirtualMachine => "Instance",
            };
            return Err(Error::failed(format!("{what} is protected")));
        }
        if self.status(&instance) != Status::Stopped {
            return Err(Error::failed("Instance is running"));
        }
        let snapshots = self.snapshots_of(&instance).await?;
        let (pool, name) = self.tree(&instance).await?;
        let (runtime, logs) = (self.runtime.clone(), name.qualified().to_owned());
        let going = self.tasks.run_blocking(move || pool.removal(&name)).await?;
        let written = self.forget(&instance).await;
        self.settle(vec![going], written).await?;
        let forgetting = self.tasks.run_blocking(move || runtime.remove_logs(&logs));
        if let Err(error) = forgetting.await {
            tracing::warn!(%error, instance.name = instance.name(), "its logs stay");
        }
        for snapshot in &snapshots {
            self.tell_snapshot("deleted", &instance, &snapshot.name, &[]);
        }
        self.tell_instance("instance-deleted", &instance, &[]);
        self.sweep_shared(&instance.row.pool).await;
        Ok(())
    }

    async fn forget(&self, instance: &Instance) -> Result<Transaction> {
        let mut transaction = self.db.write().await?;
        if !db::instances::delete(&mut transaction, instance.row.id).await? {
            return Err(query::not_found());
        }
        Ok(transaction)
    }

    /// Removes the unpacked trees of a pool that nobody uses and whose images are gone.
    pub(crate) async fn sweep_shared(&self, pool: &str) {
        if let Err(error) = self.try_sweep_shared(pool).await {
            tracing::warn!(%error, pool.name = pool, "unpacked images stay");
        }
    }

    async fn try_sweep_shared(&self, pool: &str) -> Result<()> {
        let pool = self.trees.pool(pool).await?;
        let known = db::blobs::list(&mut *self.db.read().await?).await?;
        let known: std::collections::BTreeSet<_> = known
            .into_iter()
            .map(|(fingerprint, _)| fingerprint.to_string())
            .collect();
        let swept = self.tasks.run_blocking(move || {
            pool.remove_unused_shared(&|key| known.contains(key.fingerprint.as_str()))
        });
        for key in swept.await? {
            tracing::info!(image.fingerprint = %key.fingerprint, "an unpacked image was removed");
        }
        Ok(())
    }

    /// Removes one snapshot of an instance whose lock is held.
    pub(super) async fn remove_snapshot(
        &self,
        instance: &Instance,
        snapshot: &snapshots::SnapshotRow,
    ) -> Result<()> {
        let (pool, name) = self.tree_at(instance, &snapshot.name).await?;
        let going = self.tasks.run_blocking(move || pool.removal(&name)).await?;
        let written = self.forget_snapshot(snapshot.id).await;
        self.settle(vec![going], written).await?;
        self.tell_snapshot("deleted", instance, &snapshot.name, &[]);
        Ok(())
    }

    async fn forget_snapshot(&self, id: i64) -> Result<Transaction> {
        let mut transaction = self.db.write().await?;
        if !snapshots::delete(&mut transaction, id).await? {
            return Err(query::not_found());
        }
        Ok(transaction)
    }
}
