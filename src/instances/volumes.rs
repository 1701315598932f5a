//! Storage volumes: every instance and every snapshot is one.

use std::collections::BTreeMap;

use super::{Instance, Instances, query};
use crate::{
    api::{objects::StorageVolume, url::escape},
    error::{Error, Result},
    image::ImageType,
};

impl Instances {
    /// The volumes of a pool, of one project or of all, by project and name.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub(crate) async fn volumes(
        &self,
        pool: &str,
        project: Option<&str>,
    ) -> Result<Vec<StorageVolume>> {
        let snapshots = self.all_snapshots().await?;
        let mut volumes = Vec::new();
        for instance in self.list(project).await? {
            if instance.row.pool != pool {
                continue;
            }
            volumes.push(volume(&instance, None));
            for snapshot in snapshots.get(&instance.row.id).into_iter().flatten() {
                volumes.push(volume(&instance, Some(&snapshot.name)));
            }
        }
        Ok(volumes)
    }

    /// The volume of an instance, by its type and the instance's name.
    ///
    /// # Errors
    ///
    /// 404 with LXD's text when there is none.
    pub(crate) async fn volume(
        &self,
        pool: &str,
        project: &str,
        (kind, name): (&str, &str),
    ) -> Result<StorageVolume> {
        let missing = || Error::not_found("Storage pool volume not found");
        let instance = self.find(project, name).await.map_err(|_error| missing())?;
        if instance.row.pool != pool || instance.row.kind.name() != kind {
            return Err(missing());
        }
        Ok(volume(&instance, None))
    }
}

fn volume(instance: &Instance, snapshot: Option<&str>) -> StorageVolume {
    let name = instance.name();
    let used_by = match snapshot {
        None => query::url_of("instances", instance.project(), name),
        Some(snapshot) => {
            query::with_project(query::snapshot_path(instance, snapshot), instance.project())
        }
    };
    StorageVolume {
        config: BTreeMap::new(),
        description: String::new(),
        name: match snapshot {
            None => name.to_owned(),
            Some(snapshot) => format!("{name}/{snapshot}"),
        },
        kind: instance.row.kind.name(),
        used_by: vec![used_by],
        location: "none",
        content_type: match instance.row.kind {
            ImageType::Container => "filesystem",
            ImageType::VirtualMachine => "block",
        },
        project: instance.project().to_owned(),
        created_at: super::status::NEVER,
    }
}

/// The URL of a volume in a pool.
pub(crate) fn volume_url(pool: &str, volume: &StorageVolume) -> String {
    let (name, snapshot) = volume
        .name
        .split_once('/')
        .map_or((volume.name.as_str(), None), |(name, snapshot)| {
            (name, Some(snapshot))
        });
    let (pool, kind) = (escape(pool), volume.kind);
    let mut path = format!("/1.0/storage-pools/{pool}/volumes/{kind}/{}", escape(name));
    if let Some(snapshot) = snapshot {
        path = format!("{path}/snapshots/{}", escape(snapshot));
    }
    query::with_project(path, &volume.project)
}
