//! What is done for instances again and again: snapshots whose time is over go, and unpacked images
//! that nobody uses.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use super::{Instance, Instances};
use crate::{
    api::{Timestamp, objects::Metadata},
    db::{InstanceId, pools, snapshots::SnapshotRow},
    error::{Error, Kind, Result},
    operations::Operation,
};

/// How long it is until the next look when no snapshot expires.
const NOTHING_EXPIRES: Duration = Duration::from_hours(24);

impl Instances {
    /// Removes the snapshots that are past their expiry date.
    ///
    /// # Errors
    ///
    /// When some could not be removed; the others are all the same.
    pub(crate) async fn expire_snapshots(&self, operation: Operation) -> Result<()> {
        operation.allow_cancel();
        // A wrong clock must not take them all.
        if let Some(waiting) = self.images.waits_for_clock().await? {
            let told = [("waiting".to_owned(), waiting.into())];
            operation.set_metadata(Metadata::from_iter(told));
            return Ok(());
        }
        let (mut removed, mut failures) = (0, Vec::new());
        for (instance, snapshots) in self.with_expired().await? {
            for snapshot in snapshots {
                if operation.is_cancelled() || self.tasks.stopping().is_cancelled() {
                    break;
                }
                match self.expire_snapshot(&instance, &snapshot).await {
                    Ok(()) => removed += 1,
                    Err(error) if error.kind() == Kind::NotFound => {}
                    Err(error) => {
                        let name = format!("{}/{snapshot}", instance.name());
                        tracing::warn!(%error, name, "an expired snapshot cannot be removed");
                        failures.push(format!("{name}: {error}"));
                    }
                }
            }
        }
        let told = [("removed".to_owned(), removed.into())];
        operation.set_metadata(Metadata::from_iter(told));
        if failures.is_empty() {
            return Ok(());
        }
        Err(Error::failed(failures.join("; ")))
    }

    /// How long it is until a snapshot is past its expiry date.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(crate) async fn until_snapshots_expire(&self) -> Result<Duration> {
        let snapshots = self.all_snapshots().await?;
        let ends = snapshots.values().flatten().filter_map(end);
        let Some(first) = ends.min() else {
            return Ok(NOTHING_EXPIRES);
        };
        let until = OffsetDateTime::from(first) - self.clock.now();
        Ok(Duration::try_from(until)
            .unwrap_or_default()
            .min(NOTHING_EXPIRES))
    }

    /// The instances that have expired snapshots, with the names of those.
    async fn with_expired(&self) -> Result<Vec<(Instance, Vec<String>)>> {
        let now = Timestamp::from(self.clock.now());
        let mut expired: BTreeMap<InstanceId, Vec<String>> = BTreeMap::new();
        for (instance, snapshots) in self.all_snapshots().await? {
            let late = snapshots.into_iter().filter(|row| is_over(row, now));
            let names: Vec<_> = late.map(|row| row.name).collect();
            if !names.is_empty() {
                expired.insert(instance, names);
            }
        }
        if expired.is_empty() {
            return Ok(Vec::new());
        }
        let instances = self.list(None).await?.into_iter();
        let with = instances.filter_map(|instance| {
            let names = expired.remove(&instance.row.id)?;
            Some((instance, names))
        });
        Ok(with.collect())
    }

    /// Removes a snapshot, if its time is over still.
    async fn expire_snapshot(&self, instance: &Instance, name: &str) -> Result<()> {
        let _held = self.hold(instance, "snapshot").await;
        let (project, of) = (instance.project(), instance.name());
        let (instance, snapshot) = self.find_snapshot(project, of, name).await?;
        if is_over(&snapshot, self.clock.now().into()) {
            self.remove_snapshot(&instance, &snapshot).await?;
        }
        Ok(())
    }

    /// Removes the unpacked images of every pool that nobody uses and whose images are gone.
    ///
    /// # Errors
    ///
    /// When the pools cannot be listed.
    pub(crate) async fn sweep_trees(&self, operation: Operation) -> Result<()> {
        operation.allow_cancel();
        for pool in pools::list(&mut *self.db.read().await?).await? {
            if operation.is_cancelled() || self.tasks.stopping().is_cancelled() {
                break;
            }
            self.sweep_shared(&pool.name).await;
        }
        Ok(())
    }
}

/// When a snapshot's time is over, if it ever is.
fn end(snapshot: &SnapshotRow) -> Option<Timestamp> {
    let when: Timestamp = snapshot.expires_at.parse().ok()?;
    (!when.is_zero() && when.as_unix() > 0).then_some(when)
}

fn is_over(snapshot: &SnapshotRow, now: Timestamp) -> bool {
    end(snapshot).is_some_and(|end| end <= now)
}
