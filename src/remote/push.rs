//! Handing an image to another LXD server that expects it.

use std::{
    fs::File,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::{Body, Url};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use super::{
    LxdServer, Meter,
    request::{Answer, Request, SMALL_WITHIN},
    wording::{self, describe, failed},
};
use crate::{
    error::{Error, Result},
    image::Fingerprint,
    multipart::form,
};

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// How long one question for the end of an operation may wait.
const WAIT: Duration = Duration::from_secs(20);

/// How long it is at least between two such questions that are answered at once.
const PAUSE: Duration = Duration::from_secs(1);

/// An image to hand over.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Its fingerprint, which is also what its file is called.
    pub(crate) fingerprint: Fingerprint,
    /// The unified tarball, or the metadata of a split image.
    pub(crate) image: File,
    /// The root of a split image, and what its part is called.
    pub(crate) rootfs: Option<(File, &'static str)>,
    /// What the other server expects it with.
    pub(crate) secret: String,
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    status_code: u16,
    #[serde(default)]
    err: String,
    #[serde(default)]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

impl LxdServer {
    /// Uploads an image, and waits until the other server has taken it in.
    ///
    /// # Errors
    ///
    /// The other server's words; LXD's `Failed operation …` when it refuses the image.
    pub(crate) async fn upload(&self, upload: Upload, meter: Meter) -> Result<()> {
        let url = self.url("/images", "");
        let headers = headers(&upload)?;
        let (taking, taken) = watch::channel(());
        let (content_type, body) = body(upload, &meter, taking)?;
        let is_proxied = self.outbound.admit(&self.contact, &url).await?;
        let client = self.outbound.client(&self.contact, is_proxied)?;
        let sent = client
            .request(Method::POST, url.clone())
            .headers(headers)
            .header(header::CONTENT_TYPE, content_type)
            .body(body)
            .send();
        let sent = tokio::select! {
            sent = sent => sent,
            error = self.lose_patience(taken, &url) => return Err(error),
        };
        let response = sent.map_err(|error| describe("Post", &url, &error))?;
        let answer = Answer { response, url };
        let operation: Operation = self.outbound.envelope(answer).await?;
        self.await_end(operation).await
    }

    /// Waits until the other server takes no more of a body, or does not answer once it has all.
    async fn lose_patience(&self, mut taken: watch::Receiver<()>, url: &Url) -> Error {
        let idle = self.outbound.idle();
        loop {
            match tokio::time::timeout(idle, taken.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_ended)) => {
                    tokio::time::sleep(SMALL_WITHIN).await;
                    return wording::silent("Post", url, SMALL_WITHIN);
                }
                Err(_) => {
                    let seconds = idle.as_secs();
                    let what = format_args!("nothing was taken for {seconds} seconds");
                    return failed("Post", url, what);
                }
            }
        }
    }

    /// Waits for the end of the other server's operation.
    async fn await_end(&self, operation: Operation) -> Result<()> {
        let secret = operation
            .metadata
            .as_ref()
            .and_then(|all| all.get("secret")?.as_str());
        let path = format!(
            "/operations/{}/wait",
            crate::api::url::escape(&operation.id)
        );
        let mut url = self.url(&path, secret.unwrap_or_default());
        let seconds = WAIT.min(self.outbound.idle() / 2).as_secs().max(1);
        url.query_pairs_mut()
            .append_pair("timeout", &seconds.to_string());
        loop {
            let asked = Instant::now();
            let operation: Operation = self.query(Request::get(url.clone())).await?;
            match operation.status_code {
                200 => return Ok(()),
                code if code > 200 => {
                    let (status, err) = (&operation.status, &operation.err);
                    let text = format!("Failed operation \"{status}\": \"{err}\"");
                    return Err(Error::failed(text));
                }
                100..=112 if asked.elapsed() < Duration::from_secs(seconds) => {
                    tokio::time::sleep(PAUSE).await;
                }
                100..=112 => {}
                code => {
                    let what = format_args!("an operation with the status {code}");
                    return Err(failed("Get", &url, what));
                }
            }
        }
    }
}

fn headers(upload: &Upload) -> Result<HeaderMap> {
    let value = |text: &str| {
        HeaderValue::try_from(text)
            .ok()
            .ok_or_else(|| Error::bad_request("Invalid image secret"))
    };
    let fingerprint = value(upload.fingerprint.as_str())?;
    Ok(HeaderMap::from_iter([
        (
            http::HeaderName::from_static("x-lxd-fingerprint"),
            fingerprint.clone(),
        ),
        (http::HeaderName::from_static("x-lxd-filename"), fingerprint),
        (
            http::HeaderName::from_static("x-lxd-secret"),
            value(&upload.secret)?,
        ),
    ]))
}

/// The body of an upload, read while it is sent, and its content type. `taking` is told of each
/// piece, and dropped behind the last one.
fn body(upload: Upload, meter: &Meter, taking: watch::Sender<()>) -> Result<(String, Body)> {
    let total = upload.image.metadata()?.len();
    let Some((rootfs, name)) = upload.rootfs else {
        let content = contents(upload.image);
        let body = Body::wrap_stream(metered(content, meter.of("", Some(total)), taking));
        return Ok(("application/octet-stream".to_owned(), body));
    };
    let total = total + rootfs.metadata()?.len();
    let boundary = form::boundary();
    let head = |index: usize, name: &str| {
        let name = form::quoted(name);
        let disposition = format!(
            "form-data; name={name}; filename={}",
            form::quoted(upload.fingerprint.as_str())
        );
        let headers = [
            ("Content-Disposition", disposition.as_str()),
            ("Content-Type", "application/octet-stream"),
        ];
        one(form::part_head(&boundary, index, headers))
    };
    let whole = head(0, "metadata")
        .chain(contents(upload.image))
        .chain(head(1, name))
        .chain(contents(rootfs))
        .chain(one(form::end(&boundary)));
    let body = Body::wrap_stream(metered(whole, meter.of("", Some(total)), taking));
    Ok((format!("multipart/form-data; boundary={boundary}"), body))
}

type Piece = std::io::Result<Bytes>;

fn one(bytes: Bytes) -> stream::Once<std::future::Ready<Piece>> {
    stream::once(std::future::ready(Ok(bytes)))
}

fn contents(file: File) -> impl Stream<Item = Piece> + Send {
    ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK_BYTES)
}

fn metered(
    body: impl Stream<Item = Piece> + Send,
    mut meter: Meter,
    taking: watch::Sender<()>,
) -> impl Stream<Item = Piece> + Send {
    let mut taking = Some(taking);
    let end = stream::once(std::future::ready(None));
    body.map(Some).chain(end).filter_map(move |piece| {
        if let Some(Ok(piece)) = &piece {
            meter.add(piece.len() as u64);
        }
        taking = taking.take().filter(|_| piece.is_some());
        if let Some(taking) = &taking {
            taking.send_replace(());
        }
        std::future::ready(piece)
    })
}
