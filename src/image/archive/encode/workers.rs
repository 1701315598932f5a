//! Threads that compress, as the caller gives them.

use std::{fmt, io, sync::Arc};

/// A piece of work for one thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Who runs jobs, and how many at once are of any use. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Workers {
    run: Arc<dyn Fn(Job) + Send + Sync>,
    count: usize,
    is_given_up: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Workers {
    /// `run` runs each job on some other thread, soon; with `count` at once, all are busy.
    pub(crate) fn new(count: usize, run: impl Fn(Job) + Send + Sync + 'static) -> Self {
        Self {
            run: Arc::new(run),
            count: count.max(1),
            is_given_up: Arc::new(|| false),
        }
    }

    /// The same, for work that ends once this is so.
    pub(crate) fn until(mut self, is_given_up: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.is_given_up = Arc::new(is_given_up);
        self
    }

    /// How many jobs at once are of any use.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Refuses to go on with what was given up.
    pub(super) fn check(&self) -> io::Result<()> {
        if (self.is_given_up)() {
            return Err(io::Error::other("Compression interrupted"));
        }
        Ok(())
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
