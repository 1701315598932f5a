//! The bus that `/1.0/events` listens to.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::{
    api::{
        Timestamp,
        objects::{Event, Lifecycle, Logging, Metadata, OperationObject, Requestor},
    },
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
    /// Whether it is about the server itself, which concerns only those who may change it.
    pub(crate) is_servers: bool,
    /// Whose secrets are in it, if there are any.
    pub(crate) owner: Option<Requestor>,
    /// The JSON that is sent to the owner, and to everybody when nobody is.
    pub(crate) text: String,
    /// The JSON that others than the owner are sent.
    pub(crate) text_for_others: Option<String>,
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

    /// Tells that an operation changed, which this caller began.
    pub(crate) fn operation(
        &self,
        project: Option<&str>,
        owner: Option<&Requestor>,
        object: &OperationObject,
    ) {
        let kind = EventKind::Operation;
        if !object.has_secrets() {
            return self.send(Message::new(kind, project), object, None::<&()>);
        }
        let mut message = Message::new(kind, project);
        message.owner = owner.cloned();
        self.send(message, object, Some(&object.clone().without_secrets()));
    }

    /// Tells that something came to be, changed, or went.
    pub(crate) fn lifecycle(&self, project: Option<&str>, lifecycle: &Lifecycle) {
        let mut message = Message::new(EventKind::Lifecycle, project);
        let is_servers = |kind: &&str| lifecycle.action.starts_with(kind);
        message.is_servers = SERVERS_OWN.iter().any(is_servers);
        self.send(message, lifecycle, None::<&()>);
    }

    /// Passes a line of the log on.
    pub(crate) fn logging(&self, line: &Logging) {
        self.send(Message::new(EventKind::Logging, None), line, None::<&()>);
    }

    /// Whether anybody listens, so that nobody writes messages for no one.
    pub(crate) fn has_listeners(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    fn send<T: Serialize, U: Serialize>(
        &self,
        mut message: Message,
        metadata: &T,
        for_others: Option<&U>,
    ) {
        if !self.has_listeners() {
            return;
        }
        let timestamp = self.clock.now().into();
        message.text = message.write(timestamp, metadata);
        message.text_for_others = for_others.map(|metadata| message.write(timestamp, metadata));
        // Fails only when the last listener has just gone.
        drop(self.sender.send(Arc::new(message)));
    }
}

/// What actions are called that are about the server itself.
const SERVERS_OWN: &[&str] = &[
    "certificate-",
    "config-",
    "storage-pool-",
    "project-",
    "warning-",
];

impl Message {
    fn new(kind: EventKind, project: Option<&str>) -> Self {
        Self {
            kind,
            project: project.map(str::to_owned),
            is_servers: false,
            owner: None,
            text: String::new(),
            text_for_others: None,
        }
    }

    fn write<T: Serialize>(&self, timestamp: Timestamp, metadata: &T) -> String {
        let event = Event {
            kind: self.kind.name(),
            timestamp,
            metadata,
            location: "none",
            project: self.project.as_deref(),
        };
        serde_json::to_string(&event).unwrap_or_default()
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
