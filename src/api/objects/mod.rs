//! What answers look like: LXD's objects, key for key and in LXD's order.

mod certificate;
mod event;
mod image;
mod instance;
mod network;
mod operation;
mod project;
pub(crate) mod resources;
mod server;
mod storage;

pub(crate) use certificate::Certificate;
pub(crate) use event::{Event, Lifecycle, Logging, Requestor};
pub(crate) use image::{Alias, Image, ImageAlias, UpdateSource};
pub(crate) use instance::{
    Instance, InstanceFull, InstanceSnapshot, InstanceState, MemoryState, NetworkAddress,
    NetworkCounters, NetworkState,
};
pub(crate) use network::Network;
pub(crate) use operation::{Metadata, OperationObject, Resources};
pub(crate) use project::{Profile, Project, ProjectState, ResourceUse};
pub(crate) use server::{Cluster, Environment, Server, StorageDriver};
pub(crate) use storage::{Inodes, Pool, PoolResources, Space, StorageVolume};
