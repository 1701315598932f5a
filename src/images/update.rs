//! Images that are to be kept up to date are, all of them, again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Images, origin::Behalf, updates::Key};
use crate::{
    access::Scope,
    api::{Timestamp, objects::Metadata},
    clock::since_boot,
    config,
    db::{self, ProjectId, images::Sourced},
    error::{Error, Result},
    image::Fingerprint,
    operations::Operation,
    remote::Throttle,
    settings::Settings,
};

/// How long one image may take.
const PATIENCE: Duration = Duration::from_hours(6);

/// The longest interval: a hundred years.
const MAX_HOURS: i64 = 876_600;

/// An image that is to be brought up to date.
struct Due {
    scope: Scope,
    image: Sourced,
    /// How often its project is looked at.
    every: Duration,
}

/// What came of one image.
enum Outcome {
    /// It is the newest.
    Same,
    /// There was a newer one.
    New(Fingerprint),
    /// Why it could not be brought up to date.
    Failed(Error),
    /// It went, or is not to be kept up to date any more.
    Gone,
    /// The pass ended before.
    Skipped,
}

/// What one pass has done.
#[derive(Default)]
struct Done {
    checked: usize,
    updated: Vec<Value>,
}

impl Images {
    /// Brings the images up to date that are due: those of projects that have not been looked at
    /// for their interval, and those that failed and are to be tried again. A failure leaves the
    /// image as it is, and is told; the others go on.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(crate) async fn update_all(&self, operation: Operation) -> Result<()> {
        operation.allow_cancel();
        let stop = operation.cancelled().child_token();
        let due = self.due().await?;
        let (this, whole, token) = (self.clone(), operation.clone(), stop.clone());
        let looks = stream::iter(due).map(move |due| {
            let (this, part, token) = (this.clone(), whole.part(&token), token.clone());
            async move {
                let outcome = this.look_after(&due, &part, &token).await;
                (due, outcome)
            }
        });
        let mut looks = pin!(looks.buffer_unordered(self.parallel_updates()));
        let mut done = Done::default();
        loop {
            tokio::select! {
                looked = looks.next() => match looked {
                    Some((due, outcome)) => self.note(&due, outcome, &mut done),
                    None => break,
                },
                () = self.tasks.stopping().cancelled(), if !stop.is_cancelled() => stop.cancel(),
            }
            self.tell_updates(&done, &operation).await?;
        }
        self.until_updates().await?;
        self.tell_updates(&done, &operation).await
    }

    /// Makes every image due.
    pub(crate) fn make_updates_due(&self) {
        self.updates.plan().clear();
    }

    /// How long it is until an image is due. What is not kept up to date any more is forgotten.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(crate) async fn until_updates(&self) -> Result<Duration> {
        let mut session = self.db.read().await?;
        let images = db::images::updated(&mut session).await?;
        let images: BTreeSet<_> = images.iter().map(key).collect();
        let projects = self.intervals(&mut session).await?.into_iter();
        let projects = projects
            .map(|(scope, every)| (scope.images, every))
            .collect();
        let now = since_boot();
        Ok(self.updates.plan().settle(&images, &projects, now))
    }

    fn parallel_updates(&self) -> usize {
        let settings = self.settings.current();
        let number = config::keys::value(&settings, "lximaged.auto_update_parallel");
        number.parse().unwrap_or(1)
    }

    /// What is due now.
    async fn due(&self) -> Result<Vec<Due>> {
        let mut session = self.db.read().await?;
        let mut images: BTreeMap<ProjectId, Vec<Sourced>> = BTreeMap::new();
        for image in db::images::updated(&mut session).await? {
            images.entry(image.project).or_default().push(image);
        }
        let now = since_boot();
        let mut due = Vec::new();
        for (project, every) in self.intervals(&mut session).await? {
            let of_project = images.remove(&project.images).unwrap_or_default();
            let mut plan = self.updates.plan();
            let is_due = plan.is_due(project.images, every, now);
            if is_due {
                plan.pass(project.images, now);
            }
            let is_retried = |image: &Sourced| plan.is_retried(&key(image), now);
            let of_project = of_project.into_iter();
            due.extend(
                of_project
                    .filter(|image| is_due || is_retried(image))
                    .map(|image| Due {
                        scope: project.clone(),
                        image,
                        every,
                    }),
            );
        }
        Ok(due)
    }

    /// The projects whose images are looked at, and how often.
    async fn intervals(&self, session: &mut db::Session) -> Result<Vec<(Scope, Duration)>> {
        let mut intervals = Vec::new();
        for project in db::projects::list(session).await? {
            let scope = Scope::find(session, &project.name).await?;
            // One that shares the images of another has none of its own.
            if scope.images != project.id {
                continue;
            }
            let hours = self
                .policy(&scope)
                .update_hours
                .map(|hours| hours.min(MAX_HOURS));
            let every =
                hours.map(|hours| Duration::from_secs(hours.unsigned_abs().saturating_mul(3600)));
            intervals.extend(every.map(|every| (scope, every)));
        }
        Ok(intervals)
    }

    async fn look_after(&self, due: &Due, part: &Operation, stop: &CancellationToken) -> Outcome {
        if part.is_cancelled() {
            return Outcome::Skipped;
        }
        // It was due when the pass began, which may be hours ago.
        if let Ok(false) = self.is_kept_current(&due.image).await {
            return Outcome::Gone;
        }
        let (row, source) = (&due.image.image, &due.image.source);
        let behalf = Behalf::own().bound_to(source, &due.scope);
        let mut updating = pin!(self.update(&due.scope, row, source, behalf, part));
        let updated = tokio::select! {
            updated = &mut updating => updated,
            () = tokio::time::sleep(PATIENCE) => {
                part.end();
                updating.await
            }
        };
        match updated {
            Ok(Some(new)) => Outcome::New(new),
            Ok(None) => Outcome::Same,
            Err(_) if stop.is_cancelled() => Outcome::Skipped,
            Err(error) => match self.is_kept_current(&due.image).await {
                Ok(false) => Outcome::Gone,
                _ => Outcome::Failed(error),
            },
        }
    }

    /// Whether an image is there, and to be kept up to date.
    async fn is_kept_current(&self, image: &Sourced) -> Result<bool> {
        let fingerprint = &image.image.fingerprint;
        let mut session = self.db.read().await?;
        let row = db::images::find(&mut session, image.project, fingerprint).await?;
        Ok(row.is_some_and(|row| row.auto_update))
    }

    fn note(&self, due: &Due, outcome: Outcome, done: &mut Done) {
        let (project, key) = (&due.scope.project.name, key(&due.image));
        let mut plan = self.updates.plan();
        match outcome {
            Outcome::Skipped => return,
            Outcome::Same | Outcome::Gone => plan.succeed(&key),
            Outcome::New(new) => {
                tracing::info!(image.fingerprint = %new, from = %key.1, project, "updated an image");
                done.updated.push(json!({
                    "project": project, "from": key.1.as_str(), "to": new.as_str(),
                }));
                plan.succeed(&key);
            }
            Outcome::Failed(error) => {
                tracing::warn!(%error, image.fingerprint = %key.1, project,
                    "an image cannot be updated; it stays as it is");
                plan.fail(key, error.message(), (due.every, since_boot()));
            }
        }
        done.checked += 1;
    }

    /// Tells what was done, and everything that fails at the moment.
    async fn tell_updates(&self, done: &Done, operation: &Operation) -> Result<()> {
        let projects = db::projects::list(&mut *self.db.read().await?).await?;
        let names: BTreeMap<_, _> = projects.into_iter().map(|row| (row.id, row.name)).collect();
        let (now, clock) = (since_boot(), self.clock.now());
        let plan = self.updates.plan();
        let failing = plan.troubles().map(|((project, fingerprint), trouble)| {
            let retry = clock + trouble.retry.saturating_sub(now);
            json!({
                "project": names.get(project),
                "fingerprint": fingerprint.as_str(),
                "error": trouble.error,
                "failures": trouble.failures,
                "retry_at": Timestamp::from(retry).to_string(),
            })
        });
        let failing: Vec<_> = failing.collect();
        drop(plan);
        operation.set_metadata(Metadata::from_iter([
            ("checked".to_owned(), done.checked.into()),
            ("updated".to_owned(), done.updated.clone().into()),
            ("failing".to_owned(), failing.into()),
        ]));
        Ok(())
    }
}

/// The limit on downloads that nobody waits for, as it is set.
pub(super) fn throttle(settings: &Settings) -> Throttle {
    let settings = settings.clone();
    Throttle::new(move || {
        let current = settings.current();
        let text = config::keys::value(&current, "lximaged.auto_update_bandwidth");
        config::parse_size(text).map(i64::unsigned_abs)
    })
}

fn key(image: &Sourced) -> Key {
    (image.project, image.image.fingerprint.clone())
}
