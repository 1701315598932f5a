//! What every accept loop does: bound the connections, not spin when there are no more files to
//! be had, and not end unnoticed.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::tasks::Tasks;

/// How long a loop pauses after an error that would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Room for connections.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections)))
    }

    /// The next connection, and its place, which is free again when that is dropped. May be
    /// dropped at any time: no connection is accepted and then lost.
    pub(super) async fn next<C, F>(
        &self,
        mut accept: impl FnMut() -> F,
    ) -> (C, OwnedSemaphorePermit)
    where
        F: Future<Output = io::Result<C>>,
    {
        let place = self.place().await;
        loop {
            match accept().await {
                Ok(connection) => return (connection, place),
                Err(error) => rest_after(&error).await,
            }
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        if self.0.available_permits() == 0 {
            tracing::warn!("the limit of connections is reached; new ones wait");
        }
        let place = Arc::clone(&self.0).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }
}

/// Waits a moment when accepting failed for want of something, such as file descriptors.
async fn rest_after(error: &io::Error) {
    let is_about_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !is_about_one_connection {
        tracing::warn!(%error, "failed to accept a connection");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Begins to stop the daemon when the loop that holds it ends although nobody asked it to: a
/// daemon that nobody reaches has to be started anew.
#[derive(Debug)]
pub(super) struct Vital {
    name: &'static str,
    stop: CancellationToken,
    tasks: Tasks,
}

impl Vital {
    /// Watches over the loop `name`, which ends for good reason once `stop` is cancelled.
    pub(super) fn new(name: &'static str, stop: CancellationToken, tasks: Tasks) -> Self {
        Self { name, stop, tasks }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() && !self.tasks.cut().is_cancelled() {
            tracing::error!(listener = self.name, "a listener ended by itself");
            self.tasks.stopping().cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_ends_by_itself_stops_the_daemon() {
        let tasks = Tasks::default();
        let vital = Vital::new("test", CancellationToken::new(), tasks.clone());
        tasks.spawn("test", async move {
            let _vital = vital;
            panic!("a defect");
        });
        tasks.stopping().cancelled().await;
    }

    #[tokio::test]
    async fn a_loop_that_was_asked_to_end_stops_nothing_else() {
        let tasks = Tasks::default();
        let stop = CancellationToken::new();
        let vital = Vital::new("test", stop.clone(), tasks.clone());
        stop.cancel();
        drop(vital);
        assert!(!tasks.stopping().is_cancelled());
    }

    #[tokio::test]
    async fn errors_of_accepting_are_outlived() {
        let room = Room::new(1);
        let mut errors = vec![
            io::Error::from_raw_os_error(24),
            io::ErrorKind::ConnectionAborted.into(),
        ];
        let accept = || std::future::ready(errors.pop().map_or(Ok("connection"), Err));
        let (connection, _place) = room.next(accept).await;
        assert_eq!(connection, "connection");
    }
}
