//! `/1.0/instances/NAME/snapshots`.

use super::{Answer, Call, instances::named};
use crate::{
    api::{
        json::{self, Jmap},
        requests::{InstanceSnapshotPost, InstanceSnapshotPut, InstanceSnapshotsPost},
        url::escape,
    },
    error::{Error, Kind, Result},
    instances::{Instance, Snapshot, render_snapshot, with_project},
};

/// GET: the instance's snapshots, oldest first.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let snapshots = call.services.instances.snapshots_of(&instance).await?;
    if call.recursion() {
        let shown = snapshots.iter().map(|row| render_snapshot(&instance, row));
        return Answer::sync(&shown.collect::<Vec<_>>());
    }
    let urls = snapshots.iter().map(|row| url(&instance, &row.name));
    Answer::sync(&urls.collect::<Vec<_>>())
}

fn url(instance: &Instance, snapshot: &str) -> String {
    let (name, snapshot) = (escape(instance.name()), escape(snapshot));
    let path = format!("/1.0/instances/{name}/snapshots/{snapshot}");
    with_project(path, instance.project())
}

/// POST: a new snapshot.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    let instances = call.services.instances.clone();
    instances.check_snapshots_allowed(call.project()).await?;
    let instance = named(&call).await?;
    let body: InstanceSnapshotsPost = call.json().await?;
    let operation = instances.create_snapshot(&instance, body, call.requestor());
    Ok(Answer::operation(operation.await?))
}

/// The snapshot that a request is about, with its instance.
async fn snapshot(call: &Call) -> Result<(Instance, Snapshot)> {
    let instance = named(call).await?;
    let (project, name) = (instance.project(), instance.name());
    let instances = &call.services.instances;
    instances
        .find_snapshot(project, name, call.segment(1))
        .await
}

/// GET: one snapshot.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let (instance, row) = snapshot(&call).await?;
    Answer::tagged(&render_snapshot(&instance, &row), &[&row.expires_at])
}

/// PUT: when it goes; a zero time means never.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let (instance, row) = snapshot(&call).await?;
    call.edit().check(&[&row.expires_at])?;
    let body: InstanceSnapshotPut = call.json().await?;
    let when = Some(body.expires_at);
    let instances = &call.services.instances;
    let operation = instances.change_snapshot(&instance, &row, when, call.requestor());
    Ok(Answer::operation(operation))
}

/// PATCH: the same, if the body says it.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let (instance, row) = snapshot(&call).await?;
    call.edit().check(&[&row.expires_at])?;
    let body = call.bytes().await?;
    let says = json::decode::<Jmap>(&body)?.contains("expires_at");
    let patch: InstanceSnapshotPut = json::decode(&body)?;
    let when = says.then_some(patch.expires_at);
    let instances = &call.services.instances;
    let operation = instances.change_snapshot(&instance, &row, when, call.requestor());
    Ok(Answer::operation(operation))
}

/// POST: another name.
pub(crate) async fn rename(mut call: Call) -> Result<Answer> {
    let (instance, row) = snapshot(&call).await?;
    let body: InstanceSnapshotPost = call.json().await?;
    if body.migration {
        let text = "Migration between servers is not implemented";
        return Err(Error::new(Kind::NotImplemented, text));
    }
    let instances = &call.services.instances;
    let operation = instances.rename_snapshot(&instance, &row, body.name, call.requestor());
    Ok(Answer::operation(operation.await?))
}

/// DELETE.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let (instance, row) = snapshot(&call).await?;
    let instances = &call.services.instances;
    let operation = instances.delete_snapshot(&instance, &row, call.requestor());
    Ok(Answer::operation(operation))
}
