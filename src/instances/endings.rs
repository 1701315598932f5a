//! The end of containers, whoever ended them, and those that a new daemon finds running.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OnceCell, futures::Notified};

use super::{Instance, Instances, Status, trees};
use crate::{
    error::{Context, Kind, Result},
    runtime::{Ending, Running},
};

/// The containers whose end is waited for. Cheap to clone.
///
/// An end is settled once: by the operation that stopped the container, or by the task that
/// watches it, whichever comes first.
#[derive(Debug, Clone, Default)]
pub(super) struct Endings(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    watched: Mutex<BTreeMap<String, Watched>>,
    /// Told when another end is expected.
    expected: Notify,
}

#[derive(Debug, Clone)]
struct Watched {
    running: Running,
    /// An operation stops it: what follows is that operation's business.
    is_expected: bool,
    settled: Arc<OnceCell<Ending>>,
}

impl Endings {
    fn add(&self, running: &Running) {
        let watched = Watched {
            running: running.clone(),
            is_expected: false,
            settled: Arc::default(),
        };
        self.all().insert(running.name().to_owned(), watched);
    }

    /// An operation is about to stop it.
    pub(super) fn expect(&self, running: &Running) {
        if let Some(watched) = Self::find_in(&mut self.all(), running) {
            watched.is_expected = true;
        }
        self.0.expected.notify_waiters();
    }

    /// Waits until another end is expected than when this was called.
    pub(super) fn another(&self) -> Notified<'_> {
        self.0.expected.notified()
    }

    /// The operation gives up, unless the container ends all the same: then what follows is that
    /// operation's business still. Returns whether it has given up.
    pub(super) fn expect_no_more(&self, running: &Running) -> bool {
        let mut all = self.all();
        // Whoever watches it asks under the same lock, after the end.
        if running.is_ending() {
            return false;
        }
        if let Some(watched) = Self::find_in(&mut all, running) {
            watched.is_expected = false;
        }
        true
    }

    /// Whether an operation is stopping it.
    pub(super) fn is_expected(&self, running: &Running) -> bool {
        self.find(running)
            .is_some_and(|watched| watched.is_expected)
    }

    fn find_in<'w>(
        all: &'w mut BTreeMap<String, Watched>,
        running: &Running,
    ) -> Option<&'w mut Watched> {
        let found = all.get_mut(running.name());
        found.filter(|watched| watched.running.is(running))
    }

    fn find(&self, running: &Running) -> Option<Watched> {
        let all = self.all();
        let found = all.get(running.name());
        found.filter(|watched| watched.running.is(running)).cloned()
    }

    fn remove(&self, running: &Running) {
        let mut all = self.all();
        let is_this = |watched: &Watched| watched.running.is(running);
        if all.get(running.name()).is_some_and(is_this) {
            all.remove(running.name());
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instances {
    /// Waits in the background for a container's end, and does what follows it.
    pub(super) fn watch(&self, running: Running) {
        self.endings.add(&running);
        let this = self.clone();
        self.tasks.spawn("container", async move {
            let stopping = this.tasks.stopping().clone();
            if stopping.run_until_cancelled(running.wait()).await.is_none() {
                return;
            }
            if let Err(error) = this.after_end(&running).await {
                let container = running.name();
                tracing::error!(%error, container, "the end of a container was not settled");
            }
        });
    }

    /// What follows an end that no operation asked for.
    async fn after_end(&self, running: &Running) -> Result<()> {
        let Some(watched) = self.endings.find(running) else {
            return Ok(());
        };
        if watched.is_expected {
            return self.settle_end(running).await;
        }
        let Some(instance) = self.instance_of(running).await? else {
            return self.settle_end(running).await;
        };
        let how = self.settle_watched(&watched).await?;
        self.endings.remove(running);
        self.tell_instance("instance-shutdown", &instance, &[]);
        let _held = self.hold(&instance, "stop").await;
        self.go_on(&instance, how).await
    }

    /// Restarts what restarts itself, and deletes what does not outlive its stop. The
    /// instance's lock is held; who held it before may have done so, or deleted it.
    async fn go_on(&self, instance: &Instance, how: Ending) -> Result<()> {
        let found = self.find(instance.project(), instance.name()).await;
        let instance = match found {
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            found => found?,
        };
        if self.status(&instance) != Status::Stopped {
            return Ok(());
        }
        if how == Ending::Stopped {
            return self.delete_if_ephemeral(&instance).await;
        }
        self.start_held(&instance).await?;
        self.tell_instance("instance-restarted", &instance, &[]);
        Ok(())
    }

    /// Gives back what an ended container had in use.
    pub(super) async fn settle_end(&self, running: &Running) -> Result<()> {
        if let Some(watched) = self.endings.find(running) {
            self.settle_watched(&watched).await?;
            self.endings.remove(running);
        }
        Ok(())
    }

    async fn settle_watched(&self, watched: &Watched) -> Result<Ending> {
        let settling = watched.settled.get_or_try_init(|| async {
            let instance = self.instance_of(&watched.running).await?;
            let how = self.runtime.ended(&watched.running).await?;
            let given_back = match instance {
                Some(instance) => self.give_back(&instance).await,
                None => Ok(()),
            };
            // Only now: a start must not find what is about to be unmounted.
            self.runtime.forget(&watched.running);
            given_back.map(|()| how)
        });
        settling.await.copied()
    }

    /// The files of a stopped instance are not in use any more.
    async fn give_back(&self, instance: &Instance) -> Result<()> {
        let (pool, tree) = self.tree(instance).await?;
        let releasing = self.tasks.run_blocking(move || pool.release(&tree));
        releasing.await.context("Failed to unmount the instance")?;
        let stopped = [("volatile.last_state.power", Some("STOPPED"))];
        self.note(instance, &stopped).await
    }

    /// Finds what an earlier daemon has started, settles what has ended since, and starts what is
    /// to run.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub(crate) async fn resume(&self) -> Result<()> {
        let found = self.runtime.find_running().await?;
        let ended: BTreeMap<_, _> = found.ended.into_iter().collect();
        for running in found.running {
            tracing::info!(container = running.name(), "found running");
            self.watch(running);
        }
        let mut to_start = Vec::new();
        let mut kept: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
        for instance in self.list(None).await? {
            if !instance.is_container() || self.status(&instance) != Status::Stopped {
                continue;
            }
            if self.is_kept(&instance, &mut kept).await {
                self.give_back_quietly(&instance).await;
            }
            let tree = trees::name(&instance).ok();
            let how = tree.and_then(|tree| ended.get(tree.qualified()).copied());
            if how == Some(Ending::Stopped) && instance.row.ephemeral {
                self.delete_quietly(&instance).await;
                continue;
            }
            if how == Some(Ending::Rebooting) || is_to_run(&instance) {
                to_start.push(instance);
            }
        }
        self.start_in_order(to_start);
        Ok(())
    }

    /// Whether an earlier daemon has left the instance's files mounted for a container.
    async fn is_kept(
        &self,
        instance: &Instance,
        kept: &mut BTreeMap<String, BTreeSet<crate::pool::TreeName>>,
    ) -> bool {
        let Ok((pool, tree)) = self.tree(instance).await else {
            return false;
        };
        if !kept.contains_key(&instance.row.pool) {
            let found = self.tasks.run_blocking(move || pool.kept()).await;
            let found = found.unwrap_or_default().into_iter().collect();
            kept.insert(instance.row.pool.clone(), found);
        }
        let of_pool = kept.get(&instance.row.pool);
        of_pool.is_some_and(|trees| trees.contains(&tree))
    }

    async fn give_back_quietly(&self, instance: &Instance) {
        let Ok((pool, tree)) = self.tree(instance).await else {
            return;
        };
        let released = self.tasks.run_blocking(move || pool.release(&tree)).await;
        if let Err(error) = released {
            tracing::warn!(%error, instance.name = instance.name(), "its files stay mounted");
        }
    }

    /// One that cannot be deleted does not keep the others from what follows their ends.
    async fn delete_quietly(&self, instance: &Instance) {
        let _held = self.hold(instance, "delete").await;
        if let Err(error) = self.delete_if_ephemeral(instance).await {
            tracing::warn!(%error, instance.name = instance.name(), "an ephemeral instance stays");
        }
    }

    /// Starts instances in the background: those with a higher priority first, and each so many
    /// seconds after the one before as that one says.
    fn start_in_order(&self, mut instances: Vec<Instance>) {
        let number = |instance: &Instance, key: &str| -> i64 {
            let text = instance.get(key).unwrap_or_default();
            text.parse().unwrap_or(0)
        };
        instances.sort_by_key(|instance| {
            let priority = number(instance, "boot.autostart.priority");
            (std::cmp::Reverse(priority), instance.name().to_owned())
        });
        let this = self.clone();
        self.tasks.spawn("autostart", async move {
            let stopping = this.tasks.stopping().clone();
            for instance in instances {
                if stopping.is_cancelled() {
                    return;
                }
                this.start_quietly(&instance).await;
                let delay = number(&instance, "boot.autostart.delay");
                let delay = std::time::Duration::from_secs(u64::try_from(delay).unwrap_or(0));
                stopping
                    .run_until_cancelled(tokio::time::sleep(delay))
                    .await;
            }
        });
    }

    async fn start_quietly(&self, instance: &Instance) {
        let _held = self.hold(instance, "start").await;
        let started = async {
            let instance = self.find(instance.project(), instance.name()).await?;
            if self.status(&instance) != Status::Stopped {
                return Ok(());
            }
            self.start_held(&instance).await?;
            self.tell_instance("instance-started", &instance, &[]);
            Ok::<_, crate::error::Error>(())
        };
        if let Err(error) = started.await {
            tracing::warn!(%error, instance.name = instance.name(), "not started");
        }
    }
}

/// Whether an instance is to run when the daemon starts: if it says so, or, when it says
/// nothing, if it ran before.
fn is_to_run(instance: &Instance) -> bool {
    let set = instance
        .get("boot.autostart")
        .filter(|value| !value.is_empty());
    match set {
        Some(_) => instance.has_flag("boot.autostart"),
        None => instance.get("volatile.last_state.power") == Some("RUNNING"),
    }
}
