//! The bodies that clients send, under the names LXD's Go code has for them.
//!
//! What a type holds after decoding follows Go: an absent key leaves the default. A field is an
//! `Option` where LXD tells an absent (or `null`) key from an empty value.

mod absent;
mod certificates;
mod images;
mod instances;
mod profiles;
mod projects;
mod server;
mod storage;

#[cfg(test)]
mod tests;

pub(crate) use absent::{
    ClusterCertificatePut, ClusterPut, NetworksPost, StorageVolumesPost, WarningPut,
};
pub(crate) use certificates::{CertificatePut, CertificatesPost};
pub(crate) use images::{
    ImageAliasesEntryPost, ImageAliasesEntryPut, ImageAliasesPost, ImageExportPost, ImagePut,
    ImagesPost, ImagesPostSource,
};
pub(crate) use instances::{
    ImageMetadata, InstanceConsolePost, InstanceExecPost, InstancePost, InstancePut,
    InstanceSnapshotPost, InstanceSnapshotPut, InstanceSnapshotsPost, InstanceSource,
    InstanceStatePut, InstancesPost, InstancesPut,
};
pub(crate) use profiles::{ProfilePost, ProfilePut, ProfilesPost};
pub(crate) use projects::{ProjectPost, ProjectPut, ProjectsPost};
pub(crate) use server::ServerPut;
pub(crate) use storage::{StoragePoolPut, StoragePoolsPost};

use std::collections::BTreeMap;

/// Configuration: keys and values.
pub(crate) type Config = BTreeMap<String, String>;

/// Devices: each name with the device's keys and values.
pub(crate) type Devices = BTreeMap<String, Config>;
