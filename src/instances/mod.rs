//! Instances, and what they are made with and run on: profiles, storage pools, the machine.
//!
//! An instance is a row and a tree in a storage pool. [`create`] and [`copy`] make the tree first
//! and the row last, [`delete`] takes the row first; a tree without a row is swept at the next
//! start. [`instance`] says what an instance and its profiles come to, [`query`] what there is,
//! and [`locks`] keep those who change one instance apart.

mod instance;
mod locks;
mod networks;
mod pools;
mod profiles;
mod progress;
mod publish;
mod query;
mod resources;
mod status;
mod trees;
mod volatile;

pub(crate) use instance::{Config, Instance};
pub(crate) use locks::{Held, Locks, Shared};
pub(crate) use networks::{find_network, networks};
pub(crate) use pools::Pools;
pub(crate) use profiles::Profiles;
pub(crate) use publish::Publishing;
pub(crate) use query::{collection, render_snapshot, url_of, with_project};
pub(crate) use resources::resources;
pub(crate) use status::Status;
pub(crate) use volatile::APPLY_TEMPLATE;

use crate::{
    api::objects::Requestor,
    clock::Clock,
    db::Db,
    images::Images,
    operations::{Operations, happened},
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
    publishing: Publishing,
}

impl Instances {
    /// The instances kept in `db`.
    pub(crate) fn new(
        db: Db,
        images: Images,
        tasks: Tasks,
        operations: Operations,
        clock: Clock,
        publishing: Publishing,
    ) -> Self {
        Self {
            db,
            images,
            tasks,
            operations,
            clock,
            locks: Locks::default(),
            publishing,
        }
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
