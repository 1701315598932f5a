//! Cached images that nobody uses any more are removed.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::{
    Images,
    doubt::{self, Doubt},
    policy::Policy,
    query,
};
use crate::{
    access::Scope,
    api::{Timestamp, objects::Metadata},
    db::{self, Db, ProjectId, images::ImageRow},
    error::{Error, Result},
    image::Fingerprint,
    operations::Operation,
};

/// What this is called among the passes that the database remembers.
const NAME: &str = "expiry";

/// What the beginning of a doubt of the clock is called there: the wait ends also when the daemon
/// is started anew again and again.
const DOUBT: &str = "expiry-doubt";

impl Policy {
    /// Whether an image is only cached and its time here is over: it has not been used for as long
    /// as the project says, or is past its own expiry date.
    pub(super) fn lets_go(self, row: &ImageRow, now: OffsetDateTime) -> bool {
        let Some(days) = self.cache_days.filter(|_| row.cached) else {
            return false;
        };
        let last_used = set(&row.last_used_at).or_else(|| set(&row.uploaded_at));
        let days = Duration::days(days.min(MAX_DAYS));
        let is_unused = last_used.is_some_and(|used| now - used >= days);
        let is_past = set(&row.expires_at)
            .is_some_and(|date| date != OffsetDateTime::UNIX_EPOCH && date <= now);
        is_unused || is_past
    }
}

/// More days than any two dates are apart.
const MAX_DAYS: i64 = 20_000_000;

/// A stored point in time; `None` for the zero time.
fn set(text: &str) -> Option<OffsetDateTime> {
    let time: Timestamp = text.parse().ok()?;
    (!time.is_zero()).then_some(time.into())
}

impl Images {
    /// Removes the cached images of every project whose time is over. After the clock has jumped
    /// ahead it waits a day: a wrong clock must not empty the store.
    ///
    /// # Errors
    ///
    /// When some image could not be removed; the others are all the same.
    pub(crate) async fn expire(&self, operation: Operation) -> Result<()> {
        operation.allow_cancel();
        let now = self.clock.now();
        if let Some(waiting) = self.waits_for_clock().await? {
            let told = [("waiting".to_owned(), waiting.into())];
            operation.set_metadata(Metadata::from_iter(told));
            return Ok(());
        }
        let mut done = Done::default();
        for (scope, row) in self.expired(now).await? {
            if operation.is_cancelled() || self.tasks.stopping().is_cancelled() {
                return done.tell(&operation);
            }
            let outcome = self.expire_one(&scope, &row, now).await;
            done.note(&scope, &row.fingerprint, outcome);
        }
        self.remember(NAME, now).await?;
        done.tell(&operation)
    }

    /// The images whose time is over, with where they are.
    async fn expired(&self, now: OffsetDateTime) -> Result<Vec<(Scope, ImageRow)>> {
        let mut session = self.db.read().await?;
        let mut cached: BTreeMap<ProjectId, Vec<ImageRow>> = BTreeMap::new();
        for (project, row) in db::images::cached(&mut session).await? {
            cached.entry(project).or_default().push(row);
        }
        let mut expired = Vec::new();
        for project in db::projects::list(&mut session).await? {
            let Some(rows) = cached.remove(&project.id) else {
                continue;
            };
            let scope = Scope::find(&mut session, &project.name).await?;
            let policy = self.policy(&scope);
            let late = rows.into_iter().filter(|row| policy.lets_go(row, now));
            expired.extend(late.map(|row| (scope.clone(), row)));
        }
        Ok(expired)
    }

    async fn expire_one(&self, scope: &Scope, row: &ImageRow, now: OffsetDateTime) -> Result<()> {
        let policy = self.policy(scope);
        let is_to_go = |row: &ImageRow| policy.lets_go(row, now);
        self.delete_if(scope, row, None, is_to_go).await
    }

    async fn remember(&self, name: &str, now: OffsetDateTime) -> Result<()> {
        let text = Timestamp::from(now).to_string();
        let mut transaction = self.db.write().await?;
        db::passes::set(&mut transaction, name, &text).await?;
        Db::commit(transaction).await
    }

    /// Why nothing expires now, when the clock has jumped ahead.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(crate) async fn waits_for_clock(&self) -> Result<Option<String>> {
        let Doubt::Waits(hours) = self.doubt(self.clock.now()).await? else {
            return Ok(None);
        };
        tracing::warn!(hours, "the clock has jumped ahead: nothing expires for now");
        let text = format!("The clock has jumped ahead; nothing expires for {hours} hours");
        Ok(Some(text))
    }

    /// Whether the clock is to be believed now.
    async fn doubt(&self, now: OffsetDateTime) -> Result<Doubt> {
        let mut session = self.db.read().await?;
        let seen = [
            db::passes::find(&mut session, NAME).await?,
            db::images::last_seen(&mut session).await?,
        ];
        let alive = seen.iter().flatten().filter_map(|text| set(text)).max();
        let doubted = db::passes::find(&mut session, DOUBT).await?;
        drop(session);
        let doubted = doubted.and_then(|text| set(&text));
        let doubted = doubt::counting(doubted, now, alive);
        let doubt = self.doubts.look(now, alive, doubted);
        if doubt != Doubt::None && doubted.is_none_or(|doubted| now - doubted >= doubt::WAIT) {
            self.remember(DOUBT, now).await?;
        }
        Ok(doubt)
    }
}

/// What one pass has done.
#[derive(Default)]
struct Done {
    removed: Vec<serde_json::Value>,
    failed: Vec<serde_json::Value>,
}

impl Done {
    fn note(&mut self, scope: &Scope, fingerprint: &Fingerprint, outcome: Result<()>) {
        let project = &scope.project.name;
        match outcome {
            Ok(()) => {
                tracing::info!(image.fingerprint = %fingerprint, project, "removed a cached image");
                self.removed.push(serde_json::json!({
                    "project": project, "fingerprint": fingerprint.as_str(),
                }));
            }
            // It was used, or removed, since.
            Err(error) if error.message() == query::not_found().message() => {}
            Err(error) => {
                tracing::warn!(%error, image.fingerprint = %fingerprint, project,
                    "a cached image cannot be removed");
                self.failed.push(serde_json::json!({
                    "project": project, "fingerprint": fingerprint.as_str(),
                    "error": error.message(),
                }));
            }
        }
    }

    fn tell(self, operation: &Operation) -> Result<()> {
        let failures = self.failed.len();
        operation.set_metadata(Metadata::from_iter([
            ("removed".to_owned(), self.removed.into()),
            ("failed".to_owned(), self.failed.into()),
        ]));
        if failures > 0 {
            return Err(Error::failed(format!(
                "{failures} images could not be removed"
            )));
        }
        Ok(())
    }
}
