//! What clients look at besides images: `/1.0/resources`, `/1.0/metrics`, `/1.0/warnings`.

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};

use super::{Answer, Call, nothing};
use crate::{
    access::Access,
    api::requests::WarningPut,
    error::{Error, Result},
    instances,
};

/// GET: what the machine has.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn resources(_call: Call) -> Result<Answer> {
    Answer::sync(&instances::resources()?)
}

/// GET: warnings; there are none.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn none(_call: Call) -> Result<Answer> {
    nothing()
}

/// GET: measurements of running instances, as `OpenMetrics`; there are none.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn metrics(call: Call) -> Result<Answer> {
    let settings = call.services.settings.current();
    let is_open = settings
        .get("core.metrics_authentication")
        .is_some_and(|text| text == "false");
    if !is_open {
        call.caller.check(Access::Metrics, call.project())?;
    }
    let mut response = Response::new(Body::from("# EOF\n"));
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Ok(Answer::Raw(response))
}

/// What can be done with one warning, of which there is none.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn warning(_call: Call) -> Result<Answer> {
    Err(Error::not_found("Warning not found"))
}

/// PUT and PATCH: a warning is noted, or is new again.
pub(crate) async fn note_warning(mut call: Call) -> Result<Answer> {
    let WarningPut { status } = call.json().await?;
    match status.as_str() {
        "new" | "acknowledged" => Err(Error::not_found("Warning not found")),
        "resolved" => {
            let text = "Status may only be set to \"acknowledge\" or \"new\"";
            Err(Error::forbidden(text))
        }
        // LXD: it says "type".
        _ => Err(Error::bad_request(format!(
            "Invalid warning type {status:?}"
        ))),
    }
}
