//! Messages of `/1.0/events`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::Timestamp;

/// The frame around every message.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event<'a, T> {
    /// `operation`, `lifecycle` or `logging`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// When it happened.
    pub(crate) timestamp: Timestamp,
    /// An [`super::OperationObject`], a [`Lifecycle`] or a [`Logging`].
    pub(crate) metadata: &'a T,
    /// `none`: this daemon is no cluster member.
    pub(crate) location: &'static str,
    /// Absent for what belongs to no project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<&'a str>,
}

/// Something came to be, changed, or went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lifecycle {
    /// `image-created`, `alias-deleted`, …
    pub(crate) action: &'static str,
    /// Its URL, with `?project=` for projects other than `default`.
    pub(crate) source: String,
    /// Details that depend on the action.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub(crate) context: super::Metadata,
    /// Who asked for it; absent for the daemon's own doings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requestor: Option<Requestor>,
}

/// Who asked for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Requestor {
    /// User name of the socket's peer, or fingerprint of the client certificate.
    pub(crate) username: String,
    /// `unix` or `tls`.
    pub(crate) protocol: &'static str,
    /// `@` on the socket, `ip:port` over the network.
    pub(crate) address: String,
}

/// A line of the daemon's log.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Logging {
    /// The text.
    pub(crate) message: String,
    /// `debug`, `info`, `warning` or `error`.
    pub(crate) level: &'static str,
    /// Its fields.
    pub(crate) context: BTreeMap<String, String>,
}
