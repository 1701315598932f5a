//! `/1.0/images` and one image.

use super::{Answer, Call, url, url_in};
use crate::{
    access::Scope,
    api::{
        filter::Filter,
        json::{self, Jmap},
        objects::Image,
        requests::{ImageExportPost, ImagePut},
    },
    error::{Error, Kind, Result},
    http::files::{self, Download},
    images::{Exported, ExportedPart, ImagePatch, Visibility},
};

/// GET: the project's images, as far as the caller may see them.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    if call.has_flag("all-projects") {
        return list_everywhere(call).await;
    }
    let images = &call.services.images;
    let filter = filter(&call)?;
    let (scope, sees) = match seen(&call).await {
        // A project that is not there looks like one with nothing public to those who may not
        // know.
        Err(error) if error.kind() == Kind::NotFound && !call.may_use_project() => {
            return Answer::sync(&[(); 0]);
        }
        seen => seen?,
    };
    if filter.is_some() || call.recursion() {
        return listed(&call, images.list(&scope, sees).await?, filter.as_ref());
    }
    let fingerprints = images.fingerprints(&scope, sees).await?;
    let urls = fingerprints
        .iter()
        .map(|fingerprint| url("images", fingerprint));
    Answer::sync(&urls.collect::<Vec<_>>())
}

/// The images of all projects.
// LXD: has this from 6.0 on.
async fn list_everywhere(call: Call) -> Result<Answer> {
    if !call.caller.is_trusted() {
        let text = "Untrusted callers may only access public images in the default project";
        return Err(Error::forbidden(text));
    }
    if call.query("project").is_some() {
        let text = "Cannot specify a project when requesting all projects";
        return Err(Error::bad_request(text));
    }
    let filter = filter(&call)?;
    let mut images = call.services.images.list_everywhere().await?;
    images.retain(|image| call.caller.may_see(image.project.as_deref()));
    listed(&call, images, filter.as_ref())
}

/// Where the images are, and which of them the caller sees.
async fn seen(call: &Call) -> Result<(Scope, Visibility)> {
    let scope = call.services.images.scope(call.project()).await?;
    Ok((scope, Visibility::of(&call.caller, call.project())))
}

/// What those who may not know whether there is such a project read.
fn unknown(call: &Call, error: Error) -> Error {
    if error.kind() == Kind::NotFound && !call.may_use_project() {
        return Error::not_found("Image not found");
    }
    error
}

fn filter(call: &Call) -> Result<Option<Filter>> {
    Filter::parse(call.query("filter").unwrap_or_default())
}

fn listed(call: &Call, images: Vec<Image>, filter: Option<&Filter>) -> Result<Answer> {
    let images = match filter {
        Some(filter) => passing(images, filter)?,
        None => images,
    };
    if call.recursion() {
        return Answer::sync(&images);
    }
    let urls = images.iter().map(|image| match &image.project {
        Some(project) => url_in("images", &image.fingerprint, project),
        None => url("images", &image.fingerprint),
    });
    Answer::sync(&urls.collect::<Vec<_>>())
}

/// The images that pass a filter, which looks at them as clients do.
fn passing(images: Vec<Image>, filter: &Filter) -> Result<Vec<Image>> {
    let mut passing = Vec::new();
    for image in images {
        let seen = serde_json::to_value(&image)
            .map_err(|error| Error::internal("Failed to read the image", error))?;
        if filter.passes(&seen) {
            passing.push(image);
        }
    }
    Ok(passing)
}

/// GET: one image.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let (scope, sees) = seen(&call).await.map_err(|error| unknown(&call, error))?;
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

/// POST: this server hands the image to another one.
pub(crate) async fn push(mut call: Call) -> Result<Answer> {
    let images = call.services.images.clone();
    let scope = images.scope(call.project()).await?;
    let request = ImageExportPost::decode_leniently(&call.bytes().await?);
    let operation = images
        .push(scope, call.segment(0), request, &call.caller)
        .await?;
    Ok(Answer::operation(operation))
}

/// POST: the image is brought up to date.
pub(crate) async fn refresh(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let scope = images.scope(call.project()).await?;
    let operation = images.refresh(scope, call.segment(0), &call.caller).await?;
    Ok(Answer::operation(operation))
}

/// GET and HEAD: the image's files.
pub(crate) async fn export(call: Call) -> Result<Answer> {
    let images = &call.services.images;
    let (scope, sees) = seen(&call).await.map_err(|error| unknown(&call, error))?;
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
