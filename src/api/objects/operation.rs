//! An operation as clients see it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::Timestamp;

/// What an operation is about: kind to URLs, such as `images` to `/1.0/images/FP`.
pub(crate) type Resources = BTreeMap<&'static str, Vec<String>>;

/// What an operation tells while it runs and when it ends.
pub(crate) type Metadata = serde_json::Map<String, serde_json::Value>;

/// LXD's operation object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OperationObject {
    /// A UUID.
    pub(crate) id: String,
    /// `task`, `websocket` or `token`.
    pub(crate) class: &'static str,
    /// LXD's words for what it does.
    pub(crate) description: String,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When its metadata last changed.
    pub(crate) updated_at: Timestamp,
    /// `Running`, `Success`, …
    pub(crate) status: &'static str,
    /// The number of that status.
    pub(crate) status_code: u16,
    /// `null` when it is about nothing in particular.
    pub(crate) resources: Option<Resources>,
    /// `null` until there is something to tell.
    pub(crate) metadata: Option<Metadata>,
    /// Whether DELETE ends it.
    pub(crate) may_cancel: bool,
    /// Why it failed.
    pub(crate) err: String,
    /// `none`: this daemon is no cluster member.
    pub(crate) location: &'static str,
}

/// The keys of an operation's metadata that open something to whoever knows them.
const SECRETS: &[&str] = &["secret", "fds"];

impl OperationObject {
    /// Whether it tells something that opens a thing to whoever knows it.
    pub(crate) fn has_secrets(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.is_some_and(|metadata| SECRETS.iter().any(|key| metadata.contains_key(*key)))
    }

    /// The same for others than the one who began it. The keys stay, empty, because clients take
    /// an operation without them for one of another kind.
    pub(crate) fn without_secrets(mut self) -> Self {
        for key in SECRETS {
            let value = self
                .metadata
                .as_mut()
                .and_then(|metadata| metadata.get_mut(*key));
            if let Some(value) = value {
                *value = if value.is_object() {
                    serde_json::json!({})
                } else {
                    "".into()
                };
            }
        }
        self
    }
}
