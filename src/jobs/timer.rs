//! When jobs run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Jobs, Row};
use crate::settings::Values;

/// How much later than due a pass may begin, so that many daemons do not ask one server at once.
const MAX_LATENESS: Duration = Duration::from_mins(5);

/// The shortest time between two passes that the timer begins.
const SHORTEST: Duration = Duration::from_mins(1);

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
        let mut last = Instant::now();
        let mut lateness = jitter();
        loop {
            // A pass that fails at once is not to be begun again at once.
            let until = self.until(&row, last.elapsed()).await;
            let until = until.max(SHORTEST.saturating_sub(last.elapsed()));
            let until = until + (until / 20).min(MAX_LATENESS).mul_f64(lateness);
            row.state().next = self.0.clock.now().checked_add(in_range(until));
            let is_due = tokio::select! {
                () = tokio::time::sleep(until.min(LOOK_AGAIN)) => until <= LOOK_AGAIN,
                _ = settings.changed() => {
                    let now = settings.borrow_and_update();
                    row.job.settings.iter().any(|name| now.get(*name) != heeded.get(*name))
                }
                () = row.ended.notified() => {
                    // Run by hand: the next pass is due later.
                    last = Instant::now();
                    false
                }
            };
            if is_due {
                heeded = Arc::clone(&settings.borrow_and_update());
                self.begin(&row).wait(None).await;
                (last, lateness) = (Instant::now(), jitter());
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
