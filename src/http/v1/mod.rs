//! The handlers of API version 1.0, one file for each resource.

pub(super) mod aliases;
pub(super) mod certificates;
pub(super) mod cluster;
pub(super) mod events;
pub(super) mod images;
pub(super) mod instance_files;
pub(super) mod instance_state;
pub(super) mod instances;
pub(super) mod machine;
pub(super) mod metadata;
pub(super) mod networks;
pub(super) mod operations;
pub(super) mod profiles;
pub(super) mod projects;
pub(super) mod server;
pub(super) mod snapshots;
pub(super) mod storage;
pub(super) mod tasks;
pub(super) mod upload;
pub(super) mod volumes;

use serde::Serialize;

use super::{answer::Answer, call::Call};
use crate::{
    api::{
        filter::Filter,
        url::{escape, query_pairs},
    },
    error::{Context, Error, Result},
};

/// `/1.0/KIND/NAME`, with the name as one segment.
fn url(kind: &str, name: &str) -> String {
    format!("/1.0/{kind}/{}", escape(name))
}

/// The same for something in a project, which URLs name unless it is `default`.
fn url_in(kind: &str, name: &str, project: &str) -> String {
    match project {
        "default" => url(kind, name),
        project => format!("{}?project={}", url(kind, name), escape(project)),
    }
}

/// The project is looked up although nothing depends on it.
async fn check_project(call: &Call) -> Result<()> {
    let found = call.services.projects.get(call.project()).await;
    found
        .map(drop)
        .context(format_args!("Failed to load project {:?}", call.project()))
}

/// An empty list.
fn nothing() -> Result<Answer> {
    Answer::sync(&[(); 0])
}

/// Whether an object passes a filter, which looks at it as clients do.
fn passes(object: &impl Serialize, filter: Option<&Filter>) -> Result<bool> {
    let Some(filter) = filter else {
        return Ok(true);
    };
    let seen = serde_json::to_value(object)
        .map_err(|error| Error::internal("Failed to write the answer", error))?;
    Ok(filter.passes(&seen))
}

/// Whether the caller may know of what a URL names, by the project in it.
fn may_see_url(call: &Call, url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query_pairs(query);
    let project = pairs.iter().find(|(key, _)| key == "project");
    let project = project.map_or("default", |(_, name)| name.as_str());
    call.caller.may_see(Some(project))
}
