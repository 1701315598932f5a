//! `/1.0/instances` and one instance.
//!
//! The same under `/1.0/containers` and `/1.0/virtual-machines`, where there are those of one
//! type only.

use super::{Answer, Call, nothing, passes};
use crate::{
    api::{
        filter::Filter,
        json::{self, Jmap},
        requests::{InstancePost, InstancePut, InstancesPost},
    },
    error::{Error, Kind, Result},
    image::ImageType,
    instances::{Change, Instance, collection, url_of},
};

/// The type that a legacy path is about.
pub(super) fn kind_of_path(call: &Call) -> Option<ImageType> {
    let collection_of_path = call.parts.uri.path().split('/').nth(2).unwrap_or_default();
    [ImageType::Container, ImageType::VirtualMachine]
        .into_iter()
        .find(|kind| collection(*kind) == collection_of_path)
}

/// The instance that a request is about.
///
/// # Errors
///
/// 404 when there is none of this name, or of the type that a legacy path names.
pub(super) async fn named(call: &Call) -> Result<Instance> {
    let instances = &call.services.instances;
    let found = instances.find(call.project(), call.segment(0)).await?;
    match kind_of_path(call) {
        Some(kind) if kind != found.row.kind => Err(Error::not_found("Instance not found")),
        _ => Ok(found),
    }
}

/// The type that a list is restricted to.
fn wanted_kind(call: &Call) -> Result<Option<ImageType>> {
    let text = call.query("instance-type").unwrap_or_default();
    let kind = ImageType::from_name(text);
    if kind.is_none() && !text.is_empty() {
        return Err(Error::failed("Invalid instance type"));
    }
    Ok(kind.or_else(|| kind_of_path(call)))
}

/// GET: the project's instances, or those of all projects.
// LXD: an unknown project has none.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let kind = wanted_kind(&call)?;
    let everywhere = call.has_flag("all-projects");
    if everywhere && call.query("project").is_some() {
        let text = "Cannot specify a project when requesting all projects";
        return Err(Error::bad_request(text));
    }
    let filter = Filter::parse(call.query("filter").unwrap_or_default())?;
    let project = (!everywhere).then_some(call.project());
    let mut found = call.services.instances.list(project).await?;
    found.retain(|instance| kind.is_none_or(|kind| kind == instance.row.kind));
    found.retain(|instance| call.caller.may_see(Some(instance.project())));
    match call.depth() {
        0 | 1 => plain(&call, &found, filter.as_ref()),
        _ => full(&call, &found, filter.as_ref()).await,
    }
}

/// URLs, or the objects without state and snapshots.
fn plain(call: &Call, found: &[Instance], filter: Option<&Filter>) -> Result<Answer> {
    let instances = &call.services.instances;
    let mut shown = Vec::new();
    let mut urls = Vec::new();
    for instance in found {
        let object = instances.render(instance);
        if passes(&object, filter)? {
            urls.push(url(call, instance));
            shown.push(object);
        }
    }
    if call.recursion() {
        return Answer::sync(&shown);
    }
    Answer::sync(&urls)
}

async fn full(call: &Call, found: &[Instance], filter: Option<&Filter>) -> Result<Answer> {
    let instances = &call.services.instances;
    let snapshots = instances.all_snapshots().await?;
    let mut shown = Vec::new();
    for instance in found {
        let own = snapshots
            .get(&instance.row.id)
            .map_or(&[][..], Vec::as_slice);
        let object = instances.render_full(instance, own).await?;
        if passes(&object, filter)? {
            shown.push(object);
        }
    }
    Answer::sync(&shown)
}

/// Its URL, in the words of the path that was asked.
fn url(call: &Call, instance: &Instance) -> String {
    let kind = kind_of_path(call).map_or("instances", collection);
    url_of(kind, instance.project(), instance.name())
}

/// GET: one instance, with state and snapshots when they are asked for.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    if !call.recursion() {
        let object = instances.render(&instance);
        return Answer::tagged(&object, &object.tagged());
    }
    let snapshots = instances.snapshots_of(&instance).await?;
    let object = instances.render_full(&instance, &snapshots).await?;
    Answer::tagged(&object, &object.instance.tagged())
}

/// POST: a new instance.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    if call.header("content-type") == "application/octet-stream" {
        let text = "Importing backups of instances is not implemented";
        return Err(Error::new(Kind::NotImplemented, text));
    }
    let body: InstancesPost = call.json().await?;
    if call
        .query("target")
        .is_some_and(|target| !target.is_empty())
    {
        return Err(Error::bad_request("Target only allowed when clustered"));
    }
    let kind = kind_of_path(&call);
    let instances = &call.services.instances;
    let operation = instances.create(call.project(), body, kind, &call.caller);
    Ok(Answer::operation(operation.await?))
}

/// PUT: everything that can be written, or back to a snapshot.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    check_tag(&call, &instance)?;
    let body: InstancePut = call.json().await?;
    let instances = &call.services.instances;
    if !body.restore.is_empty() {
        let (snapshot, is_stateful) = (body.restore, body.stateful);
        let operation = instances.restore(&instance, snapshot, is_stateful, call.requestor());
        return Ok(Answer::operation(operation));
    }
    let operation = instances.replace(&instance, body, call.edit()).await?;
    Ok(Answer::operation(operation))
}

/// PATCH: the keys that are named.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    check_tag(&call, &instance)?;
    let body = call.bytes().await?;
    let has: Jmap = json::decode(&body)?;
    let how = Change::Merge {
        description: has.contains("description"),
        ephemeral: has.contains("ephemeral"),
    };
    let patch: InstancePut = json::decode(&body)?;
    let instances = &call.services.instances;
    instances.patch(&instance, patch, how, call.edit()).await?;
    Ok(Answer::done())
}

fn check_tag(call: &Call, instance: &Instance) -> Result<()> {
    let object = call.services.instances.render(instance);
    call.edit().check(&object.tagged())
}

/// POST: another name, another project.
pub(crate) async fn relocate(mut call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let to: InstancePost = call.json().await?;
    let instances = &call.services.instances;
    let operation = instances.relocate(&instance, to, &call.caller).await?;
    Ok(Answer::operation(operation))
}

/// DELETE.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    let operation = instances.delete(&instance, call.requestor())?;
    Ok(Answer::operation(operation))
}

/// GET: backups, of which there are none.
pub(crate) async fn backups(call: Call) -> Result<Answer> {
    named(&call).await?;
    nothing()
}

/// Everything else that can be done with backups.
pub(crate) async fn no_backups(call: Call) -> Result<Answer> {
    named(&call).await?;
    let text = "Backups of instances are not implemented";
    Err(Error::new(Kind::NotImplemented, text))
}
