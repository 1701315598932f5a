//! What answers look like: LXD's objects, key for key and in LXD's order.

mod event;
mod image;
mod operation;
mod project;
mod server;
mod storage;

pub(crate) use event::{Event, Lifecycle, Logging, Requestor};
pub(crate) use image::{Alias, Image, ImageAlias, UpdateSource};
pub(crate) use operation::{Metadata, OperationObject, Resources};
pub(crate) use project::{Profile, Project, ProjectState, ResourceUse};
pub(crate) use server::{Environment, Server, StorageDriver};
pub(crate) use storage::{Inodes, Pool, PoolResources, Space};
