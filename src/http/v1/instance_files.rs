//! `/1.0/instances/NAME/files`: what `lxc file` pushes, pulls and deletes.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Response, header},
};
use futures_util::StreamExt;
use time::{OffsetDateTime, macros::format_description};
use tokio::io::AsyncWriteExt;

use super::{Answer, Call, instances::named};
use crate::{
    error::{Error, Result},
    http::files::{self, Download},
    instances::{Content, FileAttributes, Opened, Owner, Pulled, Push, Write},
};

/// The longest target of a link.
const MAX_TARGET_BYTES: usize = 4096;

/// GET: a file, the names in a directory, or where a link points to. HEAD: the attributes.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    let path = path(&call)?;
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    if *call.method() == Method::HEAD {
        let pulled = instances.look(&instance, path).await?;
        return Ok(described(&pulled));
    }
    let pulled = instances.pull(&instance, path, &call.requestor()).await?;
    let Pulled {
        attributes,
        content,
        root,
    } = pulled;
    let name = path.trim_end_matches('/').rsplit('/').next();
    let name = name.unwrap_or_default();
    let (kind, mut response) = match content {
        Content::Directory(names) => ("directory", Answer::sync(&names)?.render()),
        Content::Symlink(target) => ("symlink", link(name, target)),
        Content::File(file) => {
            let mut download = Download::new(file, name)?;
            download.lease = Box::new(root);
            let sent = files::unified(download, call.method(), call.headers());
            ("file", sent)
        }
    };
    describe(response.headers_mut(), kind, &attributes);
    Ok(Answer::Raw(response))
}

/// What a request is about.
fn path(call: &Call) -> Result<&str> {
    let path = call.query("path").filter(|path| !path.is_empty());
    path.ok_or_else(|| Error::bad_request("Missing path argument"))
}

fn link(name: &str, target: String) -> Response<Body> {
    let mut response = Response::new(Body::from(target));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    insert(
        headers,
        "content-disposition",
        &format!("inline;filename={name}"),
    );
    response
}

/// The answer to HEAD: no body, whatever it is.
fn described(pulled: &Pulled) -> Answer {
    let mut response = Response::new(Body::empty());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let kind = match pulled.content {
        Content::Directory(_) => "directory",
        Content::Symlink(_) => "symlink",
        Content::File(_) => "file",
    };
    describe(response.headers_mut(), kind, &pulled.attributes);
    Answer::Raw(response)
}

fn describe(headers: &mut HeaderMap, kind: &str, found: &FileAttributes) {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] +0000 UTC");
    let modified = OffsetDateTime::from_unix_timestamp(found.modified).ok();
    let modified = modified.and_then(|time| time.format(format).ok());
    insert(headers, "x-lxd-uid", &found.uid.to_string());
    insert(headers, "x-lxd-gid", &found.gid.to_string());
    insert(headers, "x-lxd-mode", &format!("{:04o}", found.mode));
    insert(headers, "x-lxd-modified", &modified.unwrap_or_default());
    insert(headers, "x-lxd-type", kind);
}

/// A name that cannot be sent in a header is left out.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}

/// POST: a file with the body as its content, a directory, or a link to where the body says.
pub(crate) async fn post(mut call: Call) -> Result<Answer> {
    let path = path(&call)?.to_owned();
    let instance = named(&call).await?;
    let (owner, how) = (owner(call.headers()), how(&call)?);
    let instances = call.services.instances.clone();
    match call.header("x-lxd-type") {
        "" | "file" => {
            let opened = instances
                .open_for_push(&instance, &path, owner, how)
                .await?;
            receive(&mut call, opened).await?;
        }
        "directory" => {
            let what = Push::Directory;
            instances.push(&instance, &path, owner, what).await?;
        }
        "symlink" => {
            let what = Push::Symlink(target(&mut call).await?);
            instances.push(&instance, &path, owner, what).await?;
        }
        other => return Err(Error::bad_request(format!("Bad file type: {other}"))),
    }
    instances.pushed(&instance, &path, &call.requestor());
    Ok(Answer::done())
}

/// Writes the body to a file as it comes.
async fn receive(call: &mut Call, opened: Opened) -> Result<()> {
    let Opened { file, root } = opened;
    let mut file = tokio::fs::File::from_std(file);
    let mut body = call.take_body().into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Error::bad_request(error.to_string()))?;
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    drop(root);
    Ok(())
}

async fn target(call: &mut Call) -> Result<String> {
    let bytes = call.bytes().await?;
    let text = String::from_utf8(bytes.to_vec()).ok();
    let fits = |text: &String| !text.is_empty() && text.len() < MAX_TARGET_BYTES;
    text.filter(fits)
        .ok_or_else(|| Error::bad_request("Invalid link target"))
}

// LXD: numbers that are none are as good as not there; a mode is octal when it begins with 0.
fn owner(headers: &HeaderMap) -> Owner {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name| text(name).and_then(|text| text.trim().parse().ok());
    let mode = text("x-lxd-mode").and_then(|text| match text.strip_prefix('0') {
        Some("") | None => text.parse().ok(),
        Some(octal) => u32::from_str_radix(octal.trim_start_matches('o'), 8).ok(),
    });
    Owner {
        uid: number("x-lxd-uid"),
        gid: number("x-lxd-gid"),
        mode,
    }
}

fn how(call: &Call) -> Result<Write> {
    match call.header("x-lxd-write") {
        "" | "overwrite" => Ok(Write::Overwrite),
        "append" => Ok(Write::Append),
        other => Err(Error::bad_request(format!("Bad file write mode: {other}"))),
    }
}

/// DELETE: a file, a link or an empty directory.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    let path = path(&call)?;
    let instance = named(&call).await?;
    let instances = &call.services.instances;
    instances
        .delete_file(&instance, path, &call.requestor())
        .await?;
    Ok(Answer::done())
}
