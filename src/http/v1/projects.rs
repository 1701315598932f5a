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
    change(&call, new, ProjectChange::Replace).await
}

/// PATCH: the keys that are named.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let project = call.services.projects.get(call.segment(0)).await?;
    call.edit().check(&tagged(&project))?;
    let body = call.bytes().await?;
    let description = json::decode::<Jmap>(&body)?.contains("description");
    change(
        &call,
        json::decode(&body)?,
        ProjectChange::Merge { description },
    )
    .await
}

async fn change(call: &Call, new: ProjectPut, how: ProjectChange) -> Result<Answer> {
    call.services
        .projects
        .change(call.segment(0), new, how, call.edit())
        .await?;
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
