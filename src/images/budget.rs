//! What the images of a project may take on disk: `limits.disk`.
//!
//! Counted are the images a project has and the bytes that are on their way to become more of
//! them, so that uploads at the same time do not pass the limit together. Whoever brings an image
//! in holds a [`Claim`] and takes from it before it writes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::Images;
use crate::{
    access::Scope,
    config,
    db::{self, ProjectId, Session, projects::ProjectRow},
    error::{Error, Result},
};

/// What is claimed, for each project where something is. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Budgets(Arc<Mutex<BTreeMap<ProjectId, Ledger>>>);

/// What is known of a project while anything is claimed in it.
#[derive(Debug, Default)]
struct Ledger {
    claims: usize,
    /// Bytes on their way in.
    staged: u64,
    /// Bytes of images that came in since the ledger was opened.
    admitted: u64,
    /// Bytes of the project's images when they were last counted.
    counted: u64,
    /// What `admitted` was before that: what came in later is not in the count.
    counted_after: u64,
}

impl Ledger {
    fn used(&self) -> u64 {
        self.counted + (self.admitted - self.counted_after) + self.staged
    }

    fn count(&mut self, counted: u64, after: u64) {
        if after >= self.counted_after {
            (self.counted, self.counted_after) = (counted, after);
        }
    }
}

/// Room for one image of a project. Dropped, it gives back what did not become an image.
#[derive(Debug)]
pub(crate) struct Claim {
    budgets: Budgets,
    project: ProjectId,
    limit: u64,
    taken: u64,
    was_exceeded: bool,
}

impl Images {
    /// Room for one more image; `None` in a project without a limit.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub(crate) async fn claim(&self, scope: &Scope) -> Result<Option<Claim>> {
        let Some(limit) = limit(scope, &scope.project) else {
            return Ok(None);
        };
        let claim = self.budgets.open(scope.images, limit);
        let after = claim.ledger(|ledger| ledger.admitted);
        let counted = db::images::total_bytes(&mut *self.db.read().await?, scope.images).await?;
        claim.ledger(|ledger| ledger.count(counted, after));
        Ok(Some(claim))
    }
}

/// What `limits.disk` says; a project that uses the images of another has no say.
fn limit(scope: &Scope, project: &ProjectRow) -> Option<u64> {
    let limit = config::project::limit(&project.config, "disk")?;
    (project.id == scope.images).then_some(limit.unsigned_abs())
}

/// The last look, in the transaction that makes `size_bytes` more an image of the project: the
/// project may have changed since the first.
///
/// # Errors
///
/// LXD's text when they are too many; 404 when the project is gone.
pub(super) async fn check(session: &mut Session, scope: &Scope, size_bytes: i64) -> Result<()> {
    let project = scope.check(session).await?;
    let Some(limit) = limit(scope, &project) else {
        return Ok(());
    };
    let (used, more) = (
        db::images::total_bytes(session, scope.images).await?,
        size_bytes.unsigned_abs(),
    );
    if used.saturating_add(more) > limit {
        return Err(exceeded(more, limit.saturating_sub(used)));
    }
    Ok(())
}

fn exceeded(reached: u64, quota: u64) -> Error {
    Error::failed(format!(
        "reached {reached} bytes, exceeding quota of {quota}"
    ))
}

impl Budgets {
    fn open(&self, project: ProjectId, limit: u64) -> Claim {
        let claim = Claim {
            budgets: self.clone(),
            project,
            limit,
            taken: 0,
            was_exceeded: false,
        };
        claim.ledger(|ledger| ledger.claims += 1);
        claim
    }
}

impl Claim {
    /// Takes room for `more` bytes, before they are written.
    ///
    /// # Errors
    ///
    /// LXD's text when the project has no more room.
    pub(crate) fn take(&mut self, more: u64) -> Result<()> {
        let (limit, taken) = (self.limit, self.taken);
        let others = self.ledger(|ledger| {
            let others = ledger.used() - taken;
            if others.saturating_add(taken).saturating_add(more) <= limit {
                ledger.staged += more;
                return None;
            }
            Some(others)
        });
        if let Some(others) = others {
            self.was_exceeded = true;
            return Err(exceeded(taken + more, limit.saturating_sub(others)));
        }
        self.taken += more;
        Ok(())
    }

    /// How much room there is left.
    pub(super) fn room(&self) -> u64 {
        let used = self.ledger(|ledger| ledger.used());
        self.limit.saturating_sub(used)
    }

    /// Whether there was no room once.
    pub(super) fn was_exceeded(&self) -> bool {
        self.was_exceeded
    }

    /// What was taken is an image now.
    pub(super) fn settle(mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.ledger(|ledger| {
            ledger.staged -= taken;
            ledger.admitted += taken;
        });
    }

    /// Looks into the project's ledger, which is there as long as the claim is.
    fn ledger<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        let ledgers = self.budgets.0.lock();
        let mut ledgers = ledgers.unwrap_or_else(PoisonError::into_inner);
        look(ledgers.entry(self.project).or_default())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let ledgers = self.budgets.0.lock();
        let mut ledgers = ledgers.unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = ledgers.get_mut(&self.project) {
            ledger.staged -= self.taken;
            ledger.claims -= 1;
            if ledger.claims == 0 {
                ledgers.remove(&self.project);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: ProjectId = ProjectId(1);

    #[test]
    fn claims_share_one_limit() {
        let budgets = Budgets::default();
        let (mut one, mut other) = (budgets.open(PROJECT, 10), budgets.open(PROJECT, 10));
        one.take(6).unwrap();
        let error = other.take(5).unwrap_err();
        assert_eq!(error.message(), "reached 5 bytes, exceeding quota of 4");
        other.take(4).unwrap();
        assert!(one.take(1).is_err());
    }

    #[test]
    fn what_did_not_become_an_image_is_given_back() {
        let budgets = Budgets::default();
        let (mut one, mut other) = (budgets.open(PROJECT, 10), budgets.open(PROJECT, 10));
        one.take(10).unwrap();
        drop(one);
        other.take(10).unwrap();
        drop(other);
        assert!(budgets.0.lock().unwrap().is_empty());
    }

    #[test]
    fn what_became_an_image_stays_taken_until_it_is_counted() {
        let budgets = Budgets::default();
        let (mut one, mut other) = (budgets.open(PROJECT, 10), budgets.open(PROJECT, 10));
        one.take(6).unwrap();
        let stale = other.ledger(|ledger| ledger.admitted);
        one.settle();
        assert!(other.take(5).is_err());
        // This count was begun before the image came in.
        other.ledger(|ledger| ledger.count(0, stale));
        assert!(other.take(5).is_err());
        let fresh = other.ledger(|ledger| ledger.admitted);
        other.ledger(|ledger| ledger.count(6, fresh));
        other.ledger(|ledger| ledger.count(0, stale));
        assert!(other.take(5).is_err());
        other.take(4).unwrap();
    }

    #[test]
    fn projects_have_limits_of_their_own() {
        let budgets = Budgets::default();
        let (mut one, mut other) = (budgets.open(PROJECT, 10), budgets.open(ProjectId(2), 10));
        one.take(10).unwrap();
        other.take(10).unwrap();
    }
}
