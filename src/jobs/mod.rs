//! Work that comes again and again, in one table.
//!
//! A job is a pass without arguments that may run at any moment: by its timer, after a change of
//! settings, or by hand, it is the same pass, and an operation while it runs. A job runs once at a
//! time, and jobs that are alone never run beside each other. What the jobs are is told where the
//! daemon is put together; deliberately absent here is what they do.

mod job;
mod timer;

pub(crate) use job::{Job, every, when_due};

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::{
    api::{
        Timestamp,
        objects::{Metadata, OperationObject},
    },
    clock::Clock,
    error::{Error, Result},
    operations::{Operation, Operations, Spec},
    settings::Settings,
    tasks::Tasks,
};

/// The jobs of the daemon. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<Inner>);

struct Inner {
    rows: Vec<Arc<Row>>,
    operations: Operations,
    settings: Settings,
    clock: Clock,
    tasks: Tasks,
    /// Held by the pass of a job that is alone.
    turn: tokio::sync::Mutex<()>,
}

/// A job, and where it is.
struct Row {
    job: Job,
    state: Mutex<State>,
    /// A pass has ended that the timer did not begin.
    ended: Notify,
}

#[derive(Default)]
struct State {
    running: Option<Operation>,
    last: Option<Last>,
    next: Option<OffsetDateTime>,
}

/// How the last pass went.
#[derive(Debug, Clone, Serialize)]
struct Last {
    started_at: Timestamp,
    ended_at: Timestamp,
    status: &'static str,
    error: String,
    /// What the pass told.
    metadata: Option<Metadata>,
}

/// A job as administrators see it.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    name: &'static str,
    description: &'static str,
    /// The URL of the operation that it is at the moment; empty when it does not run.
    operation: String,
    last_run: Option<Last>,
    /// Zero time for a job that is not due by time.
    next_run: Timestamp,
}

impl Jobs {
    /// These jobs, in the order in which they begin when the daemon starts.
    pub(crate) fn new(
        jobs: Vec<Job>,
        (operations, settings): (Operations, Settings),
        clock: Clock,
        tasks: Tasks,
    ) -> Self {
        let rows = jobs.into_iter().map(|job| {
            Arc::new(Row {
                job,
                state: Mutex::default(),
                ended: Notify::new(),
            })
        });
        Self(Arc::new(Inner {
            rows: rows.collect(),
            operations,
            settings,
            clock,
            tasks,
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Every job, in the order of the table.
    pub(crate) fn list(&self) -> Vec<Listed> {
        self.0.rows.iter().map(|row| row.listed()).collect()
    }

    /// Runs a job now, whole; or gives the pass that is running.
    ///
    /// # Errors
    ///
    /// 404 when there is no such job.
    pub(crate) fn run(&self, name: &str) -> Result<OperationObject> {
        let row = self.0.rows.iter().find(|row| row.job.name == name);
        let row = row.ok_or_else(|| Error::not_found(format!("Task {name:?} not found")))?;
        (row.job.make_due)();
        let object = self.begin(row).object();
        Ok(object)
    }

    /// Runs a job now, for what is due.
    pub(crate) fn nudge(&self, name: &str) {
        let rows = self.0.rows.iter();
        for row in rows.filter(|row| row.job.name == name) {
            self.begin(row);
        }
    }

    /// The pass of a job that runs, or a new one.
    fn begin(&self, row: &Arc<Row>) -> Operation {
        let mut state = row.state();
        if let Some(running) = &state.running {
            return running.clone();
        }
        let spec = Spec {
            description: row.job.description,
            ..Spec::default()
        };
        let (this, of) = (self.clone(), Arc::clone(row));
        let work = |operation| async move { this.pass(of, operation).await };
        let operation = self.0.operations.watched_task(spec, work);
        state.running = Some(operation.clone());
        operation
    }

    /// One pass, and what became of it.
    async fn pass(&self, row: Arc<Row>, operation: Operation) -> Result<()> {
        let mut ending = Ending {
            started_at: self.0.clock.now(),
            clock: &self.0.clock,
            row: &row,
            operation: &operation,
            error: Some("Interrupted".to_owned()),
        };
        let _turn = if row.job.is_alone {
            Some(self.0.turn.lock().await)
        } else {
            None
        };
        let mut outcome = (row.job.pass)(operation.clone()).await;
        if outcome.is_ok() && operation.is_cancelled() {
            outcome = Err(Error::failed("Operation cancelled"));
        }
        let error = outcome.as_ref().err();
        ending.error = error.map(|error| error.message().to_owned());
        drop(ending);
        outcome
    }
}

impl Row {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed(&self) -> Listed {
        let state = self.state();
        let running = state.running.as_ref();
        Listed {
            name: self.job.name,
            description: self.job.description,
            operation: running.map_or_else(String::new, |operation| {
                format!("/1.0/operations/{}", operation.id())
            }),
            last_run: state.last.clone(),
            next_run: state.next.map_or(Timestamp::ZERO, Timestamp::from),
        }
    }
}

/// Notes how a pass ended when it is dropped, be it that the pass panicked or was cut off.
struct Ending<'a> {
    started_at: OffsetDateTime,
    clock: &'a Clock,
    row: &'a Row,
    operation: &'a Operation,
    error: Option<String>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let error = self.error.take();
        let last = Last {
            started_at: self.started_at.into(),
            ended_at: self.clock.now().into(),
            status: error.as_ref().map_or("Success", |_| "Failure"),
            error: error.unwrap_or_default(),
            metadata: self.operation.metadata(),
        };
        let mut state = self.row.state();
        state.running = None;
        state.last = Some(last);
        drop(state);
        self.row.ended.notify_one();
    }
}

#[cfg(test)]
mod tests;
