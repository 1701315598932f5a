//! `/1.0/storage-pools/POOL/volumes`: pools of this server hold instances and images, no volumes
//! of their own.

use super::{Answer, Call, check_project, nothing};
use crate::{
    api::{filter::Filter, requests::StorageVolumesPost},
    error::{Error, Kind, Result},
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
    check(&call).await?;
    Filter::parse(call.query("filter").unwrap_or_default())?;
    nothing()
}

/// GET: those of one kind.
pub(crate) async fn list_kind(call: Call) -> Result<Answer> {
    check_kind(call.segment(1))?;
    list(call).await
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

/// What can be done with one volume.
pub(crate) async fn volume(call: Call) -> Result<Answer> {
    check_kind(call.segment(1))?;
    check(&call).await?;
    Err(Error::not_found("Storage pool volume not found"))
}
