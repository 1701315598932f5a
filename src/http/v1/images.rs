//! `/1.0/images` and one image.

use super::{Answer, Call};
use crate::{
    access::Scope,
    api::{
        filter::Filter,
        json::{self, Jmap},
        objects::Image,
        requests::ImagePut,
    },
    error::{Error, Result},
    http::files::{self, Download},
    images::{Exported, ExportedPart, ImagePatch, Visibility},
};

/// GET: the project's images, as far as the caller may see them.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let sees = Visibility::of(&call.caller);
    if let Some(filter) = Filter::parse(call.query("filter").unwrap_or_default())? {
        let passing = passing(images.list(&scope, sees).await?, &filter)?;
        return if call.recursion() {
            Answer::sync(&passing)
        } else {
            Answer::sync(&urls(&passing))
        };
    }
    if call.recursion() {
        return Answer::sync(&images.list(&scope, sees).await?);
    }
    let urls: Vec<_> = images
        .fingerprints(&scope, sees)
        .await?
        .into_iter()
        .map(|fingerprint| format!("/1.0/images/{fingerprint}"))
        .collect();
    Answer::sync(&urls)
}

/// The images that pass a filter, which looks at them as clients do.
fn passing(images: Vec<Image>, filter: &Filter) -> Result<Vec<serde_json::Value>> {
    let values = images.into_iter().map(serde_json::to_value);
    let mut passing = Vec::new();
    for value in values {
        let value = value.map_err(|error| Error::internal("Failed to read the image", error))?;
        if filter.passes(&value) {
            passing.push(value);
        }
    }
    Ok(passing)
}

fn urls(images: &[serde_json::Value]) -> Vec<String> {
    let fingerprints = images
        .iter()
        .filter_map(|image| image.get("fingerprint")?.as_str());
    fingerprints
        .map(|fingerprint| format!("/1.0/images/{fingerprint}"))
        .collect()
}

/// GET: one image.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let sees = Visibility::of(&call.caller);
    let secret = call.query("secret");
    let row = images
        .find_with_secret(&scope, sees, call.segment(0), secret)
        .await?;
    let image = images.render(&scope, row).await?;
    Answer::tagged(&image, &image.tagged()?)
}

/// PUT: everything that can be written.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let (scope, image) = for_change(&call).await?;
    let new: ImagePut = call.json().await?;
    let edit = call.edit();
    call.services
        .images
        .replace(&scope, &image.fingerprint, new, edit)
        .await?;
    Ok(Answer::done())
}

/// PATCH: the fields that are named.
pub(crate) async fn patch(mut call: Call) -> Result<Answer> {
    let (scope, image) = for_change(&call).await?;
    let body = call.bytes().await?;
    // LXD: whether a field is there is asked of its exact name, its value of any capitals.
    let (present, new) = (
        json::decode::<Jmap>(&body)?,
        json::decode::<ImagePut>(&body)?,
    );
    let patch = ImagePatch {
        auto_update: present.contains("auto_update").then_some(new.auto_update),
        public: present.contains("public").then_some(new.public),
        properties: new.properties.filter(|_| present.contains("properties")),
    };
    let edit = call.edit();
    call.services
        .images
        .patch(&scope, &image.fingerprint, patch, edit)
        .await?;
    Ok(Answer::done())
}

/// The image that is to be changed, found to be as the client last saw it.
async fn for_change(call: &Call) -> Result<(Scope, Image)> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let row = images
        .find_row(&scope, Visibility::All, call.segment(0))
        .await?;
    let image = images.render(&scope, row).await?;
    call.edit().check(&image.tagged()?)?;
    Ok((scope, image))
}

/// DELETE.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let operation = images
        .delete(scope, call.segment(0), call.requestor())
        .await?;
    Ok(Answer::operation(operation))
}

/// POST: a secret for fetching the image once.
pub(crate) async fn secret(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let operation = images
        .create_secret(&scope, call.segment(0), call.requestor())
        .await?;
    Ok(Answer::operation(operation))
}

/// GET and HEAD: the image's files.
pub(crate) async fn export(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let sees = Visibility::of(&call.caller);
    let secret = call.query("secret");
    let row = images
        .find_with_secret(&scope, sees, call.segment(0), secret)
        .await?;
    let response = match images.export(&row).await? {
        Exported::Unified {
            file,
            filename,
            fingerprint,
        } => {
            images.tell_retrieved(&scope, &row, &call.requestor());
            let download = Download::new(file, filename)?.tagged(fingerprint.to_string());
            files::unified(download, call.method(), call.headers())
        }
        Exported::Split(parts) => {
            let parts = parts.into_iter().map(form_part).collect::<Result<_>>()?;
            files::split(parts, call.method(), Box::new(()))
        }
    };
    Ok(Answer::Raw(response))
}

fn form_part(part: ExportedPart) -> Result<files::Part> {
    let size_bytes = part.file.metadata()?.len();
    let ExportedPart {
        name,
        filename,
        file,
    } = part;
    Ok(files::Part {
        name: name.to_owned(),
        filename,
        file,
        size_bytes,
    })
}
