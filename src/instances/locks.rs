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
        drop(held);
        read.await;
    }
}
