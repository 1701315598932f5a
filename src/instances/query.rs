//! What instances there are.

use std::collections::BTreeMap;

use super::{
    Instance, Instances,
    status::{self, Status},
};
use crate::{
    api::{objects, url::escape},
    db::{
        self, InstanceId, Session,
        snapshots::{self, SnapshotRow},
    },
    error::{Error, Result},
    image::ImageType,
};

impl Instances {
    /// A project's instance of this name.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    pub(crate) async fn find(&self, project: &str, name: &str) -> Result<Instance> {
        let mut session = self.db.read().await?;
        find(&mut session, project, name).await
    }

    /// An instance's snapshot of this name, with the instance.
    ///
    /// # Errors
    ///
    /// 404 when there is no such instance or snapshot.
    pub(crate) async fn find_snapshot(
        &self,
        project: &str,
        name: &str,
        snapshot: &str,
    ) -> Result<(Instance, SnapshotRow)> {
        let mut session = self.db.read().await?;
        find_snapshot(&mut session, project, name, snapshot).await
    }

    /// The instances of a project, or of all, by project and name: two queries, however many
    /// there are. A project that is not there has none.
    pub(crate) async fn list(&self, project: Option<&str>) -> Result<Vec<Instance>> {
        let mut session = self.db.read().await?;
        let (rows, mut profiles) = match project {
            Some(project) => (
                db::instances::list(&mut session, project).await?,
                db::instances::profiles(&mut session, project).await?,
            ),
            None => (
                db::instances::list_everywhere(&mut session).await?,
                db::instances::profiles_everywhere(&mut session).await?,
            ),
        };
        let instances = rows.into_iter().map(|row| {
            let profiles = profiles.remove(&row.id).unwrap_or_default();
            Instance::new(row, profiles)
        });
        Ok(instances.collect())
    }

    /// The snapshots of every instance, oldest first.
    pub(crate) async fn all_snapshots(&self) -> Result<BTreeMap<InstanceId, Vec<SnapshotRow>>> {
        let mut session = self.db.read().await?;
        snapshots::list_everywhere(&mut session).await
    }

    /// The snapshots of one instance, oldest first.
    pub(crate) async fn snapshots_of(&self, instance: &Instance) -> Result<Vec<SnapshotRow>> {
        let mut session = self.db.read().await?;
        snapshots::list(&mut session, instance.row.id).await
    }

    /// An instance as clients see it.
    pub(crate) fn render(&self, instance: &Instance) -> objects::Instance {
        render(instance, self.status(instance))
    }

    /// An instance with its state and snapshots as clients see it.
    pub(crate) async fn render_full(
        &self,
        instance: &Instance,
        snapshots: &[SnapshotRow],
    ) -> Result<objects::InstanceFull> {
        let snapshots: Vec<_> = snapshots
            .iter()
            .map(|snapshot| render_snapshot(instance, snapshot))
            .collect();
        Ok(objects::InstanceFull {
            instance: self.render(instance),
            backups: None,
            state: self.state(instance).await?,
            snapshots: (!snapshots.is_empty()).then_some(snapshots),
        })
    }
}

/// A project's instance of this name.
///
/// # Errors
///
/// 404 when there is none.
pub(super) async fn find(session: &mut Session, project: &str, name: &str) -> Result<Instance> {
    let row = db::instances::find(session, project, name).await?;
    let row = row.ok_or_else(not_found)?;
    let profiles = db::instances::profiles_of(session, row.id).await?;
    Ok(Instance::new(row, profiles))
}

/// An instance's snapshot of this name, with the instance.
pub(super) async fn find_snapshot(
    session: &mut Session,
    project: &str,
    name: &str,
    snapshot: &str,
) -> Result<(Instance, SnapshotRow)> {
    let instance = find(session, project, name).await?;
    let row = snapshots::find(session, instance.row.id, snapshot).await?;
    let row = row.ok_or_else(|| {
        Error::not_found(format!(
            "Failed to fetch snapshot {snapshot:?} of instance {name:?} in project {project:?}: \
             InstanceSnapshot not found"
        ))
    })?;
    Ok((instance, row))
}

/// LXD's answer for an instance that is not there.
pub(super) fn not_found() -> Error {
    Error::not_found("Instance not found")
}

/// `/1.0/KIND/NAME`, with the project, unless that is `default`.
pub(crate) fn url_of(kind: &str, project: &str, name: &str) -> String {
    let path = format!("/1.0/{kind}/{}", escape(name));
    with_project(path, project)
}

/// A path, with the project, unless that is `default`.
pub(crate) fn with_project(path: String, project: &str) -> String {
    match project {
        "default" => path,
        project => format!("{path}?project={}", escape(project)),
    }
}

/// The path of a snapshot, without its project.
pub(super) fn snapshot_path(instance: &Instance, snapshot: &str) -> String {
    let (name, snapshot) = (escape(instance.name()), escape(snapshot));
    format!("/1.0/instances/{name}/snapshots/{snapshot}")
}

/// What an operation on an instance is about.
pub(super) fn resources(instance: &Instance) -> objects::Resources {
    resources_named(instance, instance.name())
}

/// The same, with another name in the URLs.
// LXD: they do not name the project, and a virtual machine has none by its type.
pub(super) fn resources_named(instance: &Instance, name: &str) -> objects::Resources {
    let name = escape(name).replace("%2F", "/");
    let url = |kind: &str| vec![format!("/1.0/{kind}/{name}")];
    let mut resources = objects::Resources::from([("instances", url("instances"))]);
    if instance.is_container() {
        resources.insert("containers", url("containers"));
    }
    resources
}

/// What legacy paths call instances of this type.
pub(crate) fn collection(kind: ImageType) -> &'static str {
    match kind {
        ImageType::Container => "containers",
        ImageType::VirtualMachine => "virtual-machines",
    }
}

fn render(instance: &Instance, status: Status) -> objects::Instance {
    let profiles = instance.profile_names();
    let row = instance.row.clone();
    objects::Instance {
        architecture: row.architecture,
        config: row.config,
        devices: row.devices,
        ephemeral: row.ephemeral,
        profiles,
        stateful: false,
        description: row.description,
        created_at: row.created_at,
        expanded_config: instance.config.clone(),
        expanded_devices: instance.devices.clone(),
        name: row.name,
        status: status.name(),
        status_code: status.code(),
        last_used_at: row.last_used_at,
        location: "none",
        kind: row.kind.name(),
        project: row.project_name,
    }
}

/// A snapshot as clients see it.
pub(crate) fn render_snapshot(
    instance: &Instance,
    snapshot: &SnapshotRow,
) -> objects::InstanceSnapshot {
    let then = instance.at(snapshot);
    let profiles = then.profile_names();
    objects::InstanceSnapshot {
        expires_at: snapshot.expires_at.clone(),
        architecture: then.row.architecture,
        config: then.row.config,
        created_at: then.row.created_at,
        devices: then.row.devices,
        ephemeral: then.row.ephemeral,
        expanded_config: then.config,
        expanded_devices: then.devices,
        last_used_at: status::NEVER,
        name: snapshot.name.clone(),
        profiles,
        stateful: false,
        size: -1,
    }
}
