//! One change at a time for each instance.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Which instance: its project and its name.
pub(crate) type Key = (String, String);

/// One instance's lock, and what is under way: LXD's word for it.
#[derive(Debug, Default)]
struct Slot {
    lock: Arc<RwLock<()>>,
    action: Mutex<&'static str>,
}

/// The locks in use. Guards the invariant that an instance's row, tree and processes are changed
/// by one task at a time, and that none of them changes while somebody copies or publishes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locks(Arc<Mutex<HashMap<Key, Weak<Slot>>>>);

/// The right to change an instance, given back on drop.
#[derive(Debug)]
pub(crate) struct Held {
    _guard: OwnedRwLockWriteGuard<()>,
    _slot: Arc<Slot>,
}

/// The right to read an instance's tree while nobody changes the instance, given back on drop.
#[derive(Debug)]
pub(crate) struct Shared {
    _guard: OwnedRwLockReadGuard<()>,
    _slot: Arc<Slot>,
}

/// How a second instance is locked beside one that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Second {
    /// It is changed too.
    Hold,
    /// It is read.
    Share,
}

/// One instance that is held, and maybe another one that is locked, given back on drop.
#[derive(Debug)]
pub(crate) struct Pair {
    _held: Held,
    _second_held: Option<Held>,
    _second_shared: Option<Shared>,
}

impl Locks {
    /// Waits until nobody else works with the instance. `action` is what the log says of it.
    pub(crate) async fn hold(&self, project: &str, name: &str, action: &'static str) -> Held {
        let slot = self.slot(project, name);
        if let Some(running) = slot.busy_with() {
            tracing::debug!(instance.name = name, action, running, "waits for its turn");
        }
        let guard = Arc::clone(&slot.lock).write_owned().await;
        slot.held(guard, action)
    }

    /// Waits until nobody changes the instance; others may read it too.
    pub(crate) async fn share(&self, project: &str, name: &str, action: &'static str) -> Shared {
        let slot = self.slot(project, name);
        let guard = Arc::clone(&slot.lock).read_owned().await;
        slot.tell(action);
        Shared {
            _guard: guard,
            _slot: slot,
        }
    }

    /// Shares an instance if nobody changes it, or waits to.
    pub(crate) fn try_share(
        &self,
        project: &str,
        name: &str,
        action: &'static str,
    ) -> Option<Shared> {
        let slot = self.slot(project, name);
        let guard = Arc::clone(&slot.lock).try_read_owned().ok()?;
        slot.tell(action);
        Some(Shared {
            _guard: guard,
            _slot: slot,
        })
    }

    /// Holds one instance, and locks another one: both are given by project and name. Whoever
    /// needs two takes them here, in the order of their names, so that nobody has what somebody
    /// waits for who has what they wait for. One that is both is held.
    pub(crate) async fn hold_with(
        &self,
        held: (&str, &str),
        (second, how): ((&str, &str), Second),
        action: &'static str,
    ) -> Pair {
        let mut first = None;
        if held < second {
            first = Some(self.hold(held.0, held.1, action).await);
        }
        let (mut second_held, mut second_shared) = (None, None);
        match how {
            _ if held == second => {}
            Second::Hold => second_held = Some(self.hold(second.0, second.1, action).await),
            Second::Share => second_shared = Some(self.share(second.0, second.1, action).await),
        }
        Pair {
            _held: match first {
                Some(held) => held,
                None => self.hold(held.0, held.1, action).await,
            },
            _second_held: second_held,
            _second_shared: second_shared,
        }
    }

    fn slot(&self, project: &str, name: &str) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (project.to_owned(), name.to_owned());
        if let Some(slot) = slots.get(&key).and_then(Weak::upgrade) {
            return slot;
        }
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::<Slot>::default();
        slots.insert(key, Arc::downgrade(&slot));
        slot
    }
}

impl Pair {
    /// One that is held alone.
    pub(crate) fn alone(held: Held) -> Self {
        Self {
            _held: held,
            _second_held: None,
            _second_shared: None,
        }
    }
}

impl Slot {
    /// What somebody is doing with the instance.
    fn busy_with(&self) -> Option<&'static str> {
        let action = *self.action.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock.try_write().is_err().then_some(action)
    }

    fn tell(&self, action: &'static str) {
        *self.action.lock().unwrap_or_else(PoisonError::into_inner) = action;
    }

    fn held(self: Arc<Self>, guard: OwnedRwLockWriteGuard<()>, action: &'static str) -> Held {
        self.tell(action);
        Held {
            _guard: guard,
            _slot: self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_changes_or_many_read() {
        let locks = Locks::default();
        let (one, two) = (
            locks.share("p", "i", "copy").await,
            locks.share("p", "i", "publish").await,
        );
        let mut change = Box::pin(locks.hold("p", "i", "start"));
        assert!(futures_util::poll!(&mut change).is_pending());
        locks.hold("q", "i", "start").await;
        drop((one, two));
        let held = change.await;
        let mut read = Box::pin(locks.share("p", "i", "copy"));
        assert!(futures_util::poll!(&mut read).is_pending());
        assert!(locks.try_share("p", "i", "publish").is_none());
        drop(held);
        drop(read.await);
        assert!(locks.try_share("p", "i", "publish").is_some());
    }

    #[tokio::test]
    async fn two_who_need_the_same_two_do_not_wait_for_each_other() {
        let locks = Locks::default();
        let (a, b) = (("p", "a"), ("p", "b"));
        let busy = locks.share("p", "a", "publish").await;
        let mut renamed = Box::pin(locks.hold_with(a, (b, Second::Hold), "rename"));
        assert!(futures_util::poll!(&mut renamed).is_pending());
        let mut copied = Box::pin(locks.hold_with(b, (a, Second::Share), "copy"));
        assert!(futures_util::poll!(&mut copied).is_pending());
        drop(busy);
        drop(renamed.await);
        drop(copied.await);
        locks.hold_with(a, (a, Second::Share), "copy").await;
    }
}
