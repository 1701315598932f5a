//! Operations: work that goes on after the request that began it was answered, and tokens.
//!
//! They live in memory only, and five seconds longer than their work. Clients learn of every
//! change through [`Events`]; `lxc` waits for nothing else.

mod events;
mod operation;
mod secret;
mod status;
mod websocket;

pub(crate) use events::{EventKind, Events, Message, happened};
pub(crate) use operation::{Class, Operation};
pub(crate) use secret::{new_secret, same_secret};
pub(crate) use status::Status;
pub(crate) use websocket::{Arrival, Arrivals, Doors, Frame, Socket};

use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use uuid::Uuid;

use crate::{
    api::objects::{Metadata, OperationObject, Requestor, Resources},
    clock::Clock,
    error::{Error, Result},
    tasks::Tasks,
};

/// How long an operation can still be asked for after it ended, as in LXD.
const LINGER: Duration = Duration::from_secs(5);

/// What a new operation is.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    /// LXD's words for what it does.
    pub(crate) description: &'static str,
    /// The project it belongs to; `None` for the daemon's own.
    pub(crate) project: Option<String>,
    /// What it is about.
    pub(crate) resources: Option<Resources>,
    /// What it tells from the beginning.
    pub(crate) metadata: Option<Metadata>,
    /// Who asked for it.
    pub(crate) requestor: Option<Requestor>,
    /// Where its clients connect, if it has websockets.
    pub(crate) doors: Option<Doors>,
}

impl Spec {
    /// An operation on one image.
    pub(crate) fn image(description: &'static str, project: &str, fingerprint: &str) -> Self {
        let url = format!("/1.0/images/{fingerprint}");
        Self {
            description,
            project: Some(project.to_owned()),
            resources: Some(BTreeMap::from([("images", vec![url])])),
            ..Self::default()
        }
    }
}

/// The operations there are. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Operations {
    /// Guards the set only; each operation guards its own state.
    all: Arc<Mutex<BTreeMap<Uuid, Operation>>>,
    clock: Clock,
    events: Events,
    tasks: Tasks,
}

impl Operations {
    /// None yet.
    pub(crate) fn new(clock: Clock, events: Events, tasks: Tasks) -> Self {
        Self {
            all: Arc::default(),
            clock,
            events,
            tasks,
        }
    }

    /// The bus on which changes are told.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Begins a task, or one with websockets. Returns the operation as it was when the work began, for the answer.
    pub(crate) fn task<W>(
        &self,
        spec: Spec,
        work: impl FnOnce(Operation) -> W + Send + 'static,
    ) -> OperationObject
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let class = match spec.doors {
            Some(_) => Class::Websocket,
            None => Class::Task,
        };
        let operation = self.begin(class, spec);
        let announced = operation.object();
        self.work(operation, work);
        announced
    }

    /// Begins a task that its maker goes on watching.
    pub(crate) fn watched_task<W>(
        &self,
        spec: Spec,
        work: impl FnOnce(Operation) -> W + Send + 'static,
    ) -> Operation
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let operation = self.begin(Class::Task, spec);
        self.work(operation.clone(), work);
        operation
    }

    fn work<W>(&self, operation: Operation, work: impl FnOnce(Operation) -> W + Send + 'static)
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let this = self.clone();
        self.tasks.spawn("operation", async move {
            let outcome = AssertUnwindSafe(work(operation.clone()))
                .catch_unwind()
                .await;
            let outcome = outcome.unwrap_or_else(|_| Err(Error::failed("Internal error")));
            this.end(&operation, outcome);
        });
    }

    /// Makes a token: an operation that is there until it is used or deleted.
    pub(crate) fn token(&self, spec: Spec) -> Operation {
        self.begin(Class::Token, spec)
    }

    fn begin(&self, class: Class, spec: Spec) -> Operation {
        let operation = Operation::new(class, spec, self.clock.clone(), self.events.clone());
        self.set().insert(operation.id(), operation.clone());
        operation.advance(Status::Pending, "");
        operation.advance(Status::Running, "");
        operation
    }

    fn end(&self, operation: &Operation, outcome: Result<()>) {
        match outcome {
            Ok(()) => operation.advance(Status::Success, ""),
            Err(_) if operation.is_cancelled() => operation.advance(Status::Cancelled, ""),
            Err(error) => {
                let (id, cause) = (operation.id(), error.cause());
                if let Some(cause) = cause {
                    let cause = format!("{cause:#}");
                    tracing::error!(operation.id = %id, %error, cause, "operation failed");
                } else {
                    tracing::info!(operation.id = %id, %error, "operation failed");
                }
                operation.advance(Status::Failure, error.message());
            }
        }
        self.forget_later(operation.id());
    }

    fn forget_later(&self, id: Uuid) {
        let (this, stopping) = (self.clone(), self.tasks.stopping().clone());
        self.tasks.spawn("forget operation", async move {
            stopping
                .run_until_cancelled(tokio::time::sleep(LINGER))
                .await;
            this.set().remove(&id);
        });
    }

    /// Forgets what has ended long enough ago, should its own timer not have. Returns how many.
    pub(crate) fn forget_ended(&self) -> usize {
        let now = self.clock.now();
        let mut set = self.set();
        let before = set.len();
        set.retain(|_, operation| {
            let ended_at = operation.ended_at();
            ended_at.is_none_or(|at| at + 2 * LINGER >= now)
        });
        before - set.len()
    }

    /// Ends the tokens whose time is over. Returns how many.
    pub(crate) fn end_expired_tokens(&self) -> usize {
        let now = self.clock.now();
        let is_late = |operation: &&Operation| {
            let is_live =
                operation.class() == Class::Token && operation.status() == Status::Running;
            is_live && operation.expires_at().is_some_and(|at| at < now)
        };
        let late: Vec<_> = self.set().values().filter(is_late).cloned().collect();
        late.iter()
            .filter(|token| self.cancel(token).is_ok())
            .count()
    }

    /// The operation with this id.
    pub(crate) fn find(&self, id: &str) -> Option<Operation> {
        let id = Uuid::parse_str(id).ok()?;
        self.set().get(&id).cloned()
    }

    /// The operations of a project and those of no project, oldest first.
    pub(crate) fn of_project(&self, project: &str) -> Vec<Operation> {
        let mut found: Vec<_> = self
            .set()
            .values()
            .filter(|operation| operation.project().is_none_or(|of| of == project))
            .cloned()
            .collect();
        found.sort_by_key(Operation::created_at);
        found
    }

    /// Tokens of a project, living or in their last seconds.
    pub(crate) fn tokens(&self, project: &str) -> Vec<Operation> {
        let is_token = |operation: &&Operation| {
            operation.class() == Class::Token && operation.project() == Some(project)
        };
        self.set().values().filter(is_token).cloned().collect()
    }

    /// Ends an operation at a client's request.
    ///
    /// # Errors
    ///
    /// 400 when it has ended, or when it is one that cannot be cancelled.
    pub(crate) fn cancel(&self, operation: &Operation) -> Result<()> {
        if operation.status() != Status::Running {
            return Err(Error::bad_request(
                "Only running operations can be cancelled",
            ));
        }
        if !operation.may_cancel() {
            return Err(Error::bad_request("This operation can't be cancelled"));
        }
        operation.cancel();
        operation.advance(Status::Cancelling, "");
        if operation.class() == Class::Token {
            operation.advance(Status::Cancelled, "");
            self.forget_later(operation.id());
        }
        Ok(())
    }

    /// Ends a token that was used. Returns false when somebody else was faster.
    pub(crate) fn use_up(&self, token: &Operation) -> bool {
        token.status() == Status::Running && token.set_used() && self.cancel(token).is_ok()
    }

    /// The daemon is cut off: what still runs is told to stop, and ends as cancelled.
    pub(crate) fn cancel_all(&self) {
        for operation in self.set().values() {
            operation.cancel();
            operation.advance(Status::Cancelled, "");
        }
    }

    fn set(&self) -> std::sync::MutexGuard<'_, BTreeMap<Uuid, Operation>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the seconds of `?timeout=`: `None` waits for ever.
///
/// # Errors
///
/// 500 with the text of Go's integer parser.
pub(crate) fn timeout(text: Option<&str>) -> Result<Option<Duration>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let Ok(seconds) = text.parse::<i64>() else {
        return Err(Error::failed(format!(
            "strconv.Atoi: parsing {text:?}: invalid syntax"
        )));
    };
    Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
}

#[cfg(test)]
mod tests;
