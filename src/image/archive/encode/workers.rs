//! Threads that compress, as the caller gives them.

use std::{fmt, sync::Arc};

/// A piece of work for one thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Who runs jobs, and how many at once are of any use. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Workers {
    run: Arc<dyn Fn(Job) + Send + Sync>,
    count: usize,
}

impl Workers {
    /// `run` runs each job on some other thread, soon; with `count` at once, all are busy.
    pub(crate) fn new(count: usize, run: impl Fn(Job) + Send + Sync + 'static) -> Self {
        Self {
            run: Arc::new(run),
            count: count.max(1),
        }
    }

    /// How many jobs at once are of any use.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn run(&self, job: Job) {
        (self.run)(job);
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
