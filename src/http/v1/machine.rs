//! What clients look at besides images: `/1.0/resources`, `/1.0/networks`, `/1.0/cluster`,
//! `/1.0/warnings`, and lists of what this server never has.

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};

use super::{Answer, Call, url};
use crate::{
    access::Access,
    api::objects::Cluster,
    error::{Context, Error, Kind, Result},
    instances,
};

/// GET: what the machine has.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn resources(_call: Call) -> Result<Answer> {
    Answer::sync(&instances::resources()?)
}

/// GET: the machine's interfaces.
pub(crate) async fn networks(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    let networks = instances::networks()?;
    if call.recursion() {
        return Answer::sync(&networks);
    }
    let urls: Vec<_> = networks
        .iter()
        .map(|network| url("networks", &network.name))
        .collect();
    Answer::sync(&urls)
}

/// GET: one of them.
pub(crate) async fn network(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    let network = instances::find_network(call.segment(0))?;
    let tagged = (
        &network.name,
        network.managed,
        network.kind,
        &network.description,
        &network.config,
    );
    Answer::tagged(&network, &tagged)
}

/// GET: access lists and zones; there are none.
pub(crate) async fn nothing_of_a_project(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    nothing()
}

/// The project is looked up although nothing depends on it.
async fn check_project(call: &Call) -> Result<()> {
    let found = call.services.projects.get(call.project()).await;
    found
        .map(drop)
        .context(format_args!("Failed to load project {:?}", call.project()))
}

/// GET: warnings and certificates; there are none.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn none(_call: Call) -> Result<Answer> {
    nothing()
}

fn nothing() -> Result<Answer> {
    Answer::sync(&[(); 0])
}

/// GET: this server is no cluster member.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn cluster(_call: Call) -> Result<Answer> {
    let cluster = Cluster {
        server_name: "",
        enabled: false,
        member_config: [],
    };
    Answer::tagged(&cluster, &cluster)
}

/// GET: members of a cluster that there is not.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn cluster_members(_call: Call) -> Result<Answer> {
    Err(Error::failed("Server is not clustered"))
}

/// GET: groups of a cluster that there is not.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn cluster_groups(_call: Call) -> Result<Answer> {
    Err(Error::bad_request("This server is not clustered"))
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

/// GET: one warning.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn warning(_call: Call) -> Result<Answer> {
    Err(Error::not_found("Warning not found"))
}

/// GET: instances; there are none.
// LXD: an unknown project has none either.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn instances(call: Call) -> Result<Answer> {
    let kind = call.query("instance-type").unwrap_or_default();
    if !matches!(kind, "" | "container" | "virtual-machine") {
        return Err(Error::failed("Invalid instance type"));
    }
    if call.has_flag("all-projects") && call.query("project").is_some() {
        let text = "Cannot specify a project when requesting all projects";
        return Err(Error::new(Kind::BadRequest, text));
    }
    crate::api::filter::Filter::parse(call.query("filter").unwrap_or_default())?;
    nothing()
}
