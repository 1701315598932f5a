//! `/1.0/instances/NAME/metadata` and the templates below it.

use super::{Answer, Call, instances};
use crate::{
    api::{json, requests::ImageMetadata},
    error::{Error, Result},
    http::files::{self, Download},
    image::MetadataFile,
    instances::Instance,
};

/// The instance that a request is about.
///
/// # Errors
///
/// 400 for the name of a snapshot, 404 when there is none of this name.
async fn named(call: &Call) -> Result<Instance> {
    if call.segment(0).contains('/') {
        return Err(Error::bad_request("Invalid instance name"));
    }
    instances::named(call).await
}

/// GET: what `metadata.yaml` says.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    match instances.metadata(&instance, call.requestor()).await? {
        Some(file) => Answer::tagged(&file, &file),
        None => Answer::sync(&MetadataFile::default()),
    }
}

/// PUT: all of it anew.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let sent: ImageMetadata = call.json().await?;
    let (instances, requestor) = (&call.services.instances, call.requestor());
    let file = sent.into();
    instances
        .replace_metadata(&instance, file, requestor)
        .await?;
    Ok(Answer::done())
}

/// PATCH: what is named of it.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let body = call.bytes().await?;
    let instances = &call.services.instances;
    let change = |file: MetadataFile| {
        let mut merged = ImageMetadata::from(file);
        json::decode_into(&mut merged, &body)?;
        Ok(merged.into())
    };
    instances
        .patch_metadata(&instance, call.edit(), change)
        .await?;
    Ok(Answer::done())
}

/// GET: the names of the templates, or one of them.
pub(crate) async fn templates(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    let Some(name) = call.query("path").filter(|name| !name.is_empty()) else {
        return Answer::sync(&instances.templates(&instance).await?);
    };
    let file = instances.open_template(&instance, name, call.requestor());
    let download = Download::new(file.await?, name)?;
    let response = files::unified(download, call.method(), call.headers());
    Ok(Answer::Raw(response))
}

/// POST: a template, new or instead of another.
pub(crate) async fn write_template(mut call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let name = path(&call)?;
    let text = call.bytes().await?.to_vec();
    let (instances, requestor) = (&call.services.instances, call.requestor());
    let template = (name.as_str(), text);
    instances
        .write_template(&instance, template, requestor)
        .await?;
    Ok(Answer::done())
}

/// DELETE: one of the templates.
pub(crate) async fn delete_template(call: Call) -> Result<Answer> {
    let instance = named(&call).await?;
    let name = path(&call)?;
    let instances = &call.services.instances;
    instances
        .delete_template(&instance, &name, call.requestor())
        .await?;
    Ok(Answer::done())
}

/// The name of a template that has to be there.
fn path(call: &Call) -> Result<String> {
    let name = call.query("path").filter(|name| !name.is_empty());
    let missing = || Error::bad_request("missing path argument");
    name.map(str::to_owned).ok_or_else(missing)
}
