//! POST `/1.0/images`: an image as the body, or JSON that says where to take one from.

use std::collections::BTreeMap;

use axum::{body::BodyDataStream, http::HeaderValue};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use super::{Answer, Call};
use crate::{
    access::Scope,
    api::{json, requests::ImagesPost, url::query_pairs},
    error::{Error, Kind, Result},
    http::call::{MAX_JSON_BYTES, text, too_large},
    image::{ImageType, Part},
    images::{Intake, RootPart, UploadRequest},
    multipart::{self, Multipart},
};

/// What `source.type` may be.
const SOURCES: &[&str] = &[
    "container",
    "instance",
    "virtual-machine",
    "snapshot",
    "image",
    "url",
];

/// POST: a new image.
pub(crate) async fn post(mut call: Call) -> Result<Answer> {
    let images = call.services.images.clone();
    let scope = match images.scope_for_create(call.project()).await {
        Ok(scope) => scope,
        Err(_) if !call.may_use_project() => return Err(Error::not_authorized()),
        Err(error) => return Err(error),
    };
    let (fingerprint, secret) = (
        call.header("x-lxd-fingerprint"),
        call.header("x-lxd-secret"),
    );
    let grant = images.redeem_push_token(&scope, fingerprint, secret)?;
    if grant.is_none() && !call.may_use_project() {
        return Err(Error::not_authorized());
    }
    let mut request = upload_request(&call);
    request.grant = grant;
    let is_json = call.header("content-type") == "application/json";
    let content_type = call.headers().get("content-type").cloned();
    let mut body = call.take_body().into_data_stream();
    let begun = begin(&mut body, is_json).await?;
    let body = body.map(|piece| piece.map_err(|error| interrupted(&error)));
    let rest = match begun {
        Begun::Json(source) => return from_json(&call, scope, *source).await,
        Begun::Image(first) => stream::iter(first.map(Ok)).chain(body),
    };
    let mut intake = images.receive(&scope).await?;
    let content_type = content_type.as_ref().map_or(&[][..], HeaderValue::as_bytes);
    receive(&mut intake, content_type, rest).await?;
    Ok(Answer::operation(images.upload(
        scope,
        intake,
        request,
        call.requestor(),
    )))
}

fn upload_request(call: &Call) -> UploadRequest {
    let mut properties = BTreeMap::new();
    for header in call.headers().get_all("x-lxd-properties") {
        for (key, value) in query_pairs(text(header)) {
            // LXD: the first value of a key counts.
            properties.entry(key).or_insert(value);
        }
    }
    let public = call.header("x-lxd-public").to_lowercase();
    UploadRequest {
        filename: call.header("x-lxd-filename").to_owned(),
        public: ["true", "1", "yes", "on"].contains(&public.as_str()),
        properties,
        expected_fingerprint: Some(call.header("x-lxd-fingerprint").to_owned()),
        grant: None,
    }
}

/// How a body turned out after its first bytes.
enum Begun {
    Json(Box<ImagesPost>),
    Image(Option<Bytes>),
}

/// LXD tries every body as JSON, whatever its content type. Only an object or `null` can be one
/// of its requests, so only a body that begins like that is held back until that is decided.
async fn begin(body: &mut BodyDataStream, is_json: bool) -> Result<Begun> {
    let mut held = BytesMut::new();
    while held.len() <= MAX_JSON_BYTES {
        let Some(piece) = body.next().await else {
            return whole(held.freeze(), is_json);
        };
        held.extend_from_slice(&piece.map_err(|error| interrupted(&error))?);
        if !is_json && !may_be_json(&held) {
            return Ok(Begun::Image(Some(held.freeze())));
        }
    }
    if is_json {
        return Err(too_large());
    }
    Ok(Begun::Image(Some(held.freeze())))
}

fn whole(held: Bytes, is_json: bool) -> Result<Begun> {
    match json::decode::<ImagesPost>(&held) {
        Ok(request) => Ok(Begun::Json(Box::new(request))),
        Err(error) if is_json => Err(error),
        Err(_) => Ok(Begun::Image(Some(held))),
    }
}

fn may_be_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_none_or(|byte| b"{n".contains(byte))
}

fn interrupted(error: &axum::Error) -> Error {
    tracing::debug!(%error, "the client stopped sending");
    Error::bad_request("unexpected EOF")
}

async fn from_json(call: &Call, scope: Scope, mut request: ImagesPost) -> Result<Answer> {
    // A push token is for bytes, not for further requests.
    if !call.may_use_project() {
        return Err(Error::not_authorized());
    }
    let images = &call.services.images;
    let Some(source) = request.source.take() else {
        return Err(Error::bad_request("Invalid images JSON"));
    };
    if source.mode == "push" {
        let token =
            images.create_push_token(&scope, &request, &source.fingerprint, call.requestor())?;
        return Ok(Answer::operation(token));
    }
    if !SOURCES.contains(&source.kind.as_str()) {
        return Err(Error::failed("Invalid images JSON"));
    }
    if matches!(source.kind.as_str(), "image" | "url") {
        let operation = images.fetch(scope, request, source, &call.caller).await?;
        return Ok(Answer::operation(operation));
    }
    let instances = &call.services.instances;
    let operation = instances
        .publish(scope, request, source, call.requestor())
        .await?;
    Ok(Answer::operation(operation))
}

/// Writes the body into staging. A body that is no image is refused by the operation, as LXD
/// does; one that stops early leaves nothing.
async fn receive(
    intake: &mut Intake,
    content_type: &[u8],
    body: impl Stream<Item = Result<Bytes>> + Send + Unpin,
) -> Result<()> {
    let Some(boundary) = multipart::boundary(content_type) else {
        intake.begin(Part::Image).await?;
        return receive_part(intake, body).await;
    };
    let mut form = Multipart::new(body, &boundary);
    match receive_split(intake, &mut form).await {
        // Bad form data, not a client that went away.
        Err(error) if error.kind() == Kind::Failed && !intake.has_failed() => intake.refuse(error),
        received => received?,
    }
    // The client is heard out before it gets its answer.
    form.finish().await
}

async fn receive_split<S>(intake: &mut Intake, form: &mut Multipart<S>) -> Result<()>
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin,
{
    intake.begin(Part::Image).await?;
    receive_part(intake, form.metadata().await?).await?;
    let root = form.rootfs().await?;
    let kind = match root.name() {
        "rootfs" => ImageType::Container,
        _ => ImageType::VirtualMachine,
    };
    intake.set_root(RootPart {
        kind,
        filename: root.filename().to_owned(),
    });
    intake.begin(Part::Rootfs).await?;
    receive_part(intake, root).await
}

async fn receive_part(
    intake: &mut Intake,
    mut data: impl Stream<Item = Result<Bytes>> + Unpin,
) -> Result<()> {
    while let Some(piece) = data.next().await {
        intake.push(piece?).await?;
    }
    Ok(())
}
