//! One change at a time for each instance.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::error::{Error, Result};

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
    /// Waits until nobody else works with the instance. `action` is what others are told.
    pub(crate) async fn hold(&self, project: &str, name: &str, action: &'static str) -> Held {
        let slot = self.slot(project, name);
        let guard = Arc::clone(&slot.lock).write_owned().await;
        slot.held(guard, action)
    }

    /// The same, but does not wait.
    ///
    /// # Errors
    ///
    /// LXD's text when somebody else works with the instance.
    pub(crate) fn try_hold(&self, project: &str, name: &str, action: &'static str) -> Result<Held> {
        let slot = self.slot(project, name);
        let Ok(guard) = Arc::clone(&slot.lock).try_write_owned() else {
            let running = *slot.action.lock().unwrap_or_else(PoisonError::into_inner);
            let text = format!("Instance is busy running a {running:?} operation");
            return Err(Error::failed(text));
        };
        Ok(slot.held(guard, action))
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
        assert!(locks.try_hold("p", "i", "start").is_err());
        drop((one, two));
        let held = locks.try_hold("p", "i", "start").unwrap();
        let error = locks.try_hold("p", "i", "stop").unwrap_err();
        let text = "Instance is busy running a \"start\" operation";
        assert_eq!(error.message(), text);
        locks.try_hold("q", "i", "stop").unwrap();
        drop(held);
        locks.hold("p", "i", "stop").await;
    }
}
