//! What the daemon does with images.
//!
//! Every way in ends at [`Images::admit`]: bytes become an image there and nowhere else.
//! [`upload`] receives bytes from clients, [`draft`] those of images made here, [`query`] answers what there is, [`edit`], [`alias`]
//! and [`remove`] change it, [`export`] hands the files out, [`secret`] lets others fetch them,
//! [`ensure`] fetches what instances need, [`budget`] says how much a project may have.

mod admit;
mod alias;
mod budget;
mod copy;
mod direct;
mod doubt;
mod draft;
mod edit;
mod ensure;
mod expire;
mod export;
mod fetch;
mod flight;
mod origin;
mod policy;
mod push;
mod query;
mod refresh;
mod remove;
mod secret;
mod startup;
mod sweep;
mod update;
mod updates;
mod upload;

pub(crate) use alias::AliasPatch;
use budget::Budgets;
use doubt::Doubts;
pub(crate) use draft::{Description, Draft, Finished};
pub(crate) use edit::{ImagePatch, set_last_used};
pub(crate) use ensure::{Lent, RemoteSource};
pub(crate) use export::{Exported, ExportedPart};
use flight::Flights;
pub(crate) use origin::Behalf;
pub(crate) use query::Visibility;
use updates::Updates;
pub(crate) use upload::{Intake, RootPart, UploadRequest};

use std::{num::NonZero, sync::Arc};

use tokio::sync::Semaphore;

use crate::{
    access::Scope,
    api::objects::Requestor,
    clock::Clock,
    db::Db,
    error::{Context, Result},
    operations::{Operations, happened},
    remote::{Outbound, Streams, Throttle},
    settings::Settings,
    store::Store,
    tasks::Tasks,
};

/// The image service. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    db: Db,
    store: Store,
    tasks: Tasks,
    operations: Operations,
    settings: Settings,
    clock: Clock,
    budgets: Budgets,
    outbound: Outbound,
    streams: Streams,
    flights: Flights,
    /// Holds back what nobody waits for.
    throttle: Throttle,
    doubts: Doubts,
    updates: Updates,
    /// As many decoders as there are processors.
    decoding: Arc<Semaphore>,
}

impl Images {
    /// The images kept in `db` and `store`.
    pub(crate) fn new(
        db: Db,
        store: Store,
        tasks: Tasks,
        (operations, settings): (Operations, Settings),
        clock: Clock,
        (outbound, streams): (Outbound, Streams),
    ) -> Self {
        Self {
            db,
            store,
            tasks,
            operations,
            clock,
            budgets: Budgets::default(),
            outbound,
            streams,
            flights: Flights::default(),
            throttle: update::throttle(&settings),
            settings,
            doubts: Doubts::default(),
            updates: Updates::default(),
            decoding: Arc::new(Semaphore::new(processors())),
        }
    }

    /// Looks up which project's images a request is about.
    ///
    /// # Errors
    ///
    /// 404 with LXD's text when there is no such project.
    pub(crate) async fn scope(&self, project: &str) -> Result<Scope> {
        let mut session = self.db.read().await?;
        let found = Scope::find(&mut session, project).await;
        found.context("Check if project has images: fetch project")
    }

    /// The same for an upload, where LXD words the error in another way.
    pub(crate) async fn scope_for_create(&self, project: &str) -> Result<Scope> {
        let mut session = self.db.read().await?;
        Scope::find(&mut session, project)
            .await
            .context("Fetch project database object")
    }

    /// Tells listeners what happened to an image or alias.
    fn tell(&self, event: &Event<'_>) {
        let Event {
            action,
            path,
            scope,
            requestor,
            details,
        } = *event;
        let mut lifecycle = happened(action, path, &scope.project.name, requestor.cloned());
        for (key, value) in details {
            lifecycle = lifecycle.with(key, *value);
        }
        self.operations
            .events()
            .lifecycle(Some(&scope.project.name), &lifecycle);
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Something that happened to an image or alias.
struct Event<'a> {
    action: &'static str,
    path: &'a str,
    scope: &'a Scope,
    requestor: Option<&'a Requestor>,
    details: &'a [(&'a str, &'a str)],
}

#[cfg(test)]
mod tests;
