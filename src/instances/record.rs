//! A tree and its row come into being together.
//!
//! 1. The tree is made, under a marker ([`Pending`]); a crash leaves it to the next start.
//! 2. One transaction looks at everything again and writes the row; a failure takes the tree back.
//! 3. The commit decides; whatever ends the daemon now, the next start asks the database.
//! 4. The marker goes, and everybody is told.

use super::{Instance, Instances, draft};
use crate::{
    access::{Population, Scope, Subject},
    db::{
        self, Db, Session, Transaction,
        images::ImageRow,
        snapshots::{self, SnapshotRow},
    },
    error::{Context, Error, Result},
    pool::Pending,
};

impl Instances {
    /// Whether the project may have one more instance like this.
    pub(super) async fn check_limits(&self, scope: &Scope, new: &draft::Draft) -> Result<()> {
        let mut session = self.db.read().await?;
        let profiles = draft::named_profiles(&mut session, scope, &dedup(&new.profiles)).await?;
        let population = Population::of(&mut session, scope.project.clone()).await?;
        population.allow_creation(Subject {
            name: new.name.clone(),
            kind: new.kind,
            own_config: new.config.clone(),
            own_devices: new.devices.clone(),
            profiles,
        })
    }

    /// Writes the row of a new instance whose tree is there, and tells so.
    pub(super) async fn record(
        &self,
        scope: &Scope,
        instance: Instance,
        made: Pending,
        image: Option<&ImageRow>,
    ) -> Result<()> {
        let written = self.write_new(scope, &instance, &[], image).await;
        self.settle(vec![made], written).await?;
        self.tell_created(&instance);
        Ok(())
    }

    /// The same for a copy, which has snapshots.
    pub(super) async fn record_copy(
        &self,
        scope: &Scope,
        instance: Instance,
        snapshots: &[SnapshotRow],
        made: Vec<Pending>,
    ) -> Result<()> {
        let written = self.write_new(scope, &instance, snapshots, None).await;
        self.settle(made, written).await?;
        self.tell_created(&instance);
        for snapshot in snapshots {
            self.tell_snapshot("created", &instance, &snapshot.name, &[]);
        }
        Ok(())
    }

    async fn write_new(
        &self,
        scope: &Scope,
        instance: &Instance,
        snapshots: &[SnapshotRow],
        image: Option<&ImageRow>,
    ) -> Result<Transaction> {
        let mut transaction = self.db.write().await?;
        let inserted = insert(&mut transaction, scope, instance).await;
        let id = inserted.context("Failed creating instance record")?;
        for snapshot in snapshots {
            let row = SnapshotRow {
                instance: id,
                ..snapshot.clone()
            };
            snapshots::insert(&mut transaction, &row).await?;
        }
        if let Some(image) = image {
            let (now, of) = (self.now(), scope.images);
            db::images::set_last_used(&mut transaction, of, &image.fingerprint, &now).await?;
        }
        Ok(transaction)
    }

    /// Ends changes of trees as their rows do.
    pub(super) async fn settle(
        &self,
        mut changes: Vec<Pending>,
        written: Result<Transaction>,
    ) -> Result<()> {
        let transaction = match written {
            Ok(transaction) => transaction,
            Err(error) => {
                self.take_back(changes).await;
                return Err(error);
            }
        };
        for change in &mut changes {
            change.undecided();
        }
        Db::commit(transaction).await?;
        let finished = self
            .tasks
            .run_blocking(move || changes.into_iter().try_for_each(Pending::finish));
        if let Err(error) = finished.await {
            // The row counts; the next start finishes what is left.
            tracing::warn!(%error, "an instance's tree is left to the next start");
        }
        Ok(())
    }

    /// Undoes changes of trees whose rows were not written. What cannot be undone now is undone
    /// at the next start.
    pub(super) async fn take_back(&self, changes: Vec<Pending>) {
        let undone = self.tasks.run_blocking(move || {
            let undone: Vec<_> = changes.into_iter().map(Pending::take_back).collect();
            undone.into_iter().collect::<Result<()>>()
        });
        if let Err(error) = undone.await {
            tracing::warn!(%error, "an instance's tree is left to the next start");
        }
    }

    fn tell_created(&self, instance: &Instance) {
        let details = [
            ("type", instance.row.kind.name()),
            ("storage-pool", &instance.row.pool),
        ];
        self.tell_instance("instance-created", instance, &details);
    }
}

/// Adds a new instance, after another look at what may have changed since the first.
async fn insert(
    session: &mut Session,
    scope: &Scope,
    instance: &Instance,
) -> Result<db::InstanceId> {
    let project = scope.check(session).await?;
    let profiles = draft::named_profiles(session, scope, &instance.profile_names()).await?;
    let row = &instance.row;
    if db::pools::find(session, &row.pool).await?.is_none() {
        return Err(Error::not_found("Storage pool not found"));
    }
    let population = Population::of(session, project).await?;
    population.allow_creation(subject(instance))?;
    let inserted = db::instances::insert(session, row).await;
    let id = inserted.map_err(|error| match db::constraint(&error) {
        Some("instances.project_id, instances.name") => draft::already_exists(),
        _ => error,
    })?;
    let ids: Vec<_> = profiles.iter().map(|profile| profile.id).collect();
    db::instances::set_profiles(session, id, &ids).await?;
    Ok(id)
}

/// An instance as limits look at it.
pub(super) fn subject(instance: &Instance) -> Subject {
    Subject {
        name: instance.row.name.clone(),
        kind: instance.row.kind,
        own_config: instance.row.config.clone(),
        own_devices: instance.row.devices.clone(),
        profiles: instance.profiles.clone(),
    }
}

fn dedup(names: &[String]) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}
