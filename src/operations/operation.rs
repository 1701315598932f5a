//! One operation: what it is, and its state that changes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Doors, Events, Socket, Spec, Status};
use crate::{
    api::{
        Timestamp,
        objects::{Metadata, OperationObject, Requestor},
    },
    clock::Clock,
    error::{Error, Result},
};

/// What kind of operation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Work that ends by itself.
    Task,
    /// Work that talks with clients over websockets.
    Websocket,
    /// A secret that waits to be used.
    Token,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Websocket => "websocket",
            Self::Token => "token",
        }
    }
}

/// An operation. Cheap to clone; all clones are one operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    id: Uuid,
    class: Class,
    spec: Spec,
    created_at: OffsetDateTime,
    clock: Clock,
    events: Events,
    state: Mutex<State>,
    status: watch::Sender<Status>,
    cancel: CancellationToken,
    /// A token that was used, as opposed to one that was deleted.
    is_used: AtomicBool,
    /// A part of another operation, of which nobody is told.
    is_part: bool,
}

/// Guarded together, so that an event never shows half a change, and told in the order of the
/// changes.
#[derive(Debug)]
struct State {
    status: Status,
    updated_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
    metadata: Option<Metadata>,
    may_cancel: bool,
    err: String,
}

impl Operation {
    pub(super) fn new(class: Class, mut spec: Spec, clock: Clock, events: Events) -> Self {
        let created_at = clock.now();
        let state = State {
            status: Status::Pending,
            updated_at: created_at,
            ended_at: None,
            metadata: spec.metadata.take(),
            may_cancel: class == Class::Token,
            err: String::new(),
        };
        Self(Arc::new(Entry {
            id: Uuid::new_v4(),
            class,
            spec,
            created_at,
            clock,
            events,
            state: Mutex::new(state),
            status: watch::Sender::new(Status::Pending),
            cancel: CancellationToken::new(),
            is_used: AtomicBool::new(false),
            is_part: false,
        }))
    }

    /// A part of this operation: it ends when this one is ended, or when `cancel` is, and what it
    /// tells is kept in it.
    pub(crate) fn part(&self, cancel: &CancellationToken) -> Self {
        let now = self.0.clock.now();
        Self(Arc::new(Entry {
            id: Uuid::new_v4(),
            class: Class::Task,
            spec: Spec::default(),
            created_at: now,
            clock: self.0.clock.clone(),
            events: self.0.events.clone(),
            state: Mutex::new(State {
                status: Status::Running,
                updated_at: now,
                ended_at: None,
                metadata: None,
                may_cancel: false,
                err: String::new(),
            }),
            status: watch::Sender::new(Status::Running),
            cancel: cancel.child_token(),
            is_used: AtomicBool::new(false),
            is_part: true,
        }))
    }

    /// A client may end it from now on; its work looks at [`Self::cancelled`].
    pub(crate) fn allow_cancel(&self) {
        self.state().may_cancel = true;
    }

    /// Cancelled when the operation was told to stop.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.0.cancel
    }

    /// Its UUID.
    pub(crate) fn id(&self) -> Uuid {
        self.0.id
    }

    /// Task, websocket or token.
    pub(crate) fn class(&self) -> Class {
        self.0.class
    }

    /// Lets a client that knows a secret in.
    ///
    /// # Errors
    ///
    /// LXD's texts when it has no websockets, or the secret is none of its.
    pub(crate) fn enter(&self, secret: &str) -> Result<Socket> {
        self.check(secret)?.enter(secret)
    }

    /// Whether a client with a secret may try to come in.
    ///
    /// # Errors
    ///
    /// LXD's texts when nobody may.
    pub(crate) fn check(&self, secret: &str) -> Result<&Doors> {
        let doors = self.0.spec.doors.as_ref();
        let doors =
            doors.ok_or_else(|| Error::failed("Only websocket operations can be connected"))?;
        if self.status() != Status::Running {
            return Err(Error::failed("Only running operations can be connected"));
        }
        if secret.is_empty() {
            return Err(Error::failed("missing secret"));
        }
        Ok(doors)
    }

    /// The project it belongs to.
    pub(crate) fn project(&self) -> Option<&str> {
        self.0.spec.project.as_deref()
    }

    /// Who asked for it.
    pub(crate) fn requestor(&self) -> Option<&Requestor> {
        self.0.spec.requestor.as_ref()
    }

    /// The URLs it is about, of one kind.
    pub(crate) fn resources(&self, kind: &str) -> &[String] {
        let resources = self.0.spec.resources.as_ref();
        resources
            .and_then(|all| all.get(kind))
            .map_or(&[], Vec::as_slice)
    }

    /// When it was made.
    pub(crate) fn created_at(&self) -> OffsetDateTime {
        self.0.created_at
    }

    /// When it ended, if it has.
    pub(super) fn ended_at(&self) -> Option<OffsetDateTime> {
        self.state().ended_at
    }

    /// When it is good for nothing any more, if that is a token's lot.
    pub(super) fn expires_at(&self) -> Option<OffsetDateTime> {
        let text = self.metadata_text("expiresAt")?;
        text.parse::<Timestamp>().ok().map(OffsetDateTime::from)
    }

    /// Where it is in its life.
    pub(crate) fn status(&self) -> Status {
        self.state().status
    }

    /// Whether a client may end it.
    pub(crate) fn may_cancel(&self) -> bool {
        self.state().may_cancel
    }

    /// A text among its metadata.
    pub(crate) fn metadata_text(&self, key: &str) -> Option<String> {
        self.state()
            .metadata
            .as_ref()?
            .get(key)?
            .as_str()
            .map(str::to_owned)
    }

    /// Its metadata.
    pub(crate) fn metadata(&self) -> Option<Metadata> {
        self.state().metadata.clone()
    }

    /// Replaces its metadata, and tells so.
    pub(crate) fn set_metadata(&self, metadata: Metadata) {
        let mut state = self.state();
        state.metadata = Some(metadata);
        state.updated_at = self.0.clock.now();
        self.announce(&state);
    }

    /// Tells what it is like. Done while the state is locked: nothing overtakes it.
    fn announce(&self, state: &State) {
        if !self.0.is_part {
            let (project, owner) = (self.project(), self.requestor());
            self.0.events.operation(project, owner, &self.render(state));
        }
    }

    /// Adds to its metadata, and tells so.
    pub(crate) fn add_metadata(&self, more: Metadata) {
        let mut metadata = self.metadata().unwrap_or_default();
        metadata.extend(more);
        self.set_metadata(metadata);
    }

    /// Tells how far it is, under a key that clients show.
    pub(crate) fn tell_progress(&self, key: &str, text: &str) {
        self.set_metadata(Metadata::from_iter([(key.to_owned(), text.into())]));
    }

    /// Runs `work`, which a client may end meanwhile: then it is dropped.
    ///
    /// # Errors
    ///
    /// What `work` returns; LXD's text when it was ended.
    pub(crate) async fn cancellable<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.state().may_cancel = true;
        let done = self.0.cancel.run_until_cancelled(work).await;
        self.state().may_cancel = false;
        done.unwrap_or_else(|| Err(Error::failed("Operation cancelled")))
    }

    /// Whether it was told to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }

    /// Whether it is a token that was used.
    pub(crate) fn is_used(&self) -> bool {
        self.0.is_used.load(Ordering::Acquire)
    }

    /// Marks a token as used. Returns whether it was not before.
    pub(super) fn set_used(&self) -> bool {
        !self.0.is_used.swap(true, Ordering::AcqRel)
    }

    /// Whether it is a part of another one.
    pub(crate) fn is_part(&self) -> bool {
        self.0.is_part
    }

    /// Ends a part of an operation.
    pub(crate) fn end(&self) {
        self.0.cancel.cancel();
    }

    pub(super) fn cancel(&self) {
        self.0.cancel.cancel();
    }

    /// Goes on to `next` and tells so; does nothing when that cannot follow.
    pub(super) fn advance(&self, next: Status, err: &str) {
        let mut state = self.state();
        if next != Status::Pending && !state.status.leads_to(next) {
            return;
        }
        state.status = next;
        err.clone_into(&mut state.err);
        if next.is_final() {
            state.ended_at = Some(self.0.clock.now());
            state.may_cancel = state.may_cancel && self.0.class == Class::Token;
        }
        self.announce(&state);
        self.0.status.send_replace(next);
    }

    /// Waits until it has ended, or for `timeout`; returns it as it then is.
    pub(crate) async fn wait(&self, timeout: Option<Duration>) -> OperationObject {
        let mut status = self.0.status.subscribe();
        let ended = status.wait_for(|status| status.is_final());
        match timeout {
            Some(timeout) => drop(tokio::time::timeout(timeout, ended).await),
            None => drop(ended.await),
        }
        self.object()
    }

    /// What clients see of it now.
    pub(crate) fn object(&self) -> OperationObject {
        self.render(&self.state())
    }

    fn render(&self, state: &State) -> OperationObject {
        OperationObject {
            id: self.0.id.to_string(),
            class: self.0.class.name(),
            description: self.0.spec.description.to_owned(),
            created_at: self.0.created_at.into(),
            updated_at: state.updated_at.into(),
            status: state.status.name(),
            status_code: state.status.code(),
            resources: self.0.spec.resources.clone(),
            metadata: state.metadata.clone(),
            may_cancel: state.may_cancel,
            err: state.err.clone(),
            location: "none",
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
