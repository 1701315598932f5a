//! A limit on how fast bytes come, for downloads that nobody waits for.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The bytes a second that may come now; `None` for as many as there are.
type Limit = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// A limit that downloads share. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Throttle(Arc<Inner>);

struct Inner {
    limit: Limit,
    /// When the next bytes may come.
    next: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Throttle")
    }
}

impl Throttle {
    /// What `limit` says is asked anew for all bytes that come.
    pub(crate) fn new(limit: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            limit: Box::new(limit),
            next: Mutex::default(),
        }))
    }

    /// How long whoever got so many bytes has to wait before the next ones.
    fn take(&self, bytes: u64, now: Instant) -> Duration {
        let Some(limit) = (self.0.limit)() else {
            return Duration::ZERO;
        };
        let cost = Duration::from_secs(bytes) / u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        let free = next.filter(|next| *next > now).unwrap_or(now) + cost;
        *next = Some(free);
        free - now
    }
}

/// The limit on one download, which ends once somebody waits for it. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    throttle: Throttle,
    is_lifted: Arc<AtomicBool>,
}

impl Held {
    /// A download under this limit.
    pub(crate) fn by(throttle: &Throttle) -> Self {
        Self {
            throttle: throttle.clone(),
            is_lifted: Arc::default(),
        }
    }

    /// Somebody waits for it.
    pub(crate) fn lift(&self) {
        self.is_lifted.store(true, Ordering::Relaxed);
    }

    /// So many bytes have come: waits until more may.
    pub(super) async fn wait(&self, bytes: u64) {
        if !self.is_lifted.load(Ordering::Relaxed) {
            tokio::time::sleep(self.throttle.take(bytes, Instant::now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_share_one_limit() {
        let throttle = Throttle::new(|| Some(1000));
        let (other, now) = (throttle.clone(), Instant::now());
        assert_eq!(throttle.take(500, now), Duration::from_millis(500));
        assert_eq!(other.take(500, now), Duration::from_secs(1));
        let later = now + Duration::from_secs(5);
        assert_eq!(other.take(100, later), Duration::from_millis(100));
        let free = Throttle::new(|| None);
        assert_eq!(free.take(u64::MAX, now), Duration::ZERO);
    }

    #[test]
    fn a_limit_ends_when_somebody_waits() {
        let throttle = Throttle::new(|| Some(1));
        let held = Held::by(&throttle);
        held.lift();
        let mut waiting = Box::pin(held.wait(1_000_000));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }
}
