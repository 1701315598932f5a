//! `/1.0/events`.

use axum::{
    body::Body,
    extract::{FromRequestParts, WebSocketUpgrade},
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};

use super::{Answer, Call};
use crate::{
    access::Access,
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
    let kinds = kinds(call)?;
    let caller = call.caller.clone();
    if all_projects {
        return Ok(Filter {
            caller,
            kinds,
            project: None,
        });
    }
    call.caller.check(Access::Project, call.project())?;
    // LXD: an unknown project is a 500 here.
    let found = call.services.projects.get(call.project()).await;
    let project = found.map_err(|error| error.with_kind(Kind::Failed))?;
    Ok(Filter {
        caller,
        kinds,
        project: Some(project.name),
    })
}

/// The kinds that a caller asks for. The log is for those who may do everything.
fn kinds(call: &Call) -> Result<Vec<EventKind>> {
    let types = call.query("type");
    let all = [
        EventKind::Logging,
        EventKind::Operation,
        EventKind::Lifecycle,
    ];
    let is_admin = call.caller.is_admin();
    let Some(types) = types.filter(|types| !types.is_empty()) else {
        let all = all.into_iter();
        return Ok(all
            .filter(|kind| is_admin || *kind != EventKind::Logging)
            .collect());
    };
    let kind = |name: &str| {
        let unknown = || Error::failed(format!("{name:?} isn't a supported event type"));
        EventKind::from_name(name).ok_or_else(unknown)
    };
    let kinds: Vec<_> = types.split(',').map(kind).collect::<Result<_>>()?;
    if !is_admin && kinds.contains(&EventKind::Logging) {
        return Err(Error::failed("Forbidden"));
    }
    Ok(kinds)
}

/// LXD's answer to a plain GET.
pub(super) fn not_a_websocket() -> Response<Body> {
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
