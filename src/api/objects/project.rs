//! Projects and profiles as clients see them.

use std::collections::BTreeMap;

use serde::Serialize;

/// LXD's project object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Project {
    /// Its configuration keys.
    pub(crate) config: BTreeMap<String, String>,
    /// Free text.
    pub(crate) description: String,
    /// Its name.
    pub(crate) name: String,
    /// URLs of what is in it.
    pub(crate) used_by: Vec<String>,
}

/// What a project uses of each resource it may be limited in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProjectState {
    /// By resource name.
    pub(crate) resources: BTreeMap<&'static str, ResourceUse>,
}

/// LXD capitalises these two keys.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ResourceUse {
    /// -1 for none.
    pub(crate) limit: i64,
    /// In use now.
    pub(crate) usage: i64,
}

/// LXD's profile object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Profile {
    /// Its configuration keys.
    pub(crate) config: BTreeMap<String, String>,
    /// Free text.
    pub(crate) description: String,
    /// Devices by name, each with its options.
    pub(crate) devices: BTreeMap<String, BTreeMap<String, String>>,
    /// Its name.
    pub(crate) name: String,
    /// URLs of the instances that use it.
    pub(crate) used_by: Vec<String>,
}
