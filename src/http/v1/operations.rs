//! `/1.0/operations`.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, WebSocketUpgrade},
    response::IntoResponse,
};

use super::{Answer, Call};
use crate::{
    api::objects::OperationObject,
    error::{Error, Result},
    http::websocket,
    operations::{self, Class, Operation, happened, same_secret},
};

/// GET: operations by the lower-case name of their status.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let mut found = call.services.operations.of_project(call.project());
    found.retain(|operation| call.caller.may_see(operation.project()));
    let objects = found
        .iter()
        .map(|operation| shown(&call, operation, operation.object()));
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
    let operation = visible(&call)?;
    Answer::sync(&shown(&call, &operation, operation.object()))
}

/// The operation, if the caller may know of it.
fn visible(call: &Call) -> Result<Operation> {
    let found = call.services.operations.find(call.segment(0));
    let found = found.filter(|operation| call.caller.may_see(operation.project()));
    found.ok_or_else(|| Error::not_found("Operation not found"))
}

/// Its secrets are for whoever began it.
fn shown(call: &Call, operation: &Operation, object: OperationObject) -> OperationObject {
    if call.caller.is(operation.requestor()) {
        return object;
    }
    object.without_secrets()
}

/// DELETE: ends one that can be cancelled.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let operations = &call.services.operations;
    let operation = visible(&call)?;
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
    if secret.is_none() && !call.caller.is_trusted() {
        return Err(Error::not_authorized());
    }
    // LXD: the timeout is looked at before the operation.
    let (timeout, found) = match secret {
        Some(secret) => {
            let operation = with_secret(&call, secret)?;
            (operations::timeout(call.query("timeout"))?, Ok(operation))
        }
        None => (operations::timeout(call.query("timeout"))?, visible(&call)),
    };
    let operation = found?;
    let object = operation.wait(timeout).await;
    match secret {
        Some(_) => Answer::sync(&object),
        None => Answer::sync(&shown(&call, &operation, object)),
    }
}

/// The operation whose secret this is.
fn with_secret(call: &Call, secret: &str) -> Result<Operation> {
    let found = call.services.operations.find(call.segment(0));
    let known = |operation: &Operation| {
        let known = operation.metadata_text("secret");
        known.is_some_and(|known| same_secret(&known, secret))
    };
    found.filter(known).ok_or_else(Error::not_authorized)
}

/// GET: one of the channels of an operation that has some. The secret is all that is asked for.
pub(crate) async fn websocket(mut call: Call) -> Result<Answer> {
    let secret = call.query("secret").unwrap_or_default().to_owned();
    if !call.caller.is_trusted() && secret.is_empty() {
        return Err(Error::not_authorized());
    }
    let found = call.services.operations.find(call.segment(0));
    let Some(operation) = found.filter(|operation| may_enter(&call, operation)) else {
        return Err(unknown(&secret));
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &()).await;
    // LXD: what the operation has to say against it comes first.
    let Ok(upgrade) = upgrade else {
        operation.check(&secret)?;
        return Ok(Answer::Raw(super::events::not_a_websocket()));
    };
    let socket = operation.enter(&secret)?;
    let tasks = call.services.tasks.clone();
    let upgrade = upgrade.max_message_size(websocket::MAX_MESSAGE_BYTES);
    let upgrade = upgrade.max_frame_size(websocket::MAX_MESSAGE_BYTES);
    let response = upgrade.on_upgrade(move |client| websocket::serve(client, socket, tasks));
    Ok(Answer::Raw(response.into_response()))
}

/// Strangers learn nothing of operations whose secrets they do not know.
fn may_enter(call: &Call, operation: &Operation) -> bool {
    call.caller.may_see(operation.project()) || operation.class() == Class::Websocket
}

fn unknown(secret: &str) -> Error {
    if secret.is_empty() {
        return Error::bad_request("missing secret");
    }
    Error::not_found("Operation not found")
}
