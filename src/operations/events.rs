//! The bus that `/1.0/events` listens to.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::{
    api::objects::{Event, Lifecycle, Logging, Metadata, OperationObject, Requestor},
    clock::Clock,
};

/// How many events a listener may lag behind before it is cut off.
const QUEUE: usize = 1024;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// An operation changed.
    Operation,
    /// Something came to be, changed, or went.
    Lifecycle,
    /// A line of the log.
    Logging,
}

impl EventKind {
    /// LXD's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Lifecycle => "lifecycle",
            Self::Logging => "logging",
        }
    }

    /// The kind that a client names.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Operation, Self::Lifecycle, Self::Logging]
            .into_iter()
            .find(|k| k.name() == name)
    }
}

/// A message, written once for all its listeners.
#[derive(Debug)]
pub(crate) struct Message {
    /// What kind it is.
    pub(crate) kind: EventKind,
    /// The project it belongs to; `None` reaches listeners of every project.
    pub(crate) project: Option<String>,
    /// The JSON that is sent.
    pub(crate) text: String,
}

/// The bus. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    sender: broadcast::Sender<Arc<Message>>,
    clock: Clock,
}

impl Events {
    /// A bus without listeners.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            sender: broadcast::channel(QUEUE).0,
            clock,
        }
    }

    /// Every message from now on. A listener that lags too far behind gets an error and is to be
    /// cut off: it could not know what it missed.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Message>> {
        self.sender.subscribe()
    }

    /// Tells that an operation changed.
    pub(crate) fn operation(&self, project: Option<&str>, object: &OperationObject) {
        self.send(EventKind::Operation, project, object);
    }

    /// Tells that something came to be, changed, or went.
    pub(crate) fn lifecycle(&self, project: Option<&str>, lifecycle: &Lifecycle) {
        self.send(EventKind::Lifecycle, project, lifecycle);
    }

    /// Passes a line of the log on.
    pub(crate) fn logging(&self, line: &Logging) {
        self.send(EventKind::Logging, None, line);
    }

    /// Whether anybody listens, so that nobody writes messages for no one.
    pub(crate) fn has_listeners(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    fn send<T: Serialize>(&self, kind: EventKind, project: Option<&str>, metadata: &T) {
        if !self.has_listeners() {
            return;
        }
        let timestamp = self.clock.now().into();
        let event = Event {
            kind: kind.name(),
            timestamp,
            metadata,
            location: "none",
            project,
        };
        let Ok(text) = serde_json::to_string(&event) else {
            return;
        };
        let message = Message {
            kind,
            project: project.map(str::to_owned),
            text,
        };
        // Fails only when the last listener has just gone.
        drop(self.sender.send(Arc::new(message)));
    }
}

/// Builds a lifecycle message: the action, the path below `/1.0` of what it happened to, and in
/// which project.
pub(crate) fn happened(
    action: &'static str,
    path: &str,
    project: &str,
    requestor: Option<Requestor>,
) -> Lifecycle {
    let source = if project == "default" {
        path.to_owned()
    } else {
        format!("{path}?project={}", crate::api::url::escape(project))
    };
    Lifecycle {
        action,
        source,
        context: Metadata::new(),
        requestor,
    }
}

impl Lifecycle {
    /// Adds a detail.
    pub(crate) fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }
}
