//! Spawned work: every task has a name, is waited for at shutdown, and can be told to stop.
//!
//! Two tokens: `stopping` asks loops to end and listeners to stop accepting; `cut` ends what still
//! runs when the deadline has passed or a second signal came.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::error::{Error, Result};

/// The daemon's spawned tasks. Cheap to clone; all clones are one set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl Tasks {
    /// Runs `work` in the background until it ends or the daemon is cut off.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let cut = self.cut.clone();
        let work = async move {
            cut.run_until_cancelled(work).await;
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that spawns"
        )]
        drop(tokio::spawn(self.tracker.track_future(
            work.instrument(tracing::debug_span!("task", name)),
        )));
    }

    /// Runs `work` to its end even when the caller goes away meanwhile (a client that hangs up
    /// drops its handler's future, and must not stop a change half way).
    ///
    /// # Errors
    ///
    /// What `work` returns, or 503 when the daemon was cut off.
    pub(crate) async fn run_to_end<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.spawn(name, async move {
            // The receiver is gone when the client hung up; the work is done all the same.
            drop(sender.send(work.await));
        });
        receiver.await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// Runs `work` on a thread where blocking is allowed; shutdown waits for it.
    ///
    /// # Errors
    ///
    /// What `work` returns, or 500 when it panicked.
    pub(crate) async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.start_blocking(work).await
    }

    /// The same, begun at once; the answer is waited for when it is needed.
    pub(crate) fn start_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let token = self.tracker.token();
        let joined = tokio::task::spawn_blocking(move || {
            let _token = token;
            work()
        });
        async {
            joined
                .await
                .unwrap_or_else(|error| Err(Error::internal("Internal error", error)))
        }
    }

    /// Runs `job` on a thread where blocking is allowed, soon; shutdown waits for it. For work that
    /// is shared out to several threads, whose answers come another way.
    pub(crate) fn start_job(&self, job: impl FnOnce() + Send + 'static) {
        drop(self.start_blocking(move || {
            job();
            Ok(())
        }));
    }

    /// Cancelled once the daemon begins to stop: loops end, listeners stop accepting.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Cancelled when what still runs has to end at once.
    pub(crate) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Asks everything to stop and waits up to `patience` for it. Returns whether it has ended.
    pub(crate) async fn drain(&self, patience: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait())
            .await
            .is_ok()
    }
}

/// What a request reads that comes while the daemon ends.
pub(crate) fn shutting_down() -> Error {
    Error::new(crate::error::Kind::Unavailable, "LXD is shutting down")
}
