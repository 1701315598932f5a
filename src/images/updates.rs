//! When images are looked at again: what is due, what has failed, and when that is tried again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{db::ProjectId, image::Fingerprint};

/// How long it is until a failed image is tried again; twice as long after each further failure.
const FIRST_RETRY: Duration = Duration::from_mins(10);

/// How long it is until the next look when nothing is due.
const NOTHING_DUE: Duration = Duration::from_hours(24);

/// An image of a project.
pub(super) type Key = (ProjectId, Fingerprint);

/// What is known of updates. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Updates {
    plan: Arc<Mutex<Plan>>,
}

/// What is due when, in the time since the machine's start.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// When the images of a project were last looked at.
    passes: BTreeMap<ProjectId, Duration>,
    /// The images that could not be brought up to date.
    troubles: BTreeMap<Key, Trouble>,
}

/// An image that could not be brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// How often in a row.
    pub(super) failures: u32,
    /// Why, the last time.
    pub(super) error: String,
    /// When it is tried again.
    pub(super) retry: Duration,
}

impl Updates {
    /// The plan. It is not to be held for long.
    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// Everything is due.
    pub(super) fn clear(&mut self) {
        self.passes.clear();
    }

    /// Whether all images of a project are due, which is looked at every so often.
    pub(super) fn is_due(&self, project: ProjectId, every: Duration, now: Duration) -> bool {
        let last = self.passes.get(&project);
        last.is_none_or(|last| now.saturating_sub(*last) >= every)
    }

    /// Whether an image is to be tried again.
    pub(super) fn is_retried(&self, key: &Key, now: Duration) -> bool {
        let trouble = self.troubles.get(key);
        trouble.is_some_and(|trouble| trouble.retry <= now)
    }

    /// The images of a project are looked at now.
    pub(super) fn pass(&mut self, project: ProjectId, now: Duration) {
        self.passes.insert(project, now);
    }

    /// An image could not be brought up to date; at the latest it is tried again when its project
    /// is due.
    pub(super) fn fail(&mut self, key: Key, error: &str, (every, now): (Duration, Duration)) {
        let failures = self
            .troubles
            .get(&key)
            .map_or(0, |trouble| trouble.failures);
        let pause = FIRST_RETRY.saturating_mul(1 << failures.min(16));
        let trouble = Trouble {
            failures: failures.saturating_add(1),
            error: error.to_owned(),
            retry: now + pause.min(every),
        };
        self.troubles.insert(key, trouble);
    }

    /// An image is up to date.
    pub(super) fn succeed(&mut self, key: &Key) {
        self.troubles.remove(key);
    }

    /// What fails at the moment.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (&Key, &Trouble)> {
        self.troubles.iter()
    }

    /// How long it is until something is due, when only these images are kept up to date, and
    /// these projects looked at every so often.
    pub(super) fn settle(
        &mut self,
        images: &BTreeSet<Key>,
        projects: &BTreeMap<ProjectId, Duration>,
        now: Duration,
    ) -> Duration {
        self.troubles
            .retain(|key, _| images.contains(key) && projects.contains_key(&key.0));
        let retries = self.troubles.values().map(|trouble| trouble.retry);
        let passes = projects.iter().map(|(project, every)| {
            let last = self.passes.get(project);
            last.map_or(now, |last| last.saturating_add(*every))
        });
        let next = retries.chain(passes).min();
        next.map_or(NOTHING_DUE, |next| next.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS_6: Duration = Duration::from_hours(6);

    fn minutes(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    fn key(project: i64, digit: char) -> Key {
        let fingerprint = digit.to_string().repeat(64);
        (ProjectId(project), fingerprint.parse().unwrap())
    }

    #[test]
    fn a_project_is_due_at_the_start_and_after_its_interval() {
        let (mut plan, project) = (Plan::default(), ProjectId(1));
        assert!(plan.is_due(project, HOURS_6, minutes(0)));
        plan.pass(project, minutes(1));
        assert!(!plan.is_due(project, HOURS_6, minutes(360)));
        assert!(plan.is_due(project, HOURS_6, minutes(361)));
        assert!(plan.is_due(ProjectId(2), HOURS_6, minutes(1)));
        // It has got an interval of its own.
        assert!(plan.is_due(project, minutes(60), minutes(61)));
        plan.clear();
        assert!(plan.is_due(project, HOURS_6, minutes(2)));
    }

    #[test]
    fn a_failed_image_is_tried_again_after_longer_and_longer_pauses() {
        let (mut plan, key) = (Plan::default(), key(1, 'a'));
        let mut now = minutes(0);
        for pause in [10, 20, 40, 80, 160, 320, 360, 360] {
            plan.fail(key.clone(), "no luck", (HOURS_6, now));
            let retry = now + minutes(pause);
            assert!(
                !plan.is_retried(&key, retry.checked_sub(Duration::from_nanos(1)).unwrap()),
                "{pause}"
            );
            assert!(plan.is_retried(&key, retry), "{pause}");
            now = retry;
        }
        assert_eq!(plan.troubles().next().unwrap().1.failures, 8);
        plan.succeed(&key);
        assert!(plan.troubles().next().is_none() && !plan.is_retried(&key, now));
    }

    #[test]
    fn the_next_pass_is_when_something_is_due() {
        let (mut plan, project, now) = (Plan::default(), ProjectId(1), minutes(5));
        let (none, projects) = (BTreeSet::new(), BTreeMap::from([(project, minutes(30))]));
        assert_eq!(plan.settle(&none, &projects, now), minutes(0));
        plan.pass(project, now);
        assert_eq!(plan.settle(&none, &projects, minutes(7)), minutes(28));
        assert_eq!(plan.settle(&none, &projects, minutes(90)), minutes(0));
        let key = key(1, 'a');
        plan.fail(key.clone(), "no luck", (minutes(30), now));
        let images = BTreeSet::from([key]);
        assert_eq!(plan.settle(&images, &projects, now), minutes(10));
        // Its project is not looked at any more: nothing would ever try it again.
        assert_eq!(plan.settle(&images, &BTreeMap::new(), now), NOTHING_DUE);
        assert!(plan.troubles().next().is_none());
        let key = images.first().unwrap().clone();
        plan.fail(key, "no luck", (minutes(30), now));
        // The image is gone, and the project is never looked at any more.
        assert_eq!(plan.settle(&none, &BTreeMap::new(), now), NOTHING_DUE);
        assert!(plan.troubles().next().is_none());
    }
}
