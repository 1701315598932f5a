//! Other LXD servers: finding an image there, and fetching it.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use reqwest::Url;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Asked, Contact, Meter, Outbound, RemoteImage, Sink,
    download::{Pace, Resuming, Tries},
    request::{Answer, Request, check_encoding, check_length, kind_of, parse_url, unable_to_fetch},
    wording::{failed, mismatch, shown},
};
use crate::{
    api::url::escape,
    error::{Error, Kind, Result},
    image::{Architecture, Fingerprint, FingerprintPrefix, ImageType, NotAFingerprint, Part},
    multipart::{self, Multipart},
};

/// The longest JSON answer about one thing.
const MAX_JSON_BYTES: usize = 4 * 1024 * 1024;

/// How many bytes multipart adds to two files at most.
const FORM_BYTES: u64 = 64 * 1024;

/// An LXD server that has answered.
#[derive(Debug, Clone)]
pub(crate) struct LxdServer {
    pub(super) outbound: Outbound,
    pub(super) contact: Contact,
    pub(super) base: Url,
    /// The project there; empty for none in particular.
    pub(super) project: String,
}

/// LXD's envelope around answers.
#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    error: String,
    metadata: Option<T>,
}

#[derive(Deserialize)]
struct AliasObject {
    target: String,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct ImageObject {
    fingerprint: String,
    #[serde(default)]
    size: i64,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    filename: String,
    #[serde(default)]
    properties: Option<BTreeMap<String, String>>,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    expires_at: String,
}

impl Outbound {
    /// Says hello to an LXD server.
    ///
    /// # Errors
    ///
    /// Go's words for a URL or a certificate that is none, and for a server that cannot be spoken
    /// to. Callers add LXD's prefix.
    pub(crate) async fn lxd(
        &self,
        server: &str,
        contact: Contact,
        project: &str,
    ) -> Result<LxdServer> {
        let base = parse_url("Get", &format!("{}/1.0", server.trim_end_matches('/')))
            .map_err(|error| error.with_kind(Kind::Failed))?;
        let server = LxdServer {
            outbound: self.clone(),
            contact,
            base,
            project: project.to_owned(),
        };
        let _: serde_json::Value = server.query(Request::get(server.base.clone())).await?;
        Ok(server)
    }
}

impl LxdServer {
    /// The URL of something there.
    pub(super) fn url(&self, path: &str, secret: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        if !self.project.is_empty() {
            url.query_pairs_mut().append_pair("project", &self.project);
        }
        if !secret.is_empty() {
            url.query_pairs_mut().append_pair("secret", secret);
        }
        url
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        shown(&self.base)
    }

    /// Finds an image: by alias, fingerprint, or the beginning of one.
    ///
    /// # Errors
    ///
    /// The server's own words, or what its answer lacks.
    pub(crate) async fn find(&self, asked: &Asked) -> Result<RemoteImage> {
        // LXD: with a secret, names are not looked up.
        let target = if asked.secret.is_empty() {
            self.resolve(asked).await?
        } else {
            None
        };
        if target.is_none() && asked.only_aliases {
            let error = Error::not_found("Image not found");
            return Err(self.explain(error, asked).await);
        }
        let reference = target.as_deref().unwrap_or(&asked.reference);
        let url = self.url(&format!("/images/{}", escape(reference)), &asked.secret);
        let image: ImageObject = match self.query(Request::get(url.clone())).await {
            Err(error) if error.kind() == Kind::NotFound && asked.secret.is_empty() => {
                return Err(self.explain(error, asked).await);
            }
            image => image?,
        };
        let prefix: Result<FingerprintPrefix, _> = reference.parse();
        let is_it = prefix.is_ok_and(|prefix| image.fingerprint.starts_with(prefix.as_str()));
        if !is_it {
            let (got, expected) = (&image.fingerprint, reference);
            return Err(mismatch(got, expected, &shown(&url)));
        }
        let image = image.check(&url)?;
        Ok(RemoteImage {
            by_alias: target.is_some(),
            ..image
        })
    }

    /// What an alias means; `None` when there is no such alias for this type of image.
    async fn resolve(&self, asked: &Asked) -> Result<Option<String>> {
        let url = self.url(&format!("/images/aliases/{}", escape(&asked.reference)), "");
        let alias: AliasObject = match self.query(Request::get(url)).await {
            Ok(alias) => alias,
            Err(error) if error.kind() == Kind::Unavailable => return Err(error),
            Err(_) => return Ok(None),
        };
        let fits = asked
            .kind
            .is_none_or(|kind| alias.kind.is_empty() || alias.kind == kind.name());
        Ok(fits.then_some(alias.target))
    }

    /// Adds to LXD's answer what the user may have meant.
    async fn explain(&self, error: Error, asked: &Asked) -> Error {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        #[derive(Deserialize)]
        struct Listed {
            #[serde(default)]
            aliases: Vec<Named>,
        }
        let mut url = self.url("/images", "");
        url.query_pairs_mut().append_pair("recursion", "1");
        let listed: Result<Vec<Listed>> = self.query(Request::get(url)).await;
        let names = listed.unwrap_or_default();
        let names = names.iter().flat_map(|image| &image.aliases);
        let near =
            super::simplestreams::nearest(&asked.reference, names.map(|it| it.name.as_str()));
        if near.is_empty() {
            return error;
        }
        let text = format!("{} (there are: {})", error.message(), near.join(", "));
        Error::new(error.kind(), text)
    }

    /// Asks for something small.
    pub(super) async fn query<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let answer = self.outbound.send(&self.contact, request).await?;
        self.outbound.envelope(answer).await
    }

    /// Fetches the files of an image.
    ///
    /// # Errors
    ///
    /// Why not, with the URL.
    pub(crate) async fn fetch(
        &self,
        image: &RemoteImage,
        secret: &str,
        sink: &mut impl Sink,
        meter: Meter,
    ) -> Result<()> {
        let url = self.url(&format!("/images/{}/export", image.fingerprint), secret);
        let meter = meter.of("", Some(image.size_bytes));
        let mut fetched = Fetched {
            output: Resuming::new(sink, image.size_bytes, meter),
            is_unified: false,
            validator: None,
        };
        let mut tries = Tries::default();
        loop {
            let before = fetched.output.written_bytes();
            let tried = self.try_fetch(&url, image, &mut fetched).await;
            let Err(error) = tried else {
                return Ok(());
            };
            let gained = fetched.output.written_bytes() - before;
            tries.again(error, gained).await?;
        }
    }

    async fn try_fetch(
        &self,
        url: &Url,
        image: &RemoteImage,
        fetched: &mut Fetched<'_, impl Sink>,
    ) -> Result<()> {
        let mut request = Request::get(url.clone());
        let done = fetched.output.written_bytes();
        if fetched.is_unified && done > 0 {
            let range = HeaderValue::try_from(format!("bytes={done}-"));
            request
                .headers
                .extend(range.ok().map(|range| (header::RANGE, range)));
            let validator = fetched.validator.clone();
            request
                .headers
                .extend(validator.map(|validator| (header::IF_RANGE, validator)));
        }
        let answer = self.outbound.send(&self.contact, request).await?;
        let answer = self.expect_file(answer).await?;
        check_encoding(&answer)?;
        let content_type = answer.response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.map_or(&[][..], HeaderValue::as_bytes);
        match multipart::boundary(content_type) {
            Some(boundary) => self.take_split(answer, &boundary, image, fetched).await?,
            None => self.take_unified(answer, image, fetched).await?,
        }
        let came = fetched.output.written_bytes();
        if came < image.size_bytes {
            let what = format_args!("ended after {came} of {} bytes", image.size_bytes);
            return Err(failed("Get", url, what));
        }
        Ok(())
    }

    /// Anything but a file is one of LXD's errors, or somebody else's.
    async fn expect_file(&self, answer: Answer) -> Result<Answer> {
        let status = answer.response.status();
        if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Ok(answer);
        }
        let url = answer.url.clone();
        let unable = unable_to_fetch(&url, &answer.response);
        let body = self.outbound.small_body(answer, MAX_JSON_BYTES).await?;
        let envelope: Result<Envelope<serde_json::Value>, _> = serde_json::from_slice(&body);
        match envelope {
            Ok(envelope) if !envelope.error.is_empty() => {
                Err(Error::new(unable.kind(), envelope.error))
            }
            _ => Err(unable),
        }
    }

    async fn take_unified(
        &self,
        mut answer: Answer,
        image: &RemoteImage,
        fetched: &mut Fetched<'_, impl Sink>,
    ) -> Result<()> {
        let done = fetched.output.written_bytes();
        let headers = answer.response.headers();
        if answer.response.status() == StatusCode::PARTIAL_CONTENT && done > 0 {
            let range = headers.get(header::CONTENT_RANGE);
            let range = range
                .and_then(|text| text.to_str().ok())
                .unwrap_or_default();
            if !range.starts_with(&format!("bytes {done}-")) {
                let what = format_args!("asked for bytes from {done} on, got {range:?}");
                return Err(failed("Get", &answer.url, what).with_kind(Kind::Failed));
            }
            fetched.output.go_on();
        } else {
            check_length(&answer, image.size_bytes)?;
            fetched.validator = headers.get(header::LAST_MODIFIED).cloned();
            fetched.is_unified = true;
            fetched.output.rewind();
            fetched.output.begin(Part::Image).await?;
        }
        let mut pace = Pace::new(self.outbound.idle());
        while let Some(piece) = self
            .outbound
            .chunk(&mut answer.response, &answer.url)
            .await?
        {
            pace.count(piece.len(), &answer.url)?;
            let written = fetched.output.write(piece).await;
            written.map_err(|error| {
                failed("Get", &answer.url, error.message()).with_kind(Kind::Failed)
            })?;
        }
        Ok(())
    }

    async fn take_split(
        &self,
        answer: Answer,
        boundary: &[u8],
        image: &RemoteImage,
        fetched: &mut Fetched<'_, impl Sink>,
    ) -> Result<()> {
        let url = answer.url.clone();
        fetched.output.rewind();
        let body = self.body(answer, image.size_bytes.saturating_add(FORM_BYTES));
        let mut form = Multipart::new(Box::pin(body), boundary);
        let taken = take_parts(&mut form, image, &mut fetched.output).await;
        // A body that was cut off is multipart data without its end.
        taken.map_err(|error| match error.message() {
            "EOF" | "unexpected EOF" | "multipart: NextPart: EOF" => {
                failed("Get", &url, error.message())
            }
            _ => error,
        })
    }

    /// The body of an answer as a stream, of so many bytes at most.
    fn body(&self, answer: Answer, limit: u64) -> impl Stream<Item = Result<Bytes>> + Send {
        let outbound = self.outbound.clone();
        let pace = Pace::new(outbound.idle());
        let start = (outbound, answer, pace, limit);
        stream::try_unfold(start, |(outbound, mut answer, mut pace, left)| async move {
            let Some(piece) = outbound.chunk(&mut answer.response, &answer.url).await? else {
                return Ok(None);
            };
            pace.count(piece.len(), &answer.url)?;
            let Some(left) = left.checked_sub(piece.len() as u64) else {
                let what = "the files are longer than announced";
                return Err(failed("Get", &answer.url, what).with_kind(Kind::Failed));
            };
            Ok(Some((piece, (outbound, answer, pace, left))))
        })
    }
}

/// What has come of an image so far.
struct Fetched<'a, S> {
    output: Resuming<'a, S>,
    is_unified: bool,
    validator: Option<HeaderValue>,
}

async fn take_parts<S>(
    form: &mut Multipart<S>,
    image: &RemoteImage,
    output: &mut Resuming<'_, impl Sink>,
) -> Result<()>
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin,
{
    output.begin(Part::Image).await?;
    let mut metadata = form.metadata().await?;
    while let Some(piece) = metadata.next().await {
        output.write(piece?).await?;
    }
    let mut root = form.rootfs().await?;
    let is_disk = root.name() == "rootfs.img";
    if is_disk && image.kind == ImageType::Container {
        return Err(Error::failed(
            "The server sends the disk of a virtual machine for a container",
        ));
    }
    output.begin(Part::Rootfs).await?;
    while let Some(piece) = root.next().await {
        output.write(piece?).await?;
    }
    Ok(())
}

impl Outbound {
    /// Takes LXD's envelope off an answer.
    pub(super) async fn envelope<T: DeserializeOwned>(&self, answer: Answer) -> Result<T> {
        check_encoding(&answer)?;
        let (url, status) = (answer.url.clone(), answer.response.status());
        let unable = unable_to_fetch(&url, &answer.response);
        let body = self.small_body(answer, MAX_JSON_BYTES).await?;
        let foreign =
            || failed("Get", &url, "the answer is not an LXD server's").with_kind(Kind::Failed);
        let Ok(envelope) = serde_json::from_slice::<Envelope<serde_json::Value>>(&body) else {
            return Err(if status.is_success() {
                foreign()
            } else {
                unable
            });
        };
        if envelope.kind == "error" && !envelope.error.is_empty() {
            return Err(Error::new(kind_of(status), envelope.error));
        }
        if !status.is_success() {
            return Err(unable);
        }
        let metadata = envelope.metadata.unwrap_or_default();
        serde_json::from_value(metadata).map_err(|error| {
            tracing::info!(%error, %url, "an answer is not what LXD would say");
            foreign()
        })
    }
}

impl ImageObject {
    /// Takes from a server's description what may be believed.
    fn check(self, url: &Url) -> Result<RemoteImage> {
        let bad = |what: &str| failed("Get", url, what).with_kind(Kind::Failed);
        let fingerprint: Fingerprint = self
            .fingerprint
            .parse()
            .map_err(|NotAFingerprint| Error::failed(NotAFingerprint::TEXT))?;
        let kind = match self.kind.as_str() {
            "" | "container" => ImageType::Container,
            "virtual-machine" => ImageType::VirtualMachine,
            _ => return Err(bad("the image is of an unknown type")),
        };
        let date = |text: &str| match text {
            "" => Ok(crate::api::Timestamp::ZERO),
            text => text.parse().map_err(|error: Error| bad(error.message())),
        };
        Ok(RemoteImage {
            by_alias: false,
            kind,
            architecture: Architecture::parse(&self.architecture)?.name(),
            filename: self.filename,
            size_bytes: u64::try_from(self.size)
                .ok()
                .ok_or_else(|| bad("the image has a negative size"))?,
            size_is_known: true,
            properties: self.properties.unwrap_or_default(),
            created_at: date(&self.created_at)?,
            expires_at: date(&self.expires_at)?,
            fingerprint,
        })
    }
}
