//! What an instance does: its state, commands in it, its console and its logs.

use axum::{body::Body, http::Response};
use http::{HeaderValue, header};

use super::{Answer, Call, instances::named};
use crate::{
    api::requests::{InstanceConsolePost, InstanceExecPost, InstanceStatePut, InstancesPut},
    error::Result,
    http::files::{self, Download},
    instances::Instances,
};

/// GET: what it is doing and uses.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    Answer::sync(&call.services.instances.state(&instance).await?)
}

/// PUT: start, stop, restart, freeze, unfreeze.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let body: InstanceStatePut = call.json().await?;
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    let operation = instances.change_state(&instance, body, call.requestor())?;
    Ok(Answer::operation(operation))
}

/// PUT of all instances: the same for each that it means anything to.
pub(crate) async fn put_all(mut call: Call) -> Result<Answer> {
    let InstancesPut { state } = call.json().await?;
    let (project, requestor) = (call.project(), call.requestor());
    let instances = &call.services.instances;
    let operation = instances.change_states(project, state.unwrap_or_default(), requestor);
    Ok(Answer::operation(operation.await?))
}

/// POST: a command.
pub(crate) async fn exec(mut call: Call) -> Result<Answer> {
    let body: InstanceExecPost = call.json().await?;
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    let operation = instances.exec(&instance, &body, call.requestor())?;
    Ok(Answer::operation(operation))
}

/// POST: a terminal on its console.
pub(crate) async fn console(mut call: Call) -> Result<Answer> {
    let body: InstanceConsolePost = call.json().await?;
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    let operation = instances.console(&instance, &body, call.requestor())?;
    Ok(Answer::operation(operation))
}

/// GET: what was written to its console.
pub(crate) async fn console_log(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let text = call.services.instances.console_log(&instance).await?;
    let mut response = Response::new(Body::from(text));
    let plain = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(Answer::Raw(response))
}

/// DELETE: forget it.
pub(crate) async fn clear_console_log(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    call.services.instances.clear_console_log(&instance).await?;
    Ok(Answer::done())
}

/// GET: the URLs of its logs.
pub(crate) async fn logs(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let logs = call.services.instances.logs(&instance).await?;
    let urls: Vec<_> = logs
        .iter()
        .map(|log| Instances::log_url(&instance, log))
        .collect();
    Answer::sync(&urls)
}

/// GET: one of its logs.
pub(crate) async fn log(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let name = call.segment(1);
    let file = call.services.instances.open_log(&instance, name).await?;
    let download = Download::new(file, name)?;
    Ok(Answer::Raw(files::unified(
        download,
        call.method(),
        call.headers(),
    )))
}

/// DELETE: the recorded output of a command goes.
pub(crate) async fn delete_log(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    instances.delete_log(&instance, call.segment(1)).await?;
    Ok(Answer::done())
}
