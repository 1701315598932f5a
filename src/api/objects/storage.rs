//! Storage pools as clients see them.

use std::collections::BTreeMap;

use serde::Serialize;

/// LXD's storage pool object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pool {
    /// Its configuration keys.
    pub(crate) config: Option<BTreeMap<String, String>>,
    /// Free text.
    pub(crate) description: String,
    /// Its name.
    pub(crate) name: String,
    /// What keeps it: `dir`.
    pub(crate) driver: String,
    // LXD: null, not an empty list, when nothing uses the pool.
    /// URLs of what uses it.
    pub(crate) used_by: Option<Vec<String>>,
    /// `Created`.
    pub(crate) status: &'static str,
    /// `none`: this daemon is no cluster member.
    pub(crate) locations: [&'static str; 1],
}

/// How full a pool is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PoolResources {
    /// Bytes.
    pub(crate) space: Space,
    /// Files.
    pub(crate) inodes: Inodes,
}

/// Bytes used and in all.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Space {
    /// Bytes in use.
    pub(crate) used: u64,
    /// Bytes in all.
    pub(crate) total: u64,
}

/// Files used and in all.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Inodes {
    /// Files there are.
    pub(crate) used: u64,
    /// Files there can be.
    pub(crate) total: u64,
}

/// LXD's storage volume object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StorageVolume {
    /// Its configuration keys.
    pub(crate) config: BTreeMap<String, String>,
    /// Free text.
    pub(crate) description: String,
    /// The name of its instance, with that of the snapshot behind a slash.
    pub(crate) name: String,
    /// `container` or `virtual-machine`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// URLs of what uses it.
    pub(crate) used_by: Vec<String>,
    /// `none`: this daemon is no cluster member.
    pub(crate) location: &'static str,
    /// `filesystem` or `block`.
    pub(crate) content_type: &'static str,
    /// Whose it is.
    pub(crate) project: String,
    // LXD: does not know it either.
    /// The zero time.
    pub(crate) created_at: &'static str,
}

impl StorageVolume {
    /// What its `ETag` is made from.
    pub(crate) fn tagged(&self) -> impl Serialize + '_ {
        (&self.name, self.kind, &self.config)
    }
}
