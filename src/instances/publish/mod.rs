//! Instances and their snapshots become images.
//!
//! One pass: the tree is packed, compressed, hashed and staged on a thread of its own ([`job`]),
//! then let in by the one door like every image. Not many at once ([`queue`]). What is published
//! does not change meanwhile: whoever would start, change or delete the instance waits, or is told.
//!
//! Deliberately absent: stopping and starting a running instance, which clients do for `--force`.

mod job;
mod leftovers;
mod manifest;
mod queue;

use std::{num::NonZero, time::Instant};

use futures_util::{FutureExt, future::FusedFuture};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Instance, Instances,
    locks::Shared,
    progress::{Done, Progress},
    query,
    status::Status,
};
use crate::{
    access::Scope,
    api::{
        objects::{Metadata as OperationMetadata, OperationObject, Requestor},
        requests::{ImagesPost, ImagesPostSource},
    },
    config::keys,
    error::{Error, Kind, Result},
    image::{Architecture, Compression, Workers},
    images::Description,
    operations::{Operation, Spec},
    settings::Settings,
};

use job::{Job, Packed};
use manifest::{Given, Origin};
use queue::{Place, Queue};

/// LXD's words for how far it is.
const PROGRESS: Progress = Progress {
    stage: "create_image_from_container_pack",
    label: "Image pack",
};

/// Under which an operation tells what should not have been in the image.
const WARNINGS: &str = "warnings";

/// What publishing needs beside instances and images. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Publishing {
    queue: Queue,
    settings: Settings,
}

impl std::fmt::Debug for Publishing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publishing")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Publishing {
    /// Nobody publishes yet.
    pub(crate) fn new(settings: Settings) -> Self {
        let queue = Queue::new(width(&settings));
        Self { queue, settings }
    }
}

/// What a request asks for.
#[derive(Debug)]
struct Wish {
    /// `INSTANCE` or `INSTANCE/SNAPSHOT`.
    name: String,
    is_snapshot: bool,
    given: Given,
    compression: Option<Compression>,
    public: bool,
    filename: String,
    aliases: Vec<(String, String)>,
}

/// What is published.
struct Found {
    instance: Instance,
    snapshot: Option<String>,
}

impl Instances {
    /// Begins the operation that makes an image of an instance or a snapshot.
    ///
    /// # Errors
    ///
    /// 400 for an unknown way to compress, 404 when there is no such instance.
    pub(crate) async fn publish(
        &self,
        scope: Scope,
        request: ImagesPost,
        source: ImagesPostSource,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let wish = Wish::new(request, source)?;
        if !wish.name.is_empty() {
            self.published(&scope, &wish.name).await?;
        }
        let spec = Spec {
            // LXD: all ways to an image are called that.
            description: "Downloading image",
            project: Some(scope.project.name.clone()),
            requestor: Some(requestor),
            ..Spec::default()
        };
        let this = self.clone();
        Ok(self.operations.task(spec, move |operation| async move {
            this.publish_now(&scope, wish, &operation).await
        }))
    }

    async fn publish_now(&self, scope: &Scope, wish: Wish, operation: &Operation) -> Result<()> {
        wish.check()?;
        let (place, _shared) = self.take_turn(scope, &wish, operation).await?;
        let found = self.still_published(scope, &wish).await?;
        let packed = self.pack(scope, &wish, &found, operation).await?;
        drop(place);
        self.let_in(scope, wish, found, packed, operation).await
    }

    /// Waits for the turn and until nobody changes the instance, never for one with the other: an
    /// instance that somebody is long at work with holds up nobody else.
    async fn take_turn(
        &self,
        scope: &Scope,
        wish: &Wish,
        operation: &Operation,
    ) -> Result<(Place, Shared)> {
        let project = &scope.project.name;
        let name = wish.name.split('/').next().unwrap_or_default();
        loop {
            let mut place = self.publishing.queue.enter(project);
            operation
                .cancellable(self.wait_for_turn(&mut place, operation))
                .await?;
            self.still_published(scope, wish).await?;
            if let Some(shared) = self.locks.try_share(project, name, "publish") {
                return Ok((place, shared));
            }
            drop(place);
            operation.tell_progress(&PROGRESS.key(), "Waiting: the instance is in use");
            let freed = async { Ok(self.locks.share(project, name, "publish").await) };
            drop(operation.cancellable(freed).await?);
        }
    }

    /// What is published, as it is now.
    async fn still_published(&self, scope: &Scope, wish: &Wish) -> Result<Found> {
        let found = self.published(scope, &wish.name).await?;
        if found.snapshot.is_none() && self.status(&found.instance) != Status::Stopped {
            let text = "Cannot export a running instance as an image";
            return Err(Error::failed(text));
        }
        Ok(found)
    }

    /// Waits in the queue, telling how many come before.
    async fn wait_for_turn(&self, place: &mut Place, operation: &Operation) -> Result<()> {
        let Publishing { queue, settings } = &self.publishing;
        let mut changes = settings.watch();
        let resizing = async {
            loop {
                queue.resize(width(settings));
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let tell = |before| {
            let text = format!("Waiting: {before} before this one");
            operation.tell_progress(&PROGRESS.key(), &text);
        };
        tokio::select! {
            () = place.turn(tell) => Ok(()),
            () = resizing => Ok(()),
        }
    }

    /// The instance or snapshot of this name.
    async fn published(&self, scope: &Scope, name: &str) -> Result<Found> {
        let project = &scope.project.name;
        let Some((name, snapshot)) = name.split_once('/') else {
            let instance = self.find(project, name).await?;
            return Ok(Found {
                instance,
                snapshot: None,
            });
        };
        let found = self.find_snapshot(project, name, snapshot).await;
        let (instance, row) = found.map_err(|error| match error.kind() {
            // LXD: a snapshot is an instance here.
            Kind::NotFound => query::not_found(),
            _ => error,
        })?;
        Ok(Found {
            instance,
            snapshot: Some(row.name),
        })
    }

    /// Packs on a thread of its own, and waits until that has ended, however it did: what it
    /// holds is free then, and what it wrote is gone.
    async fn pack(
        &self,
        scope: &Scope,
        wish: &Wish,
        found: &Found,
        operation: &Operation,
    ) -> Result<Packed> {
        let draft = self.images.draft(scope).await?;
        let cancel = CancellationToken::new();
        let (told, seen) = watch::channel(Done::default());
        let job = self.job(scope, wish, found, (cancel.clone(), told)).await?;
        // A daemon that is cut off does not wait, but ends the thread.
        let _ended = cancel.clone().drop_guard();
        let packing = self.tasks.start_blocking(move || job.run(draft));
        let mut packing = Box::pin(packing.fuse());
        let telling = tell(seen, operation);
        let ended = operation
            .cancellable(async {
                tokio::select! {
                    packed = &mut packing => packed,
                    () = telling => Err(Error::failed("Publishing interrupted")),
                }
            })
            .await;
        cancel.cancel();
        if packing.is_terminated() {
            return ended;
        }
        packing.await.and(ended)
    }

    async fn job(
        &self,
        scope: &Scope,
        wish: &Wish,
        found: &Found,
        (cancel, told): (CancellationToken, watch::Sender<Done>),
    ) -> Result<Job> {
        let row = &found.instance.row;
        let (pool, name) = match &found.snapshot {
            None => self.tree(&found.instance).await?,
            Some(snapshot) => self.tree_at(&found.instance, snapshot).await?,
        };
        let (tasks, given_up) = (self.tasks.clone(), cancel.clone());
        let count = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Job {
            pool,
            name,
            given: wish.given.clone(),
            origin: Origin {
                architecture: Architecture::parse(&row.architecture)?,
                created_at: row.created_at.parse()?,
            },
            compression: self.compression(scope, wish)?,
            workers: Workers::new(count, move |job| tasks.start_job(job))
                .until(move || given_up.is_cancelled()),
            cancel,
            told,
        })
    }

    /// How to compress: what the request says, else the project, else the server.
    fn compression(&self, scope: &Scope, wish: &Wish) -> Result<Compression> {
        const KEY: &str = "images.compression_algorithm";
        if let Some(compression) = &wish.compression {
            return Ok(compression.clone());
        }
        let settings = self.publishing.settings.current();
        let project = scope.project.config.get(KEY).map(String::as_str);
        let text = project.unwrap_or_else(|| keys::value(&settings, KEY));
        Compression::parse(text).map_err(Error::bad_request)
    }

    /// Makes an image of what was packed.
    async fn let_in(
        &self,
        scope: &Scope,
        wish: Wish,
        found: Found,
        packed: Packed,
        operation: &Operation,
    ) -> Result<()> {
        let Packed {
            finished,
            manifest,
            warnings,
        } = packed;
        for warning in &warnings {
            tracing::warn!(
                instance = wish.name,
                project = scope.project.name,
                "{warning}"
            );
        }
        let mut told = OperationMetadata::new();
        told.insert(
            "fingerprint".to_owned(),
            finished.fingerprint().as_str().into(),
        );
        told.insert("size".to_owned(), finished.size_bytes().to_string().into());
        if !warnings.is_empty() {
            told.insert(WARNINGS.to_owned(), warnings.into());
        }
        operation.set_metadata(told);
        let description = Description {
            kind: found.instance.row.kind,
            architecture: Architecture::parse(&found.instance.row.architecture)?,
            filename: wish.filename,
            public: wish.public,
            expires_at: manifest.expires_at()?,
            properties: manifest.metadata.properties,
            aliases: wish.aliases,
        };
        self.images
            .admit_draft(scope, finished, description, operation.requestor())
            .await
    }
}

impl Wish {
    fn new(request: ImagesPost, source: ImagesPostSource) -> Result<Self> {
        let algorithm = &request.compression_algorithm;
        let compression = (!algorithm.is_empty()).then(|| Compression::parse(algorithm));
        let aliases = request.aliases.unwrap_or_default().into_iter();
        Ok(Self {
            name: source.name,
            is_snapshot: source.kind == "snapshot",
            given: Given {
                properties: request.put.properties,
                expires_at: request.put.expires_at,
            },
            compression: compression.transpose().map_err(Error::bad_request)?,
            public: request.put.public,
            filename: request.filename,
            aliases: aliases
                .map(|alias| (alias.name, alias.description))
                .collect(),
        })
    }

    /// What LXD says only in the operation.
    fn check(&self) -> Result<()> {
        let text = match (self.is_snapshot, self.name.contains('/')) {
            _ if self.name.is_empty() => "No source provided",
            (true, false) => "Not a snapshot",
            (false, true) => "This is a snapshot",
            (true, true) | (false, false) => return Ok(()),
        };
        Err(Error::failed(text))
    }
}

/// Tells how far it is until nobody packs any more.
async fn tell(mut seen: watch::Receiver<Done>, operation: &Operation) {
    let started = Instant::now();
    while seen.changed().await.is_ok() {
        let done = *seen.borrow_and_update();
        operation.set_metadata(PROGRESS.metadata(done, started.elapsed()));
    }
    // How it ended is for the other side to say.
    std::future::pending::<()>().await;
}

fn width(settings: &Settings) -> usize {
    let current = settings.current();
    keys::value(&current, keys::PUBLISH_PARALLEL)
        .parse()
        .unwrap_or(1)
}
