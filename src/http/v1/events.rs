//! `/1.0/events`.

use axum::{
    body::Body,
    extract::{FromRequestParts, WebSocketUpgrade},
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};

use super::{Answer, Call};
use crate::{
    error::{Error, Kind, Result},
    http::events::{Filter, serve},
    operations::EventKind,
};

/// The longest message that a listener may send; none is expected.
const MAX_INCOMING_BYTES: usize = 4096;

/// GET: a websocket that tells what happens.
pub(crate) async fn listen(mut call: Call) -> Result<Answer> {
    let filter = filter(&call).await?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &()).await;
    let Ok(upgrade) = upgrade else {
        return Ok(Answer::Raw(not_a_websocket()));
    };
    let tasks = call.services.tasks.clone();
    // Subscribed before the handshake is answered, so that nothing is missed after it.
    let listener = call.services.operations.events().subscribe();
    let upgrade = upgrade.max_message_size(MAX_INCOMING_BYTES);
    let response = upgrade.on_upgrade(move |socket| serve(socket, listener, filter, tasks));
    Ok(Answer::Raw(response.into_response()))
}

async fn filter(call: &Call) -> Result<Filter> {
    let all_projects = call.has_flag("all-projects");
    let project = call.query("project").filter(|name| !name.is_empty());
    if all_projects && project.is_some() {
        return Err(Error::failed(
            "Cannot specify a project when requesting all projects",
        ));
    }
    let kinds = kinds(call.query("type"))?;
    if all_projects {
        return Ok(Filter {
            kinds,
            project: None,
        });
    }
    // LXD: an unknown project is a 500 here.
    let found = call.services.projects.get(call.project()).await;
    let project = found.map_err(|error| error.with_kind(Kind::Failed))?;
    Ok(Filter {
        kinds,
        project: Some(project.name),
    })
}

fn kinds(types: Option<&str>) -> Result<Vec<EventKind>> {
    let all = [
        EventKind::Logging,
        EventKind::Operation,
        EventKind::Lifecycle,
    ];
    let Some(types) = types.filter(|types| !types.is_empty()) else {
        return Ok(all.to_vec());
    };
    let kind = |name: &str| {
        let unknown = || Error::failed(format!("{name:?} isn't a supported event type"));
        EventKind::from_name(name).ok_or_else(unknown)
    };
    types.split(',').map(kind).collect()
}

/// LXD's answer to a plain GET.
fn not_a_websocket() -> Response<Body> {
    let mut response = Response::new(Body::from("Bad Request\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    response
}
