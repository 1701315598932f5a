//! A simplestreams server: its documents are fetched, kept, and found to be current again; its
//! files are downloaded.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    pin::Pin as Pinned,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reqwest::Url;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    cache::{About, Cache},
    catalog::{Catalog, Entry, ListedFile},
    delta::UsableDelta,
    document::{Index, Products},
};
use crate::{
    clock::Clock,
    error::{Context, Error, Kind, Result},
    image::{Fingerprint, Part},
    remote::{
        Asked, Contact, Meter, Outbound, RemoteImage, Sink,
        download::Wanted,
        request::{Request, check_encoding, parse_url, unable_to_fetch},
        wording::shown,
    },
    tasks::Tasks,
};

/// The longest index.
const MAX_INDEX_BYTES: usize = 16 * 1024 * 1024;

/// The longest list of products.
const MAX_PRODUCTS_BYTES: usize = 64 * 1024 * 1024;

/// The most lists of products that are read.
const MAX_LISTS: usize = 16;

/// How long documents are taken to be current.
const CURRENT_FOR: time::Duration = time::Duration::hours(1);

/// How long documents are kept after they were last asked for or found to be current.
const KEPT_FOR: time::Duration = time::Duration::days(30);

/// How long a server is given to get over having gone back in time.
const ROLLBACK_FOR: time::Duration = time::Duration::hours(24);

/// How long a catalog is kept in memory after its last use.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// The most servers whose catalogs are kept in memory.
const MAX_SERVERS: usize = 16;

/// What LXD says before the reasons.
const INDEX_FAILED: &str = "Failed getting image: Failed parsing stream";
const PRODUCTS_FAILED: &str = "Failed getting image: Failed parsing products";

/// How current documents have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// An hour old at most.
    Hour,
    /// Asked for at the server.
    Revalidated,
    /// Fetched: what is kept has proved wrong.
    Anew,
}

/// The root files there are, by the fingerprint of their image.
pub(crate) type Bases = Arc<
    dyn Fn(Fingerprint) -> Pinned<Box<dyn Future<Output = Option<PathBuf>> + Send>> + Send + Sync,
>;

/// What is known of all servers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    outbound: Outbound,
    cache: Cache,
    tasks: Tasks,
    clock: Clock,
    /// By server and pinned certificate. Each has a lock of its own, held while its documents are
    /// looked at, so that they are fetched once however many ask.
    servers: Arc<Mutex<BTreeMap<Address, Arc<tokio::sync::Mutex<Known>>>>>,
}

/// By what servers are told apart.
type Address = (String, Option<crate::remote::Pin>);

/// What is known of a server.
#[derive(Debug, Default)]
struct Known {
    catalog: Option<Arc<Catalog>>,
    documents: Vec<About>,
    /// When the server was last asked, and how.
    asked: Option<(Instant, Freshness)>,
    /// Why its documents may be out of date: what it was last asked for did not come.
    outdated: Option<String>,
    used: Option<Instant>,
}

/// A server that has told what it offers.
#[derive(Debug, Clone)]
pub(crate) struct StreamServer {
    pub(super) outbound: Outbound,
    pub(super) contact: Contact,
    base: Url,
    catalog: Arc<Catalog>,
    outdated: Option<String>,
}

/// An image of such a server.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// What the server says of it.
    pub(crate) image: RemoteImage,
    pub(super) entry: Entry,
}

/// A document as it is now.
struct Document {
    about: About,
    /// `None` when it is the same as before, and only kept on disk.
    body: Option<Bytes>,
    /// Why it may be out of date.
    outdated: Option<String>,
}

impl Document {
    /// One that is on disk, and why it may be out of date.
    fn kept(about: About, outdated: Option<&str>) -> Self {
        Self {
            about,
            body: None,
            outdated: outdated.map(str::to_owned),
        }
    }
}

impl Known {
    /// What is still to be asked of the server on behalf of somebody who has waited since `since`:
    /// nothing when somebody else has asked it as much meanwhile. A look at what is kept asks
    /// nobody, and one with conditions does not help who knows that the server gets them wrong.
    fn spare(&self, freshness: Freshness, since: Instant) -> Freshness {
        let is_asked = self.asked.is_some_and(|(when, how)| {
            when >= since && (how == freshness || how == Freshness::Anew)
        });
        if is_asked { Freshness::Hour } else { freshness }
    }
}

impl StreamServer {
    /// Why what it offers may be out of date: it could not be asked, or went back in time.
    pub(crate) fn outdated(&self) -> Option<&str> {
        self.outdated.as_deref()
    }
}

impl Streams {
    /// Keeps documents in `directory`.
    pub(crate) fn new(outbound: Outbound, directory: PathBuf, tasks: Tasks, clock: Clock) -> Self {
        Self {
            outbound,
            cache: Cache::new(directory),
            tasks,
            clock,
            servers: Arc::default(),
        }
    }

    /// Finds out what a server offers.
    ///
    /// # Errors
    ///
    /// When its documents cannot be had, and are not kept either; when they are not what they
    /// should be. The URL is named.
    pub(crate) async fn open(
        &self,
        server: &str,
        contact: Contact,
        freshness: Freshness,
    ) -> Result<StreamServer> {
        let asked = Instant::now();
        let base = parse_url("Get", server.trim_end_matches('/'))?;
        self.outbound.admit(&contact, &base).await?;
        let known = self.known((base.to_string(), contact.pin.clone()));
        let mut known = known.lock().await;
        let freshness = known.spare(freshness, asked);
        let catalog = self.look(&base, &contact, freshness, &mut known).await?;
        known.used = Some(Instant::now());
        Ok(StreamServer {
            outbound: self.outbound.clone(),
            contact,
            base,
            catalog,
            outdated: known.outdated.clone(),
        })
    }

    /// Removes kept documents that nobody has asked for in a long time. Returns how many.
    ///
    /// # Errors
    ///
    /// When they cannot be looked at.
    pub(crate) async fn remove_unused(&self) -> Result<usize> {
        let (cache, then) = (self.cache.clone(), self.clock.now() - KEPT_FOR);
        let remove = move || {
            let removed = cache.remove_unused(then);
            removed.context("Failed to look at the kept streams")
        };
        self.tasks.run_blocking(remove).await
    }

    fn known(&self, key: Address) -> Arc<tokio::sync::Mutex<Known>> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= MAX_SERVERS && !servers.contains_key(&key) {
            servers.clear();
        }
        if let Some(known) = servers.get(&key) {
            return Arc::clone(known);
        }
        let known = Arc::<tokio::sync::Mutex<Known>>::default();
        servers.insert(key, Arc::clone(&known));
        self.forget_later(Arc::downgrade(&known));
        known
    }

    /// Lets go of a catalog that nobody uses.
    fn forget_later(&self, known: std::sync::Weak<tokio::sync::Mutex<Known>>) {
        let stopping = self.tasks.stopping().clone();
        self.tasks.spawn("forget streams", async move {
            let rest = || stopping.run_until_cancelled(tokio::time::sleep(FORGOTTEN_AFTER));
            while rest().await.is_some() {
                let Some(known) = known.upgrade() else { return };
                let mut known = known.lock().await;
                if known
                    .used
                    .is_none_or(|used| used.elapsed() >= FORGOTTEN_AFTER)
                {
                    known.catalog = None;
                }
            }
        });
    }

    /// The catalog as current as is asked for.
    async fn look(
        &self,
        base: &Url,
        contact: &Contact,
        freshness: Freshness,
        known: &mut Known,
    ) -> Result<Arc<Catalog>> {
        let look = Look {
            streams: self,
            contact,
            freshness,
        };
        let url = below(base, "streams/v1/index.json")?;
        let index = look.document(&url, MAX_INDEX_BYTES).await;
        let index = index.context(INDEX_FAILED)?;
        let list: Index = look
            .parsed(&index, MAX_INDEX_BYTES)
            .await
            .context(INDEX_FAILED)?;
        let mut documents = Vec::new();
        for path in paths(&list) {
            let url = below(base, &path).context(PRODUCTS_FAILED)?;
            let document = look.document(&url, MAX_PRODUCTS_BYTES).await;
            documents.push(document.context(PRODUCTS_FAILED)?);
        }
        if freshness != Freshness::Hour {
            let mut all = std::iter::once(&index).chain(&documents);
            known.outdated = all.find_map(|document| document.outdated.clone());
            known.asked = Some((Instant::now(), freshness));
        }
        let abouts: Vec<_> = documents
            .iter()
            .map(|document| document.about.clone())
            .collect();
        let catalog = match &known.catalog {
            Some(catalog) if known.documents == abouts => Arc::clone(catalog),
            _ => look.catalog(base, documents).await?,
        };
        known.catalog = Some(Arc::clone(&catalog));
        known.documents = abouts;
        Ok(catalog)
    }
}

/// The lists of images that an index names, each once.
// LXD: lists without products, and those of other things, are not even fetched.
fn paths(index: &Index) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in index.index.values() {
        let is_wanted = entry.datatype == "image-downloads" && !entry.products.is_empty();
        if is_wanted && !paths.contains(&entry.path) {
            paths.push(entry.path.clone());
        }
    }
    paths.truncate(MAX_LISTS);
    paths
}

/// One look at a server's documents.
struct Look<'a> {
    streams: &'a Streams,
    contact: &'a Contact,
    freshness: Freshness,
}

impl Look<'_> {
    /// A document as it is now. What is kept serves while it is current, and when the server
    /// cannot be asked.
    async fn document(&self, url: &Url, max_bytes: usize) -> Result<Document> {
        let (cache, pin) = (self.streams.cache.clone(), self.contact.pin.clone());
        let text = url.to_string();
        let now = self.streams.clock.now();
        let find = move || Ok(cache.find(&text, pin.as_ref(), now));
        let kept = self.streams.tasks.run_blocking(find).await?;
        let Some(kept) = kept else {
            return self.fetch(url, None, max_bytes).await;
        };
        let age = now - kept.checked;
        if self.freshness == Freshness::Hour && is_within(age, CURRENT_FOR) {
            return Ok(Document::kept(kept.about, None));
        }
        let known = Some(&kept.about).filter(|_| self.freshness != Freshness::Anew);
        let fetched = match self.fetch(url, known, max_bytes).await {
            Ok(fetched) => fetched,
            Err(error) if error.kind() == Kind::Forbidden => return Err(error),
            Err(error) => {
                tracing::warn!(%error, %url, "using the stream that was kept");
                return Ok(Document::kept(kept.about, Some(error.message())));
            }
        };
        if is_within(age, ROLLBACK_FOR) && self.is_older(&fetched, &kept.about, max_bytes).await? {
            tracing::warn!(%url, "the server went back in time: using the stream that was kept");
            let why = format!("The list at {} is older than it was", shown(url));
            return Ok(Document::kept(kept.about, Some(&why)));
        }
        Ok(fetched)
    }

    /// Whether a fetched list is older than the one that is kept.
    async fn is_older(&self, fetched: &Document, kept: &About, max_bytes: usize) -> Result<bool> {
        let Some(body) = fetched.body.clone() else {
            return Ok(false);
        };
        let (cache, pin) = (self.streams.cache.clone(), self.contact.pin.clone());
        let kept = kept.clone();
        let compare = move || {
            let old = cache.read(&kept, pin.as_ref(), max_bytes);
            let (new, old) = (updated(&body), old.as_deref().and_then(updated));
            Ok(new.zip(old).is_some_and(|(new, old)| new < old))
        };
        self.streams.tasks.run_blocking(compare).await
    }

    async fn fetch(&self, url: &Url, known: Option<&About>, max_bytes: usize) -> Result<Document> {
        let mut request = Request::get(url.clone());
        if let Some(about) = known {
            let conditions = [
                (header::IF_NONE_MATCH, &about.etag),
                (header::IF_MODIFIED_SINCE, &about.last_modified),
            ];
            request
                .headers
                .extend(conditions.into_iter().filter_map(condition));
        }
        let outbound = &self.streams.outbound;
        let answer = outbound.send(self.contact, request).await?;
        let status = answer.response.status();
        if let (StatusCode::NOT_MODIFIED, Some(about)) = (status, known) {
            self.touch(about);
            return Ok(Document::kept(about.clone(), None));
        }
        if status != StatusCode::OK {
            return Err(unable_to_fetch(url, &answer.response));
        }
        check_encoding(&answer)?;
        let about = about(url, answer.response.headers());
        let body = outbound.small_body(answer, max_bytes).await?;
        let about = About {
            sha256: hex::encode(Sha256::digest(&body)),
            ..about
        };
        Ok(Document {
            about,
            body: Some(body),
            outdated: None,
        })
    }

    fn touch(&self, about: &About) {
        let (now, pin) = (self.streams.clock.now(), self.contact.pin.as_ref());
        self.streams.cache.touch(about, pin, now);
    }

    /// What a document says. One that is kept and damaged is fetched again, whatever the server
    /// thinks that we have.
    async fn parsed<T>(&self, document: &Document, max_bytes: usize) -> Result<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        if let Some(parsed) = self.read(document, max_bytes).await? {
            return Ok(parsed);
        }
        let url = parse_url("Get", &document.about.url)?;
        tracing::warn!(%url, "the kept stream is damaged: fetching it again");
        let fetched = self.fetch(&url, None, max_bytes).await?;
        let parsed = self.read(&fetched, max_bytes).await?;
        parsed.ok_or_else(|| {
            let text = format!("The kept stream of {} is gone", shown(&url));
            Error::new(Kind::Unavailable, text)
        })
    }

    /// The same, of what is here; `None` when it is damaged. What was fetched is kept once it is
    /// known to be good.
    async fn read<T>(&self, document: &Document, max_bytes: usize) -> Result<Option<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let (cache, pin) = (self.streams.cache.clone(), self.contact.pin.clone());
        let (about, body) = (document.about.clone(), document.body.clone());
        let parse = move || {
            if let Some(body) = body {
                let parsed = decode(&about.url, &body)?;
                cache.write(&about, pin.as_ref(), &body);
                return Ok(Some(parsed));
            }
            let kept = cache.read(&about, pin.as_ref(), max_bytes);
            kept.map(|kept| decode(&about.url, &kept)).transpose()
        };
        self.streams.tasks.run_blocking(parse).await
    }

    async fn catalog(&self, base: &Url, documents: Vec<Document>) -> Result<Arc<Catalog>> {
        let mut lists: Vec<Products> = Vec::new();
        for document in &documents {
            let list = self.parsed(document, MAX_PRODUCTS_BYTES).await;
            lists.push(list.context(PRODUCTS_FAILED)?);
        }
        let base = base.to_string();
        let build = move || Ok(Arc::new(Catalog::new(&base, lists)));
        self.streams.tasks.run_blocking(build).await
    }
}

/// Whether something is so old at most. What is of the future is of a wrong clock.
fn is_within(age: time::Duration, limit: time::Duration) -> bool {
    !age.is_negative() && age < limit
}

// LXD: the text of a document that cannot be read. What is in it stays out of the answer.
fn decode<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let text = format!(
            "Failed decoding stream JSON from {url:?}: not what it should be at line {line} column {column}"
        );
        tracing::info!(%error, url, "a stream cannot be read");
        Error::failed(text)
    })
}

/// When a list says it was made.
fn updated(body: &[u8]) -> Option<time::OffsetDateTime> {
    let list: Products = serde_json::from_slice(body).ok()?;
    time::OffsetDateTime::parse(
        &list.updated,
        &time::format_description::well_known::Rfc2822,
    )
    .ok()
}

fn condition((name, value): (HeaderName, &Option<String>)) -> Option<(HeaderName, HeaderValue)> {
    Some((name, HeaderValue::try_from(value.as_ref()?).ok()?))
}

fn about(url: &Url, headers: &HeaderMap) -> About {
    let text = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.filter(|text| text.len() < 1024).map(str::to_owned)
    };
    About {
        url: url.to_string(),
        etag: text(header::ETAG),
        last_modified: text(header::LAST_MODIFIED),
        sha256: String::new(),
    }
}

/// The URL of a file of a server.
///
/// # Errors
///
/// When the path leads anywhere but below the server's own URL.
fn below(base: &Url, path: &str) -> Result<Url> {
    let is_outside = path.contains("://") || path.starts_with("//") || path.contains('\\');
    let segments: Vec<_> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let climbs = |segment: &&str| {
        let decoded = crate::api::url::unescape(segment, false);
        decoded.is_none_or(|text| text == "." || text == ".." || text.contains('/'))
    };
    let mut url = base.clone();
    let is_refused = is_outside || segments.is_empty() || segments.iter().any(climbs);
    let extended = url.path_segments_mut().map(|mut end| {
        end.pop_if_empty().extend(segments);
    });
    if is_refused || extended.is_err() {
        let text = format!(
            "The image server {} lists a file outside of it",
            shown(base)
        );
        return Err(Error::failed(text));
    }
    Ok(url)
}

impl StreamServer {
    /// Finds an image: by alias, fingerprint, or the beginning of one.
    ///
    /// # Errors
    ///
    /// LXD's texts, and what the user may have meant.
    pub(crate) fn find(&self, asked: &Asked) -> Result<Listed> {
        let found = self.catalog.find(asked)?;
        Ok(Listed {
            image: self.catalog.describe(found),
            entry: found.0.clone(),
        })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        shown(&self.base)
    }

    /// Fetches the files of an image. With a delta, the root is made out of an older one.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] when the server lists what it does not have; else why not, with the URL.
    pub(crate) async fn fetch(
        &self,
        listed: &Listed,
        delta: Option<&UsableDelta>,
        sink: &mut impl Sink,
        meter: Meter,
    ) -> Result<()> {
        let entry = &listed.entry;
        let metadata = self.wanted(&entry.metadata, Part::Image)?;
        let rootfs = entry.rootfs.as_ref();
        let rootfs = rootfs
            .map(|file| self.wanted(file, Part::Rootfs))
            .transpose()?;
        let label = if entry.rootfs.is_some() {
            "metadata: "
        } else {
            ""
        };
        let of_metadata = meter.of(label, metadata.size_bytes);
        self.outbound
            .download(&self.contact, &metadata, sink, of_metadata)
            .await?;
        let Some(rootfs) = rootfs else {
            return Ok(());
        };
        if let Some(UsableDelta { delta, base }) = delta {
            let delta = self.wanted(&delta.file, Part::Rootfs)?;
            return self.patch(base, &delta, &rootfs, sink, meter).await;
        }
        let of_rootfs = meter.of("rootfs: ", rootfs.size_bytes);
        self.outbound
            .download(&self.contact, &rootfs, sink, of_rootfs)
            .await
    }

    fn wanted(&self, file: &ListedFile, part: Part) -> Result<Wanted> {
        Ok(Wanted {
            url: below(&self.base, &file.path)?,
            part,
            size_bytes: file.size_bytes,
            sha256: file.sha256.as_deref().map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_asked_as_much_spares_others_from_asking() {
        use Freshness::{Anew, Hour, Revalidated};
        let before = Instant::now();
        let since = before + Duration::from_secs(1);
        let later = since + Duration::from_secs(1);
        for (asked, freshness, spared) in [
            (None, Revalidated, Revalidated),
            (Some((later, Revalidated)), Revalidated, Hour),
            (Some((later, Revalidated)), Anew, Anew),
            (Some((later, Anew)), Revalidated, Hour),
            (Some((later, Anew)), Anew, Hour),
            (Some((since, Anew)), Hour, Hour),
        ] {
            let known = Known {
                asked,
                ..Known::default()
            };
            assert_eq!(known.spare(freshness, since), spared, "{asked:?}");
            let known = Known {
                asked: asked.map(|(_, how)| (before, how)),
                ..known
            };
            assert_eq!(known.spare(freshness, since), freshness, "{asked:?}");
        }
    }
}
