//! The bodies that clients send, under the names LXD's Go code has for them.
//!
//! What a type holds after decoding follows Go: an absent key leaves the default. A field is an
//! `Option` where LXD tells an absent (or `null`) key from an empty value.

mod certificates;
mod images;
mod instances;
mod metadata;
mod profiles;
mod projects;
mod server;
mod storage;

#[cfg(test)]
mod tests;

pub(crate) use certificates::{Certificate, CertificatePut, CertificatesPost};
pub(crate) use images::{
    ImageAlias, ImageAliasesEntryPost, ImageAliasesEntryPut, ImageAliasesPost, ImageExportPost,
    ImagePut, ImagesPost, ImagesPostSource,
};
pub(crate) use instances::{
    InstancePost, InstancePostTarget, InstancePut, InstanceSnapshotsPost, InstanceSource,
    InstanceStatePut, InstanceType, InstancesPost, InstancesPut,
};
pub(crate) use metadata::{ImageMetadata, ImageMetadataTemplate};
pub(crate) use profiles::{ProfilePost, ProfilePut, ProfilesPost};
pub(crate) use projects::{ProjectPost, ProjectPut, ProjectsPost};
pub(crate) use server::{ClusterPut, ServerPut, WarningPut};
pub(crate) use storage::{NetworksPost, StoragePoolPut, StoragePoolsPost};

use std::collections::BTreeMap;

/// Configuration: keys and values.
pub(crate) type Config = BTreeMap<String, String>;

/// Devices: each name with the device's keys and values.
pub(crate) type Devices = BTreeMap<String, Config>;
