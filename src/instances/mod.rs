//! Instances, and what they are made with and run on: profiles, storage pools, the machine.
//!
//! An instance is a row and a tree in a storage pool. [`create`] and [`copy`] make the tree first
//! and [`record`] the row last, [`remove`] takes the row first; a tree without a row is swept at
//! the next start. [`instance`] says what an instance and its profiles come to, [`query`] what there is,
//! and [`locks`] keep those who change one instance apart.

mod bulk;
mod change;
mod check;
mod console;
mod copy;
mod create;
mod draft;
mod endings;
mod exec;
mod files;
mod instance;
mod locks;
mod logs;
mod metadata;
mod names;
mod networks;
mod pools;
mod profile_users;
mod profiles;
mod progress;
mod publish;
mod query;
mod record;
mod relocate;
mod remove;
mod requirements;
mod resources;
mod restore;
mod snapshot;
mod source;
mod spec;
mod start;
mod startup;
mod state;
mod status;
mod still;
mod streams;
mod templates;
mod trees;
mod unpack;
mod upkeep;
mod volatile;
mod volumes;

pub(crate) use change::Change;
pub(crate) use files::{Opened, Pulled, Push};
pub(crate) use instance::{Config, Instance};
pub(crate) use locks::{Held, Locks};
pub(crate) use networks::{find_network, networks};
pub(crate) use pools::Pools;
pub(crate) use profiles::Profiles;
pub(crate) use query::{collection, render_snapshot, url_of, with_project};
pub(crate) use resources::resources;
pub(crate) use status::Status;
pub(crate) use trees::Trees;
pub(crate) use volatile::APPLY_TEMPLATE;
pub(crate) use volumes::volume_url;

/// How files are read and written, for those who serve them.
pub(crate) use crate::pool::{Attributes as FileAttributes, Content, Owner, Write};

/// A snapshot as the services work with it.
pub(crate) type Snapshot = crate::db::snapshots::SnapshotRow;

use std::path::PathBuf;

use endings::Endings;
use publish::Publishing;

use crate::{
    api::{Timestamp, objects::Requestor},
    clock::Clock,
    db::Db,
    images::Images,
    operations::{Operations, happened},
    runtime::Runtime,
    settings::Settings,
    tasks::Tasks,
};

/// The instance service. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Instances {
    db: Db,
    images: Images,
    tasks: Tasks,
    operations: Operations,
    clock: Clock,
    locks: Locks,
    trees: Trees,
    runtime: Runtime,
    endings: Endings,
    publishing: Publishing,
    settings: Settings,
}

impl Instances {
    /// The instances kept in `db`, of the daemon in `directory`.
    pub(crate) fn new(
        db: Db,
        images: Images,
        (tasks, operations): (Tasks, Operations),
        clock: Clock,
        directory: PathBuf,
        settings: Settings,
    ) -> Self {
        Self {
            runtime: Runtime::new(directory.join("lxc"), directory.join("logs"), tasks.clone()),
            trees: Trees::new(db.clone(), directory),
            db,
            images,
            tasks,
            operations,
            clock,
            locks: Locks::default(),
            endings: Endings::default(),
            publishing: Publishing::new(settings.clone()),
            settings,
        }
    }

    /// Waits until nobody else works with an instance. `action` is what the log says of it.
    async fn hold(&self, instance: &Instance, action: &'static str) -> Held {
        let (project, name) = (instance.project(), instance.name());
        self.locks.hold(project, name, action).await
    }

    /// The time, as rows have it.
    fn now(&self) -> String {
        Timestamp::from(self.clock.now()).to_string()
    }

    /// Tells listeners what happened to an instance, or to what `path` names of it.
    fn tell(
        &self,
        action: &'static str,
        (project, path): (&str, &str),
        requestor: Option<&Requestor>,
        details: &[(&str, &str)],
    ) {
        let mut event = happened(action, path, project, requestor.cloned());
        for (key, value) in details {
            event = event.with(key, *value);
        }
        self.operations.events().lifecycle(Some(project), &event);
    }
}
