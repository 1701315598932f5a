//! Snapshots whose time is over are deleted.

use std::time::Duration;

use super::{Instance, Instances, Snapshot};
use crate::{
    api::Timestamp,
    error::{Kind, Result},
    operations::Spec,
};

/// How often snapshots are looked at.
const EVERY: Duration = Duration::from_mins(1);

impl Instances {
    /// Deletes snapshots whose time is over, now and every minute, until the daemon ends.
    pub(crate) fn keep_expiring(&self) {
        let (this, stopping) = (self.clone(), self.tasks.stopping().clone());
        self.tasks.spawn("expired snapshots", async move {
            let mut ticks = tokio::time::interval(EVERY);
            while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
                if let Err(error) = this.expire_snapshots().await {
                    tracing::warn!(%error, "expired snapshots are left to the next time");
                }
            }
        });
    }

    /// Deletes the snapshots whose time is over, in an operation of its own if there are any.
    async fn expire_snapshots(&self) -> Result<()> {
        let over = self.expired_snapshots().await?;
        if over.is_empty() {
            return Ok(());
        }
        let spec = Spec {
            description: "Cleaning up expired instance snapshots",
            ..Spec::default()
        };
        let this = self.clone();
        let begun = self.operations.task(spec, move |_| async move {
            for (instance, snapshot) in &over {
                this.expire(instance, &snapshot.name).await?;
            }
            Ok(())
        });
        // One pass at a time.
        if let Some(operation) = self.operations.find(&begun.id) {
            operation.wait(None).await;
        }
        Ok(())
    }

    async fn expired_snapshots(&self) -> Result<Vec<(Instance, Snapshot)>> {
        let mut all = self.all_snapshots().await?;
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let mut over = Vec::new();
        for instance in self.list(None).await? {
            let own = all.remove(&instance.row.id).unwrap_or_default();
            let own = own.into_iter().filter(|snapshot| self.is_over(snapshot));
            over.extend(own.map(|snapshot| (instance.clone(), snapshot)));
        }
        Ok(over)
    }

    /// Whether a snapshot's time is over; the zero time and the epoch mean never.
    fn is_over(&self, snapshot: &Snapshot) -> bool {
        let now = Timestamp::from(self.clock.now());
        let end: Timestamp = snapshot.expires_at.parse().unwrap_or_default();
        end.as_unix() > 0 && end <= now
    }

    /// Deletes a snapshot, if it is still there and its time still over.
    async fn expire(&self, instance: &Instance, name: &str) -> Result<()> {
        let _held = self.hold(instance, "delete").await;
        let found = self.find_snapshot(instance.project(), instance.name(), name);
        match found.await {
            Ok((instance, snapshot)) if self.is_over(&snapshot) => {
                self.remove_snapshot(&instance, &snapshot).await?;
                self.sweep_shared(&instance.row.pool).await;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            Err(error) => Err(error.context("Failed to look for the snapshot")),
        }
    }
}
