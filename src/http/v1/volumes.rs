//! `/1.0/storage-pools/POOL/volumes`: those of instances. Pools of this server hold no volumes of
//! their own.

use super::{Answer, Call, check_project, passes};
use crate::{
    api::{filter::Filter, objects::StorageVolume, requests::StorageVolumesPost},
    error::{Error, Kind, Result},
    instances::volume_url,
};

/// What volumes are for.
const KINDS: [&str; 4] = ["container", "virtual-machine", "image", "custom"];

/// The pool is looked for before the project.
async fn check(call: &Call) -> Result<()> {
    call.services.pools.get(call.segment(0)).await?;
    check_project(call).await
}

fn check_kind(kind: &str) -> Result<()> {
    if KINDS.contains(&kind) {
        return Ok(());
    }
    Err(Error::bad_request("Invalid storage volume type name"))
}

/// GET: the pool's volumes.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    listed(&call, None).await
}

/// GET: those of one kind.
pub(crate) async fn list_kind(call: Call) -> Result<Answer> {
    check_kind(call.segment(1))?;
    listed(&call, Some(call.segment(1))).await
}

async fn listed(call: &Call, kind: Option<&str>) -> Result<Answer> {
    check(call).await?;
    let filter = Filter::parse(call.query("filter").unwrap_or_default())?;
    let everywhere = call.has_flag("all-projects");
    let (pool, project) = (call.segment(0), (!everywhere).then_some(call.project()));
    let mut volumes = call.services.instances.volumes(pool, project).await?;
    volumes.retain(|volume| kind.is_none_or(|kind| kind == volume.kind));
    volumes.retain(|volume| call.caller.may_see(Some(&volume.project)));
    let mut shown: Vec<StorageVolume> = Vec::new();
    for volume in volumes {
        if passes(&volume, filter.as_ref())? {
            shown.push(volume);
        }
    }
    if call.recursion() {
        return Answer::sync(&shown);
    }
    let urls = shown.iter().map(|volume| volume_url(pool, volume));
    Answer::sync(&urls.collect::<Vec<_>>())
}

/// POST: a new volume.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    check(&call).await?;
    let StorageVolumesPost { name, kind } = call.json().await?;
    let kind = match call.segment(1) {
        "" => kind.as_str(),
        kind => kind,
    };
    if name.is_empty() {
        return Err(Error::bad_request("No name provided"));
    }
    if kind.is_empty() {
        let text = "You must provide a storage volume type of the storage volume";
        return Err(Error::bad_request(text));
    }
    check_kind(kind)?;
    if kind != "custom" {
        let text = format!("Currently not allowed to create storage volumes of type {kind:?}");
        return Err(Error::bad_request(text));
    }
    let text = "This server keeps images, not custom volumes";
    Err(Error::new(Kind::NotImplemented, text))
}

async fn one(call: &Call) -> Result<StorageVolume> {
    check_kind(call.segment(1))?;
    check(call).await?;
    let named = (call.segment(1), call.segment(2));
    let instances = &call.services.instances;
    instances
        .volume(call.segment(0), call.project(), named)
        .await
}

/// GET: one volume.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let volume = one(&call).await?;
    Answer::tagged(&volume, &volume.tagged())
}

/// PUT and PATCH: what instances are on is not changed here.
pub(crate) async fn change(call: Call) -> Result<Answer> {
    let volume = one(&call).await?;
    call.edit().check(&volume.tagged())?;
    let text = "Volumes of instances are changed through their instances";
    Err(Error::new(Kind::NotImplemented, text))
}

/// POST: another name, which volumes of instances get with their instances.
pub(crate) async fn rename(call: Call) -> Result<Answer> {
    check_kind(call.segment(1))?;
    check(&call).await?;
    let kind = call.segment(1);
    if kind == "custom" {
        return Err(Error::not_found("Storage pool volume not found"));
    }
    let text = format!("Renaming storage volumes of type {kind:?} is not allowed");
    Err(Error::bad_request(text))
}

/// DELETE: volumes of instances go with their instances.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let volume = one(&call).await?;
    let kind = volume.kind;
    let text = format!("Storage volumes of type {kind:?} cannot be deleted with the storage API");
    Err(Error::bad_request(text))
}
