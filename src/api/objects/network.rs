//! Networks as clients see them.

use std::collections::BTreeMap;

use serde::Serialize;

/// LXD's network object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Network {
    /// Always empty: no network is managed here.
    pub(crate) config: BTreeMap<String, String>,
    /// Free text.
    pub(crate) description: String,
    /// The interface's name.
    pub(crate) name: String,
    /// `loopback`, `physical`, `bridge`, `bond` or `unknown`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// URLs of what uses it.
    pub(crate) used_by: Vec<String>,
    /// False.
    pub(crate) managed: bool,
    /// Empty for what is not managed.
    pub(crate) status: &'static str,
    /// `null` for what is not managed.
    pub(crate) locations: Option<Vec<String>>,
}

impl Network {
    /// An interface that somebody else looks after.
    pub(crate) fn unmanaged(name: String, kind: &'static str) -> Self {
        Self {
            config: BTreeMap::new(),
            description: String::new(),
            name,
            kind,
            used_by: Vec::new(),
            managed: false,
            status: "",
            locations: None,
        }
    }
}
