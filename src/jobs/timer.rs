//! When jobs run.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Jobs, Row};
use crate::{clock::since_boot, settings::Values};

/// How much later than due a pass may begin, so that many daemons do not ask one server at once.
const MAX_LATENESS: Duration = Duration::from_mins(5);

/// The shortest time between two passes that the timer begins.
const SHORTEST: Duration = Duration::from_mins(1);

/// The longest such time, after passes that have each left something due: it may be so for days.
const LONGEST: Duration = Duration::from_hours(1);

/// The longest time between two looks at what is due: something else may be due sooner meanwhile.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

impl Jobs {
    /// Starts the timers. What is due at the start runs in the order of the table, one after the
    /// other; a job's timer begins after that.
    pub(crate) fn start(&self) {
        let this = self.clone();
        let settings = self.0.settings.watch();
        self.0.tasks.spawn("jobs", async move {
            for row in &this.0.rows {
                if row.job.at_start {
                    let first = this.begin(row);
                    let stopping = this.0.tasks.stopping();
                    if stopping
                        .run_until_cancelled(first.wait(None))
                        .await
                        .is_none()
                    {
                        return;
                    }
                }
                this.start_timer(Arc::clone(row), settings.clone());
            }
        });
    }

    fn start_timer(&self, row: Arc<Row>, settings: watch::Receiver<Arc<Values>>) {
        let this = self.clone();
        let stopping = self.0.tasks.stopping().clone();
        self.0.tasks.spawn(row.job.name, async move {
            stopping
                .run_until_cancelled(this.keep_time(row, settings))
                .await;
        });
    }

    async fn keep_time(&self, row: Arc<Row>, mut settings: watch::Receiver<Arc<Values>>) {
        let mut heeded = Arc::clone(&settings.borrow_and_update());
        // A day is one also when the machine sleeps most of it.
        let mut last = since_boot();
        let mut due = Due::default();
        loop {
            let since = since_boot().saturating_sub(last);
            let rest = due.look(since, self.until(&row, since).await);
            row.state().next = self.0.clock.now().checked_add(in_range(rest));
            let is_due = tokio::select! {
                () = tokio::time::sleep(rest.min(LOOK_AGAIN)) => rest <= LOOK_AGAIN,
                _ = settings.changed() => {
                    let now = settings.borrow_and_update();
                    row.job.settings.iter().any(|name| now.get(*name) != heeded.get(*name))
                }
                () = row.ended.notified() => {
                    // Run by hand: the next pass is due later.
                    last = since_boot();
                    due.pass();
                    false
                }
            };
            if is_due {
                heeded = Arc::clone(&settings.borrow_and_update());
                self.begin(&row).wait(None).await;
                last = since_boot();
                due.pass();
                // That was this pass.
                drop(tokio::time::timeout(Duration::ZERO, row.ended.notified()).await);
            }
        }
    }

    /// How long it is until a job's next pass, given how long ago the last one was.
    async fn until(&self, row: &Row, since: Duration) -> Duration {
        (row.job.wait)(since).await.unwrap_or_else(|error| {
            tracing::warn!(%error, task = row.job.name, "cannot tell when it is due");
            LOOK_AGAIN
        })
    }
}

/// When a job's next pass begins, in the time since the last one.
struct Due {
    at: Duration,
    /// How much later than due it begins; settled at the first look after a pass.
    late: Option<Duration>,
    /// How soon after the last one at the earliest.
    pause: Duration,
    jitter: f64,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            at: Duration::MAX,
            late: None,
            pause: SHORTEST / 2,
            jitter: jitter(),
        }
    }
}

impl Due {
    /// A pass has ended.
    fn pass(&mut self) {
        *self = Self {
            pause: self.pause,
            ..Self::default()
        };
    }

    /// How long it is until the next pass, when something is due in `until`.
    fn look(&mut self, since: Duration, until: Duration) -> Duration {
        let late = match self.late {
            Some(late) => late,
            None => self.settle(until),
        };
        let begin = since.saturating_add(until).saturating_add(late);
        // What is due stays due since when it was.
        let is_due = until.is_zero();
        self.at = if is_due { self.at.min(begin) } else { begin };
        self.at.max(self.pause).saturating_sub(since)
    }

    /// A pass that has left something due, such as one that fails, is not to be begun again at
    /// once, and later each time.
    fn settle(&mut self, until: Duration) -> Duration {
        self.pause = if until.is_zero() {
            (self.pause * 2).min(LONGEST)
        } else {
            SHORTEST
        };
        let late = (until / 20).min(MAX_LATENESS).mul_f64(self.jitter);
        self.late = Some(late);
        late
    }
}

/// A time that can be added to dates.
fn in_range(until: Duration) -> time::Duration {
    until.try_into().unwrap_or(time::Duration::MAX)
}

/// How late one pass is, between 0 and 1.
fn jitter() -> f64 {
    let mut random = [0_u8; 4];
    match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn minutes(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    #[test]
    fn a_pass_is_as_late_in_the_end_as_it_was_to_be() {
        let mut due = Due {
            jitter: 0.5,
            ..Due::default()
        };
        let late = MAX_LATENESS / 2;
        for since in [0, 700, 1439].map(minutes) {
            let rest = due.look(since, DAY.saturating_sub(since));
            assert_eq!(since + rest, DAY + late, "{since:?}");
        }
        for since in [DAY, DAY + minutes(2), DAY + minutes(9)] {
            let rest = due.look(since, Duration::ZERO);
            assert_eq!(rest, (DAY + late).saturating_sub(since), "{since:?}");
        }
        // Something else is due sooner after all.
        due.pass();
        due.look(minutes(0), DAY);
        assert!(due.look(minutes(5), minutes(1)) <= minutes(1) + MAX_LATENESS);
    }

    #[test]
    fn passes_that_leave_something_due_come_later_and_later() {
        let mut due = Due::default();
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(due.look(minutes(0), Duration::ZERO), minutes(pause));
            assert_eq!(due.look(minutes(1), Duration::ZERO), minutes(pause - 1));
            due.pass();
        }
        due.look(minutes(0), DAY);
        due.pass();
        assert_eq!(due.look(minutes(0), Duration::ZERO), minutes(2));
    }
}
