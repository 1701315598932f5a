//! `/1.0/profiles`.

use super::{Answer, Call, may_see_url, url_in};
use crate::{
    access::Scope,
    api::{
        json::{self, Jmap},
        objects::Profile,
        requests::{ProfilePost, ProfilePut, ProfilesPost},
    },
    error::Result,
};

/// GET: the project's profiles.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let profiles = &call.services.profiles;
    let scope = profiles.scope(call.project()).await?;
    let mut found = profiles.list(&scope).await?;
    for profile in &mut found {
        confine(&call, profile);
    }
    if call.recursion() {
        return Answer::sync(&found);
    }
    let project = scope.project.name.as_str();
    let urls: Vec<_> = found
        .iter()
        .map(|p| url_in("profiles", &p.name, project))
        .collect();
    Answer::sync(&urls)
}

/// POST: a new profile.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    let scope = call.services.profiles.scope(call.project()).await?;
    let ProfilesPost { name, put: new } = call.json().await?;
    call.services
        .profiles
        .create(&scope, &name, new, call.requestor())
        .await?;
    Ok(Answer::Created(url_in("profiles", &name, call.project())))
}

/// GET: one profile.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let scope = call.services.profiles.scope(call.project()).await?;
    let mut profile = call.services.profiles.get(&scope, call.segment(0)).await?;
    confine(&call, &mut profile);
    Answer::tagged(&profile, &tagged(&profile))
}

/// Callers do not read what others make of a profile that they share.
fn confine(call: &Call, profile: &mut Profile) {
    profile.used_by.retain(|url| may_see_url(call, url));
}

/// PUT: everything but the name.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let scope = checked_scope(&call, "profile ").await?;
    let new: ProfilePut = call.json().await?;
    call.services
        .profiles
        .replace(&scope, call.segment(0), new, call.edit())
        .await?;
    Ok(Answer::done())
}

/// PATCH: the keys that are named.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let scope = checked_scope(&call, "profile=").await?;
    let body = call.bytes().await?;
    let has_description = json::decode::<Jmap>(&body)?.contains("description");
    let patch: ProfilePut = json::decode(&body)?;
    let (name, edit) = (call.segment(0), call.edit());
    call.services
        .profiles
        .merge(&scope, name, patch, has_description, edit)
        .await?;
    Ok(Answer::done())
}

/// The project of a change, once the profile was found to be as the client last saw it.
async fn checked_scope(call: &Call, wording: &str) -> Result<Scope> {
    let (profiles, name) = (&call.services.profiles, call.segment(0));
    let scope = profiles.scope(call.project()).await?;
    let profile = profiles.get_for_change(&scope, name, wording).await?;
    call.edit().check(&tagged(&profile))?;
    Ok(scope)
}

/// POST: another name.
pub(crate) async fn rename(mut call: Call) -> Result<Answer> {
    let scope = call.services.profiles.scope(call.project()).await?;
    let ProfilePost { name } = call.json().await?;
    call.services
        .profiles
        .rename(&scope, call.segment(0), &name, call.requestor())
        .await?;
    Ok(Answer::Created(url_in("profiles", &name, call.project())))
}

/// DELETE.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let scope = call.services.profiles.scope(call.project()).await?;
    call.services
        .profiles
        .delete(&scope, call.segment(0), call.requestor())
        .await?;
    Ok(Answer::done())
}

fn tagged(profile: &Profile) -> impl serde::Serialize + '_ {
    (&profile.config, &profile.description, &profile.devices)
}
