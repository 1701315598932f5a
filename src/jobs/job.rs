//! A row of the table of jobs.

use std::{pin::Pin, time::Duration};

use crate::{error::Result, operations::Operation};

/// One pass of a job.
type Pass =
    Box<dyn Fn(Operation) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// How long it is until the next pass, given how long ago the last one was.
type Wait =
    Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = Result<Duration>> + Send>> + Send + Sync>;

/// A row of the table.
pub(crate) struct Job {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) at_start: bool,
    pub(super) is_alone: bool,
    pub(super) settings: &'static [&'static str],
    pub(super) wait: Wait,
    pub(super) make_due: Box<dyn Fn() + Send + Sync>,
    pub(super) pass: Pass,
}

impl Job {
    /// A job that administrators know by `name` and clients by `description`, LXD's words if it
    /// has some.
    pub(crate) fn new<W>(
        name: &'static str,
        description: &'static str,
        wait: Wait,
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
            wait,
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
pub(crate) fn every(interval: Duration) -> Wait {
    Box::new(move |since| Box::pin(std::future::ready(Ok(interval.saturating_sub(since)))))
}

/// A pass when something is due, which is found out again and again.
pub(crate) fn when_due<W>(until: impl Fn() -> W + Send + Sync + 'static) -> Wait
where
    W: Future<Output = Result<Duration>> + Send + 'static,
{
    Box::new(move |_| Box::pin(until()))
}
