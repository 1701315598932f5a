//! `/1.0/images/aliases`.

use super::{Answer, Call, url, url_in};
use crate::{
    api::{
        json::Jmap,
        objects::Alias,
        requests::{ImageAliasesEntryPost, ImageAliasesEntryPut, ImageAliasesPost},
    },
    error::{Error, Kind, Result},
    images::{AliasPatch, Visibility},
};

/// GET: the project's aliases.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let aliases = images.aliases(&scope).await?;
    if call.recursion() {
        return Answer::sync(&aliases);
    }
    let urls: Vec<_> = aliases
        .iter()
        .map(|alias| url("images/aliases", &alias.name))
        .collect();
    Answer::sync(&urls)
}

/// POST: a new alias.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    let services = std::sync::Arc::clone(&call.services);
    let scope = services.images.scope(call.project()).await?;
    let new: ImageAliasesPost = call.json().await?;
    let ImageAliasesPost {
        name,
        target,
        description,
        ..
    } = new;
    let location = url_in("images/aliases", &name, call.project());
    let alias = Alias {
        description,
        target,
        name,
        kind: String::new(),
    };
    services
        .images
        .create_alias(&scope, alias, call.requestor())
        .await?;
    Ok(Answer::Created(location))
}

/// GET: one alias.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await;
    let scope = scope.map_err(|error| match error.kind() {
        // Nor may everybody know which projects there are.
        Kind::NotFound if !call.may_use_project() => Error::not_found("Image alias not found"),
        _ => error,
    })?;
    let sees = Visibility::of(&call.caller, call.project());
    let alias = images.alias(&scope, sees, call.segment(0)).await?;
    Answer::tagged(&alias, &alias)
}

/// PUT: another target and description.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let services = std::sync::Arc::clone(&call.services);
    let scope = services.images.scope(call.project()).await?;
    let name = call.segment(0).to_owned();
    let alias = services
        .images
        .alias(&scope, Visibility::All, &name)
        .await?;
    call.edit().check(&alias)?;
    let new: ImageAliasesEntryPut = call.json().await?;
    if new.target.is_empty() {
        return Err(Error::bad_request("The target field is required"));
    }
    let patch = AliasPatch {
        description: Some(new.description),
        target: Some(new.target),
    };
    change(&call, &scope, &name, patch).await
}

/// PATCH: the fields that are named.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let services = std::sync::Arc::clone(&call.services);
    let scope = services.images.scope(call.project()).await?;
    let name = call.segment(0).to_owned();
    let alias = services
        .images
        .alias(&scope, Visibility::All, &name)
        .await?;
    call.edit().check(&alias)?;
    let fields = call.json::<Jmap>().await?;
    let text = |key| fields.find(key).map(|_| fields.get_string(key)).transpose();
    let patch = AliasPatch {
        description: text("description")?.map(str::to_owned),
        target: text("target")?.map(str::to_owned),
    };
    change(&call, &scope, &name, patch).await
}

async fn change(
    call: &Call,
    scope: &crate::access::Scope,
    name: &str,
    patch: AliasPatch,
) -> Result<Answer> {
    let images = &call.services.images;
    images.change_alias(scope, name, patch, call.edit()).await?;
    Ok(Answer::done())
}

/// POST: another name.
pub(crate) async fn rename(mut call: Call) -> Result<Answer> {
    let services = std::sync::Arc::clone(&call.services);
    let scope = services.images.scope(call.project()).await?;
    let new: ImageAliasesEntryPost = call.json().await?;
    let requestor = call.requestor();
    services
        .images
        .rename_alias(&scope, call.segment(0), &new.name, requestor)
        .await?;
    Ok(Answer::Created(url_in(
        "images/aliases",
        &new.name,
        call.project(),
    )))
}

/// DELETE.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    images
        .delete_alias(&scope, call.segment(0), call.requestor())
        .await?;
    Ok(Answer::done())
}
