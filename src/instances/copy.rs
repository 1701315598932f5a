//! `lxc copy`: an instance, or a snapshot of one, becomes a new instance.

use super::{
    Config, Instance, Instances, Status,
    create::note_fresh,
    draft::Draft,
    query::{find, find_snapshot},
};
use crate::{
    access::{Caller, Scope},
    api::requests::InstanceSource,
    db::{
        profiles::Devices,
        snapshots::{self, SnapshotRow},
    },
    error::{Context, Error, Result},
    pool::Pending,
};

/// What is copied.
#[derive(Debug)]
pub(super) struct Copied {
    /// The instance as it is.
    pub(super) instance: Instance,
    /// The instance as it was when the snapshot was made, if one is copied.
    pub(super) then: Instance,
    snapshot: Option<SnapshotRow>,
    /// Whether its snapshots come along.
    with_snapshots: bool,
    /// Whether a copy that is there is brought up to date.
    refresh: bool,
}

impl Copied {
    /// `NAME` or `NAME/SNAPSHOT`.
    pub(super) fn name(&self) -> String {
        let name = self.instance.name();
        match &self.snapshot {
            Some(snapshot) => format!("{name}/{}", snapshot.name),
            None => name.to_owned(),
        }
    }

    /// Lays the source's configuration and devices under what was asked for. What the daemon
    /// notes about one instance stays there.
    pub(super) fn inherit(&self, config: &mut Config, devices: &mut Devices) {
        for (key, value) in &self.then.row.config {
            let is_own = key.starts_with("volatile.") && key != "volatile.base_image";
            if !is_own && !config.contains_key(key) {
                config.insert(key.clone(), value.clone());
            }
        }
        for (name, device) in &self.then.row.devices {
            if !devices.contains_key(name) {
                devices.insert(name.clone(), device.clone());
            }
        }
    }
}

impl Instances {
    /// What a source names, in whichever project.
    ///
    /// # Errors
    ///
    /// LXD's text when there is none; 403 for the project of somebody else.
    pub(super) async fn copied(
        &self,
        scope: &Scope,
        source: &InstanceSource,
        caller: &Caller,
    ) -> Result<Copied> {
        if source.source.is_empty() {
            return Err(Error::bad_request("Must specify a source instance"));
        }
        let project = match source.project.as_str() {
            "" => scope.project.name.as_str(),
            project => project,
        };
        if !caller.may_use(project) {
            return Err(Error::not_authorized());
        }
        let mut session = self.db.read().await?;
        let (name, snapshot) = source
            .source
            .split_once('/')
            .map_or((source.source.as_str(), None), |(name, snapshot)| {
                (name, Some(snapshot))
            });
        let found = match snapshot {
            None => find(&mut session, project, name)
                .await
                .map(|found| (found, None)),
            Some(snapshot) => find_snapshot(&mut session, project, name, snapshot)
                .await
                .map(|(found, snapshot)| (found, Some(snapshot))),
        };
        let prefix = format_args!("Failed to fetch instance {name:?} in project {project:?}");
        let (instance, snapshot) = match (found, snapshot) {
            (Err(error), None) => return Err(error.context(prefix)),
            (found, _) => found?,
        };
        let then = snapshot
            .as_ref()
            .map_or_else(|| instance.clone(), |snapshot| instance.at(snapshot));
        Ok(Copied {
            with_snapshots: snapshot.is_none() && !source.instance_only && !source.container_only,
            refresh: source.refresh,
            instance,
            then,
            snapshot,
        })
    }

    /// Makes a copy, or brings one up to date. The new instance is held, and its source shared.
    pub(super) async fn create_copy(
        &self,
        scope: &Scope,
        mut draft: Draft,
        copied: &Copied,
    ) -> Result<()> {
        let project = &scope.project.name;
        let is_there = self.find(project, &draft.name).await;
        match is_there {
            Ok(target) if copied.refresh => return self.refresh(&target, copied).await,
            _ => {}
        }
        note_fresh(&mut draft.config, "copy");
        let instance = self.prepare(scope, draft).await?;
        let source = &copied.instance;
        let snapshots = self.snapshots_to_copy(copied).await?;
        let copying = self.copy_trees(copied, &instance, &snapshots);
        let made = self.while_still(source, copying).await?;
        self.record_copy(scope, instance, &snapshots, made).await
    }

    async fn snapshots_to_copy(&self, copied: &Copied) -> Result<Vec<SnapshotRow>> {
        if !copied.with_snapshots {
            return Ok(Vec::new());
        }
        let mut session = self.db.read().await?;
        snapshots::list(&mut session, copied.instance.row.id).await
    }

    /// Copies the tree, and those of the snapshots; all of them or none.
    async fn copy_trees(
        &self,
        copied: &Copied,
        target: &Instance,
        snapshots: &[SnapshotRow],
    ) -> Result<Vec<Pending>> {
        let (pool, source) = self.tree(&copied.instance).await?;
        let (target_pool, to) = self.tree(target).await?;
        let from = match &copied.snapshot {
            Some(snapshot) => source.snapshot(&snapshot.name)?,
            None => source.clone(),
        };
        let mut pairs = vec![(from, to.clone())];
        for snapshot in snapshots {
            pairs.push((
                source.snapshot(&snapshot.name)?,
                to.snapshot(&snapshot.name)?,
            ));
        }
        let copying = move || {
            let mut made = Vec::new();
            for (from, to) in &pairs {
                // Dropped, those made so far are taken back.
                made.push(target_pool.copy_from(&pool, from, to)?);
            }
            Ok(made)
        };
        self.tasks.run_blocking(copying).await
    }

    /// Makes a copy's files and snapshots those of its source again. Its configuration stays.
    async fn refresh(&self, target: &Instance, copied: &Copied) -> Result<()> {
        if self.status(target) != Status::Stopped {
            return Err(Error::failed("Cannot refresh a running instance"));
        }
        if target.row.id == copied.instance.row.id {
            return Err(Error::failed("Cannot refresh an instance from itself"));
        }
        let (is, wanted) = (target.row.kind, copied.instance.row.kind);
        if is != wanted {
            return Err(Error::failed(format!(
                "Source instance's type {:?} doesn't match instance type {:?}",
                wanted.name(),
                is.name()
            )));
        }
        let wanted = self.snapshots_to_copy(copied).await?;
        let (mut missing, mut stale) = (wanted.clone(), self.snapshots_of(target).await?);
        let is_same =
            |a: &SnapshotRow, b: &SnapshotRow| a.name == b.name && a.created_at == b.created_at;
        let known = stale.clone();
        missing.retain(|one| !known.iter().any(|other| is_same(one, other)));
        stale.retain(|one| copied.with_snapshots && !wanted.iter().any(|w| is_same(w, one)));
        for snapshot in &stale {
            self.remove_snapshot(target, snapshot).await?;
        }
        for snapshot in missing {
            self.refresh_snapshot(target, copied, snapshot).await?;
        }
        self.refresh_tree(target, copied)
            .await
            .context("Refresh instance")
    }

    async fn refresh_snapshot(
        &self,
        target: &Instance,
        copied: &Copied,
        snapshot: SnapshotRow,
    ) -> Result<()> {
        let (pool, from) = self.tree_at(&copied.instance, &snapshot.name).await?;
        let (target_pool, to) = self.tree_at(target, &snapshot.name).await?;
        let made = self
            .tasks
            .run_blocking(move || target_pool.copy_from(&pool, &from, &to))
            .await?;
        let name = snapshot.name.clone();
        let row = SnapshotRow {
            instance: target.row.id,
            ..snapshot
        };
        self.record_snapshot(made, &row).await?;
        self.tell_snapshot("created", target, &name, &[]);
        Ok(())
    }

    /// The source's files take the place of the copy's at once, by way of a snapshot that nobody
    /// sees.
    async fn refresh_tree(&self, target: &Instance, copied: &Copied) -> Result<()> {
        let (pool, source) = self.tree(&copied.instance).await?;
        let (target_pool, to) = self.tree(target).await?;
        let from = match &copied.snapshot {
            Some(snapshot) => source.snapshot(&snapshot.name)?,
            None => source,
        };
        let passing = to.snapshot(&format!(" refresh {}", uuid::Uuid::new_v4()))?;
        let refreshing = move || {
            let made: Pending = target_pool.copy_from(&pool, &from, &passing)?;
            target_pool.restore(&passing)?;
            made.take_back()
        };
        let refreshing = self.tasks.run_blocking(refreshing);
        self.while_still(&copied.instance, refreshing).await
    }
}
