//! A row of the table of jobs.

use std::{pin::Pin, time::Duration};

use crate::{error::Result, operations::Operation};

/// One pass of a job.
type Pass =
    Box<dyn Fn(Operation) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// A row of the table.
pub(crate) struct Job {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) at_start: bool,
    pub(super) is_alone: bool,
    pub(super) settings: &'static [&'static str],
    pub(super) wait: Box<dyn Fn() -> Duration + Send + Sync>,
    pub(super) make_due: Box<dyn Fn() + Send + Sync>,
    pub(super) pass: Pass,
}

impl Job {
    /// A job that administrators know by `name` and clients by `description`, LXD's words if it
    /// has some. `wait` says how long it is until the next pass.
    pub(crate) fn new<W>(
        name: &'static str,
        description: &'static str,
        wait: impl Fn() -> Duration + Send + Sync + 'static,
        pass: impl Fn(Operation) -> W + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name,
            description,
            at_start: false,
            is_alone: false,
            settings: &[],
            wait: Box::new(wait),
            make_due: Box::new(|| ()),
            pass: Box::new(move |operation| Box::pin(pass(operation))),
        }
    }

    /// A pass is due when the daemon starts.
    pub(crate) fn at_start(mut self) -> Self {
        self.at_start = true;
        self
    }

    /// No other job that is alone runs at the same time.
    pub(crate) fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// A change of one of these settings brings a pass.
    pub(crate) fn after_changes_of(mut self, settings: &'static [&'static str]) -> Self {
        self.settings = settings;
        self
    }

    /// What is called before somebody runs it by hand, so that all of its work is due.
    pub(crate) fn by_hand(mut self, make_due: impl Fn() + Send + Sync + 'static) -> Self {
        self.make_due = Box::new(make_due);
        self
    }
}

/// A pass again and again, with so much time between two.
pub(crate) fn every(interval: Duration) -> impl Fn() -> Duration + Send + Sync + 'static {
    move || interval
}
