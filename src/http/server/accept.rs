//! What every accept loop does: bound the connections, and not spin when there are no more files
//! to be had.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections a listener serves at a time; more wait to be accepted.
pub(super) const MAX_CONNECTIONS: usize = 4096;

/// How long a loop pauses after an error that would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Room for connections.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections)))
    }

    /// Waits until there is room for one more connection.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if self.0.available_permits() == 0 {
            tracing::warn!("the limit of connections is reached; new ones wait");
        }
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

/// Waits a moment when accepting failed for want of something, such as file descriptors.
pub(super) async fn rest_after(error: &io::Error) {
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
