//! `/1.0/projects`.

use super::{Answer, Call, url};
use crate::{
    access::{Access, ProjectChange},
    api::{
        json::{self, Jmap},
        objects::Project,
        requests::{ProjectPost, ProjectPut, ProjectsPost},
    },
    error::Result,
};

/// A change of this brings a look at what has expired.
const CACHE_EXPIRY: &str = "images.remote_cache_expiry";

/// GET: every project.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let mut projects = call.services.projects.list().await?;
    projects.retain(|project| call.caller.may_use(&project.name));
    if call.recursion() {
        return Answer::sync(&projects);
    }
    let urls: Vec<_> = projects
        .iter()
        .map(|project| url("projects", &project.name))
        .collect();
    Answer::sync(&urls)
}

/// POST: a new project.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    let ProjectsPost { name, put: new } = call.json().await?;
    call.services
        .projects
        .create(&name, new, call.requestor())
        .await?;
    Ok(Answer::Created(url("projects", &name)))
}

/// GET: one project.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    check(&call)?;
    let project = call.services.projects.get(call.segment(0)).await?;
    Answer::tagged(&project, &tagged(&project))
}

/// Only their own projects are there for restricted callers.
fn check(call: &Call) -> Result<()> {
    call.caller.check(Access::Project, call.segment(0))
}

/// PUT: the whole configuration.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let project = call.services.projects.get(call.segment(0)).await?;
    call.edit().check(&tagged(&project))?;
    let new = call.json().await?;
    change(&call, &project, (new, ProjectChange::Replace)).await
}

/// PATCH: the keys that are named.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let project = call.services.projects.get(call.segment(0)).await?;
    call.edit().check(&tagged(&project))?;
    let body = call.bytes().await?;
    let description = json::decode::<Jmap>(&body)?.contains("description");
    let change_to = (json::decode(&body)?, ProjectChange::Merge { description });
    change(&call, &project, change_to).await
}

async fn change(
    call: &Call,
    old: &Project,
    (new, how): (ProjectPut, ProjectChange),
) -> Result<Answer> {
    let (projects, name) = (&call.services.projects, call.segment(0));
    projects.change(name, new, how, call.edit()).await?;
    let is = projects.get(name).await?;
    if is.config.get(CACHE_EXPIRY) != old.config.get(CACHE_EXPIRY) {
        call.services.jobs.nudge("expiry");
    }
    Ok(Answer::done())
}

/// POST: another name.
pub(crate) async fn rename(mut call: Call) -> Result<Answer> {
    let ProjectPost { name } = call.json().await?;
    let operation = call
        .services
        .projects
        .rename(call.segment(0), name, call.requestor())?;
    Ok(Answer::operation(operation))
}

/// DELETE.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let (services, name, requestor) = (&call.services, call.segment(0), call.requestor());
    if services.projects.may_be_removed(name).await? {
        services.images.forget_cached(name, &requestor).await?;
    }
    services.projects.delete(name, requestor).await?;
    Ok(Answer::done())
}

/// GET: what it uses.
pub(crate) async fn state(call: Call) -> Result<Answer> {
    check(&call)?;
    Answer::sync(&call.services.projects.state(call.segment(0)).await?)
}

fn tagged(project: &Project) -> impl serde::Serialize + '_ {
    (&project.description, &project.config)
}
