//! Writing back early: while the rest of a tree is still being unpacked, what is there already goes
//! to the disk, so that the sync at the end has little left to wait for.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::staging;
use crate::error::{Context, Error, Result};

/// How long to gather between two times.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes a file system back, on a thread of its own, until it is dropped or finished.
#[derive(Debug)]
pub(super) struct WriteBack {
    thread: Option<(Sender<()>, JoinHandle<io::Result<()>>)>,
}

impl WriteBack {
    /// Begins to write back the file system of this directory.
    pub(super) fn begin(directory: &Path) -> Result<Self> {
        let directory = staging::open(directory)?;
        let (end, ended) = channel();
        // It ends with its owner: nothing to be waited for at shutdown.
        let thread = thread::Builder::new()
            .name("write-back".to_owned())
            .spawn(move || {
                while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    sync(&directory)?;
                }
                Ok(())
            })
            .context("Failed to write a tree back")?;
        Ok(Self {
            thread: Some((end, thread)),
        })
    }

    /// Ends it, and makes all last that was written until now.
    ///
    /// # Errors
    ///
    /// Whatever went wrong meanwhile: the system tells it only once.
    pub(super) fn finish(mut self, directory: &Path) -> Result<()> {
        self.end()?;
        sync(&staging::open(directory)?).context("Failed to write a tree back")
    }

    fn end(&mut self) -> Result<()> {
        let Some((end, thread)) = self.thread.take() else {
            return Ok(());
        };
        drop(end);
        let ended = thread.join();
        let ended = ended.map_err(|_panic| Error::failed("Failed to write a tree back"))?;
        ended.context("Failed to write a tree back")
    }
}

impl Drop for WriteBack {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::debug!(%error, "writing back a tree that is given up");
        }
    }
}

fn sync(directory: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::syncfs(directory)?)
}
