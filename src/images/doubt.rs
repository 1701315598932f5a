//! Whether the clock is to be believed: a wrong one must not let everything expire at once.

use std::sync::{Arc, Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

use crate::clock::since_boot;

/// How far the clock may move against the time that has really passed, before it is doubted.
const MAX_JUMP: Duration = Duration::hours(24);

/// How long the daemon may have been away, before the clock is doubted.
const MAX_ABSENCE: Duration = Duration::days(60);

/// How long it is doubted for.
pub(super) const WAIT: Duration = Duration::hours(24);

/// What has been seen of the clock. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Doubts {
    seen: Arc<Mutex<Option<Seen>>>,
}

/// Whether the clock is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is.
    None,
    /// Not for so many hours.
    Waits(i64),
}

/// When an earlier start began to doubt the clock, if it still counts: the daemon has done nothing
/// since, and the clock has not been set back.
pub(super) fn counting(
    doubted: Option<OffsetDateTime>,
    clock: OffsetDateTime,
    alive: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    doubted.filter(|doubted| *doubted <= clock && Some(*doubted) > alive)
}

/// The clock at some moment. What `passed` tells does not jump, nor stand still while the machine
/// sleeps.
#[derive(Debug, Clone, Copy)]
struct Seen {
    clock: OffsetDateTime,
    passed: Duration,
    /// Until when the clock is doubted, in the time of `passed`.
    until: Option<Duration>,
}

impl Doubts {
    /// Looks at the clock. `alive` is when the daemon was last at work, `doubted` when it began to
    /// doubt the clock since, by that clock.
    pub(super) fn look(
        &self,
        clock: OffsetDateTime,
        alive: Option<OffsetDateTime>,
        doubted: Option<OffsetDateTime>,
    ) -> Doubt {
        let passed = Duration::try_from(since_boot()).unwrap_or(Duration::MAX);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match *seen {
            None => Seen::first(clock, passed, alive, doubted),
            Some(seen) => seen.next(clock, passed),
        };
        *seen = Some(now);
        now.doubt()
    }
}

#[cfg(test)]
impl Doubts {
    /// So much time has really passed.
    pub(super) fn pass(&self, time: Duration) {
        if let Some(seen) = &mut *self.seen.lock().unwrap() {
            seen.clock += time;
            seen.until = seen.until.map(|until| until - time);
        }
    }
}

impl Seen {
    fn first(
        clock: OffsetDateTime,
        passed: Duration,
        alive: Option<OffsetDateTime>,
        doubted: Option<OffsetDateTime>,
    ) -> Self {
        let away = alive.max(doubted).map(|last| clock - last);
        let left = match (away, doubted) {
            (Some(away), _) if away > MAX_ABSENCE => Some(WAIT),
            // An earlier start has waited for some of it.
            (_, Some(doubted)) if clock - doubted < WAIT => Some(WAIT - (clock - doubted)),
            _ => None,
        };
        Self {
            clock,
            passed,
            until: left.map(|left| passed + left),
        }
    }

    fn next(self, clock: OffsetDateTime, passed: Duration) -> Self {
        let has_jumped = (clock - self.clock) - (passed - self.passed) > MAX_JUMP;
        let until = if has_jumped {
            Some(passed + WAIT)
        } else {
            self.until.filter(|until| passed < *until)
        };
        Self {
            clock,
            passed,
            until,
        }
    }

    fn doubt(self) -> Doubt {
        self.until.map_or(Doubt::None, |until| {
            Doubt::Waits((until - self.passed).whole_hours().max(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);

    fn hours(hours: i64) -> Duration {
        Duration::hours(hours)
    }

    #[test]
    fn a_clock_that_goes_as_it_should_is_believed() {
        let seen = Seen::first(NOON, hours(0), Some(NOON - hours(1)), None);
        let seen = seen.next(NOON + hours(300), hours(300));
        assert_eq!(seen.doubt(), Doubt::None);
        // Summer time, a leap second, somebody who set it right.
        let seen = seen.next(NOON + hours(348), hours(324));
        assert_eq!(seen.doubt(), Doubt::None);
        let seen = seen.next(NOON - hours(100_000), hours(325));
        assert_eq!(seen.doubt(), Doubt::None);
    }

    #[test]
    fn one_that_jumps_ahead_is_doubted_for_a_day() {
        let seen = Seen::first(NOON, hours(0), None, None);
        let ten_years = hours(87_600);
        let seen = seen.next(NOON + ten_years, hours(1));
        assert_eq!(seen.doubt(), Doubt::Waits(24));
        let seen = seen.next(NOON + ten_years + hours(23), hours(24));
        assert_eq!(seen.doubt(), Doubt::Waits(1));
        let seen = seen.next(NOON + ten_years + hours(24), hours(25));
        assert_eq!(seen.doubt(), Doubt::None);
    }

    #[test]
    fn a_daemon_that_was_away_for_long_doubts_its_clock() {
        let after = |away: Duration| Seen::first(NOON, hours(0), Some(NOON - away), None).doubt();
        assert_eq!(after(Duration::days(60)), Doubt::None);
        assert_eq!(
            after(Duration::days(60) + Duration::SECOND),
            Doubt::Waits(24)
        );
        assert_eq!(Seen::first(NOON, hours(0), None, None).doubt(), Doubt::None);
    }
}
