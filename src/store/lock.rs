//! One change at a time for each fingerprint.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

use crate::image::Fingerprint;

/// The locks in use. Guards the invariant that files of one fingerprint are placed, recorded,
/// and removed by one task at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Locks(Arc<Mutex<HashMap<Fingerprint, Weak<tokio::sync::Mutex<()>>>>>);

/// The right to change the files of one fingerprint, given back on drop.
#[derive(Debug)]
pub(crate) struct Held {
    fingerprint: Fingerprint,
    _guard: OwnedMutexGuard<()>,
}

impl Held {
    /// Which files it is for.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl Locks {
    pub(super) async fn lock(&self, fingerprint: &Fingerprint) -> Held {
        let lock = self.entry(fingerprint);
        Held {
            fingerprint: fingerprint.clone(),
            _guard: lock.lock_owned().await,
        }
    }

    fn entry(&self, fingerprint: &Fingerprint) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(fingerprint).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(fingerprint.clone(), Arc::downgrade(&lock));
        lock
    }
}
