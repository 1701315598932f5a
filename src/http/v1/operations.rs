//! `/1.0/operations`.

use std::collections::BTreeMap;

use super::{Answer, Call};
use crate::{
    api::objects::OperationObject,
    error::{Error, Result},
    images::same_secret,
    operations::{self, Operation, happened},
};

/// GET: operations by the lower-case name of their status.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let found = call.services.operations.of_project(call.project());
    let objects = found.iter().map(Operation::object);
    if call.recursion() {
        return Answer::sync(&by_status(objects, |object| object));
    }
    Answer::sync(&by_status(objects, |object| {
        format!("/1.0/operations/{}", object.id)
    }))
}

fn by_status<T>(
    objects: impl Iterator<Item = OperationObject>,
    show: impl Fn(OperationObject) -> T,
) -> BTreeMap<String, Vec<T>> {
    let mut groups: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for object in objects {
        groups
            .entry(object.status.to_lowercase())
            .or_default()
            .push(show(object));
    }
    groups
}

/// GET: one operation.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn get(call: Call) -> Result<Answer> {
    Answer::sync(&call.services.operations.get(call.segment(0))?.object())
}

/// DELETE: ends one that can be cancelled.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let operations = &call.services.operations;
    let operation = operations.get(call.segment(0))?;
    operations.cancel(&operation)?;
    let path = format!("/1.0/operations/{}", operation.id());
    let project = operation.project().unwrap_or("default");
    let event = happened(
        "operation-cancelled",
        &path,
        project,
        Some(call.requestor()),
    );
    operations.events().lifecycle(operation.project(), &event);
    Ok(Answer::done())
}

/// GET: waits until one has ended. Who is not trusted needs the operation's secret.
pub(crate) async fn wait(call: Call) -> Result<Answer> {
    let secret = call.query("secret").filter(|secret| !secret.is_empty());
    let found = call.services.operations.find(call.segment(0));
    if let Some(secret) = secret {
        let known = found
            .as_ref()
            .and_then(|operation| operation.metadata_text("secret"));
        if !known.is_some_and(|known| same_secret(&known, secret)) {
            return Err(Error::not_authorized());
        }
    } else if !call.caller.is_trusted() {
        return Err(Error::not_authorized());
    }
    // LXD: the timeout is looked at before the operation.
    let timeout = operations::timeout(call.query("timeout"))?;
    let operation = found.ok_or_else(|| Error::not_found("Operation not found"))?;
    Answer::sync(&operation.wait(timeout).await)
}

/// GET: the data channel of an operation that has one. None of this daemon's has.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn websocket(call: Call) -> Result<Answer> {
    let has_secret = call
        .query("secret")
        .is_some_and(|secret| !secret.is_empty());
    if !call.caller.is_trusted() && !has_secret {
        return Err(Error::not_authorized());
    }
    match call.services.operations.find(call.segment(0)) {
        Some(_) if call.caller.is_trusted() => {
            Err(Error::failed("Only websocket operations can be connected"))
        }
        None if !has_secret => Err(Error::bad_request("missing secret")),
        _ => Err(Error::not_found("Operation not found")),
    }
}
