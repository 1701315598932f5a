//! Downloads: bytes that are counted, limited, and taken up again where a connection broke.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use reqwest::Url;
use sha2::{Digest, Sha256};

use super::{
    Contact, Meter, Outbound,
    request::{Answer, Request, check_encoding, check_length, unable_to_fetch},
    wording::{failed, shown},
};
use crate::{
    error::{Error, Kind, Result},
    image::Part,
};

/// How often a download is tried again without getting any further.
const TRIES: u32 = 4;

/// How long is waited before the first further try; twice as long before each one after it.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How many bytes count as getting further.
const PROGRESS_BYTES: u64 = 64 * 1024;

/// The fewest bytes a server has to send each second.
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// The longest file whose length nobody has told.
pub(super) const MAX_UNKNOWN_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Where downloaded bytes go.
pub(crate) trait Sink: Send {
    /// Begins the next file.
    fn begin(&mut self, part: Part) -> impl Future<Output = Result<()>> + Send;

    /// Appends to the file begun last.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<()>> + Send;
}

/// One file to download.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) url: Url,
    pub(super) part: Part,
    /// What the manifest says its length is.
    pub(super) size_bytes: Option<u64>,
    /// What the manifest says its SHA-256 is.
    pub(super) sha256: Option<String>,
}

/// How often it may still be tried.
#[derive(Debug)]
pub(super) struct Tries {
    left: u32,
    pause: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            left: TRIES,
            pause: FIRST_PAUSE,
        }
    }
}

impl Tries {
    /// After a failure: waits before the next try, or gives the error back when there is none.
    /// `gained_bytes` is how much further the last try got.
    pub(super) async fn again(&mut self, error: Error, gained_bytes: u64) -> Result<()> {
        if gained_bytes >= PROGRESS_BYTES {
            *self = Self::default();
        }
        if error.kind() != Kind::Unavailable || self.left == 0 {
            return Err(error);
        }
        tracing::debug!(%error, left = self.left, "download interrupted");
        self.left -= 1;
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        Ok(())
    }
}

/// Writes what a try brings behind what earlier tries have brought.
pub(super) struct Resuming<'a, S> {
    sink: &'a mut S,
    /// The files begun so far, and how much of each is written.
    parts: Vec<(Part, u64)>,
    /// The file this try is at, from 1, and how much of it is there already and has to be skipped.
    at: usize,
    skip_bytes: u64,
    written_bytes: u64,
    limit_bytes: u64,
    meter: Meter,
}

impl<'a, S: Sink> Resuming<'a, S> {
    pub(super) fn new(sink: &'a mut S, limit_bytes: u64, meter: Meter) -> Self {
        Self {
            sink,
            parts: Vec::new(),
            at: 0,
            skip_bytes: 0,
            written_bytes: 0,
            limit_bytes,
            meter,
        }
    }

    /// Another try begins at the beginning.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
    }

    /// How much is written of all files.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// The next file begins, or is come to again.
    pub(super) async fn begin(&mut self, part: Part) -> Result<()> {
        let known = self.parts.get(self.at).copied();
        self.at += 1;
        if let Some((known, done)) = known {
            self.skip_bytes = done;
            return if known == part {
                Ok(())
            } else {
                Err(changed())
            };
        }
        self.skip_bytes = 0;
        self.sink.begin(part).await?;
        self.parts.push((part, 0));
        Ok(())
    }

    /// The server goes on exactly where the last try stopped.
    pub(super) fn go_on(&mut self) {
        self.at = self.parts.len();
        self.skip_bytes = 0;
    }

    /// Takes the next bytes of this try. Returns those that are new.
    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Result<Bytes> {
        let skipped =
            usize::try_from(self.skip_bytes).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        let bytes = bytes.split_off(skipped);
        self.skip_bytes -= skipped as u64;
        if bytes.is_empty() {
            return Ok(bytes);
        }
        if self.at != self.parts.len() {
            // An earlier file has become longer.
            return Err(changed());
        }
        let length = bytes.len() as u64;
        if self.written_bytes + length > self.limit_bytes {
            let limit = self.limit_bytes;
            return Err(Error::failed(format!(
                "the file is longer than the {limit} bytes announced"
            )));
        }
        self.written_bytes += length;
        if let Some((_, done)) = self.parts.last_mut() {
            *done += length;
        }
        self.sink.write(bytes.clone()).await?;
        self.meter.add(length);
        self.meter.wait(length).await;
        Ok(bytes)
    }
}

fn changed() -> Error {
    Error::failed("the file has changed while it was downloaded")
}

/// Watches over a server's speed.
pub(super) struct Pace {
    since: Instant,
    bytes: u64,
    idle: Duration,
}

impl Pace {
    pub(super) fn new(idle: Duration) -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            idle,
        }
    }

    /// Counts what has come.
    ///
    /// # Errors
    ///
    /// When it was too little for too long.
    pub(super) fn count(&mut self, bytes: usize, url: &Url) -> Result<()> {
        self.bytes += bytes as u64;
        if self.since.elapsed() < self.idle {
            return Ok(());
        }
        if self.bytes < MIN_BYTES_PER_SECOND * self.idle.as_secs() {
            let (bytes, seconds) = (self.bytes, self.idle.as_secs());
            let what = format_args!("too slow: {bytes} bytes came in {seconds} seconds");
            return Err(failed("Get", url, what));
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

impl Outbound {
    /// Downloads one file.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] when the server does not have it; LXD's text when its hash is not the
    /// one that was announced; else why not, with the URL.
    pub(super) async fn download(
        &self,
        contact: &Contact,
        wanted: &Wanted,
        sink: &mut impl Sink,
        meter: Meter,
    ) -> Result<()> {
        let limit = wanted.size_bytes.unwrap_or(MAX_UNKNOWN_BYTES);
        let mut file = File {
            output: Resuming::new(sink, limit, meter),
            digest: Sha256::new(),
            validator: None,
        };
        let mut tries = Tries::default();
        loop {
            let before = file.output.written_bytes();
            let Err(error) = self.try_download(contact, wanted, &mut file).await else {
                break;
            };
            let gained = file.output.written_bytes() - before;
            tries.again(error, gained).await?;
        }
        file.check(wanted)
    }

    async fn try_download(
        &self,
        contact: &Contact,
        wanted: &Wanted,
        file: &mut File<'_, impl Sink>,
    ) -> Result<()> {
        let mut request = Request::get(wanted.url.clone());
        let done = file.output.written_bytes();
        if done > 0 {
            request.headers.insert(header::RANGE, range_from(done));
            if let Some(validator) = &file.validator {
                request.headers.insert(header::IF_RANGE, validator.clone());
            }
        }
        let mut answer = self.send(contact, request).await?;
        file.begin(&answer, wanted).await?;
        let mut pace = Pace::new(self.idle());
        while let Some(piece) = self.chunk(&mut answer.response, &answer.url).await? {
            pace.count(piece.len(), &answer.url)?;
            let new = file.output.write(piece).await;
            file.digest
                .update(new.map_err(|error| error.context(shown(&answer.url)))?);
        }
        let came = file.output.written_bytes();
        match wanted.size_bytes {
            Some(size) if came < size => {
                let what = format_args!("ended after {came} of {size} bytes");
                Err(failed("Get", &answer.url, what))
            }
            _ => Ok(()),
        }
    }
}

fn range_from(done: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes={done}-"))
        .unwrap_or_else(|_| HeaderValue::from_static("bytes=0-"))
}

/// One file on its way.
struct File<'a, S> {
    output: Resuming<'a, S>,
    digest: Sha256,
    /// By which the server knows whether its file is still the same.
    validator: Option<HeaderValue>,
}

impl<S: Sink> File<'_, S> {
    /// Looks at the head of an answer.
    async fn begin(&mut self, answer: &Answer, wanted: &Wanted) -> Result<()> {
        let (status, done) = (answer.response.status(), self.output.written_bytes());
        let headers = answer.response.headers();
        if status == StatusCode::PARTIAL_CONTENT && done > 0 {
            let range = headers.get(header::CONTENT_RANGE);
            let range = range
                .and_then(|text| text.to_str().ok())
                .unwrap_or_default();
            if !range.starts_with(&format!("bytes {done}-")) {
                let what = format_args!("asked for bytes from {done} on, got {range:?}");
                return Err(failed("Get", &answer.url, what).with_kind(Kind::Failed));
            }
            self.output.go_on();
            return Ok(());
        }
        if status != StatusCode::OK {
            return Err(unable_to_fetch(&answer.url, &answer.response));
        }
        check_encoding(answer)?;
        if let Some(size) = wanted.size_bytes {
            check_length(answer, size)?;
        }
        let validator = headers
            .get(header::ETAG)
            .filter(|etag| !etag.as_bytes().starts_with(b"W/"));
        self.validator = validator
            .or_else(|| headers.get(header::LAST_MODIFIED))
            .cloned();
        self.output.rewind();
        self.output.begin(wanted.part).await
    }

    fn check(self, wanted: &Wanted) -> Result<()> {
        let got = hex::encode(self.digest.finalize());
        match &wanted.sha256 {
            Some(sha256) if *sha256 != got => Err(Error::failed(format!(
                "Hash mismatch for {}: {got} != {sha256}",
                shown(&wanted.url)
            ))),
            _ => Ok(()),
        }
    }
}
