//! Threads that make files while others are being read.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::Scope,
};

use crate::error::{Error, Result};

/// Work that is handed out together, at most: waking a thread costs as much as making a file.
const BATCH_JOBS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// How many of them wait.
const BATCHES: usize = 4;

/// Most threads.
const MAX_THREADS: usize = 4;

/// Something to be done, in whatever order.
pub(super) type Job = Box<dyn FnOnce() -> Result<()> + Send>;

/// Jobs that wait.
type Queue = Arc<Mutex<Receiver<Vec<Job>>>>;

/// What the threads know of each other.
#[derive(Debug, Default)]
struct State {
    outstanding: Mutex<usize>,
    is_idle: Condvar,
    failure: Mutex<Option<Error>>,
    has_failed: AtomicBool,
}

impl State {
    fn began(&self) {
        *self
            .outstanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn ended(&self) {
        let mut outstanding = self
            .outstanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *outstanding -= 1;
        if *outstanding == 0 {
            self.is_idle.notify_all();
        }
    }

    fn fail(&self, error: Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// The first failure, once.
    fn check(&self) -> Result<()> {
        if !self.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let again = || Error::failed("Unpack failed");
        Err(failure.take().unwrap_or_else(again))
    }
}

/// The threads, as whoever has work for them sees them.
pub(super) struct Writers {
    queue: SyncSender<Vec<Job>>,
    state: Arc<State>,
    batch: Vec<Job>,
    batch_bytes: usize,
}

/// Says that a batch is over, also when a job panicked.
struct Ended<'s>(&'s State);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ended();
    }
}

impl Writers {
    /// Starts as many as there are processors. They end when this is dropped.
    pub(super) fn start<'s>(scope: &'s Scope<'s, '_>) -> Self {
        let (send, receive) = sync_channel(BATCHES);
        let queue = Arc::new(Mutex::new(receive));
        let state = Arc::new(State::default());
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..count.min(MAX_THREADS) {
            let (queue, state) = (Arc::clone(&queue), Arc::clone(&state));
            scope.spawn(move || work(&queue, &state));
        }
        Self {
            queue: send,
            state,
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Has something done, which holds so many bytes of memory until then.
    pub(super) fn push(&mut self, bytes: usize, job: Job) -> Result<()> {
        self.batch.push(job);
        self.batch_bytes += bytes;
        if self.batch.len() >= BATCH_JOBS || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Waits until everything is done.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.flush()?;
        let outstanding = self.state.outstanding.lock();
        let outstanding = outstanding.unwrap_or_else(PoisonError::into_inner);
        let is_idle = self
            .state
            .is_idle
            .wait_while(outstanding, |count| *count > 0);
        drop(is_idle.unwrap_or_else(PoisonError::into_inner));
        self.state.check()
    }

    /// Hands out what has been gathered: what follows is better done by another thread.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.state.check()?;
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.state.began();
        if self.queue.send(batch).is_err() {
            self.state.ended();
            return Err(Error::failed("Unpack failed"));
        }
        Ok(())
    }
}

fn next(queue: &Queue) -> Option<Vec<Job>> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}

fn work(queue: &Queue, state: &State) {
    while let Some(batch) = next(queue) {
        let _ended = Ended(state);
        for job in batch {
            if state.has_failed.load(Ordering::Relaxed) {
                break;
            }
            if let Err(error) = job() {
                state.fail(error);
            }
        }
    }
}
