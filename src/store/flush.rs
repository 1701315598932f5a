//! Writing back early: while the rest of a large file still arrives, what is there already goes
//! to the disk, so that the sync at the end has little left to wait for.

use std::{
    fs::File,
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use crate::error::{Context, Error, Result};

/// How much is left to gather before it is written back.
const STRIDE_BYTES: u64 = 32 * 1024 * 1024;

/// Writes a growing file back, on a thread of its own that is started when there is enough.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    thread: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
    flushed_bytes: u64,
}

impl Flusher {
    /// The file has grown to `size_bytes`.
    pub(super) fn grown(&mut self, file: &File, size_bytes: u64) -> Result<()> {
        if size_bytes - self.flushed_bytes < STRIDE_BYTES {
            return Ok(());
        }
        self.flushed_bytes = size_bytes;
        if self.thread.is_none() {
            self.thread = Some(start(file).context("Failed to write the image back")?);
        }
        if let Some((nudge, _)) = &self.thread {
            // When it is still busy with the last stretch, this one goes with the next.
            match nudge.try_send(()) {
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Waits until nothing is being written back any more.
    ///
    /// # Errors
    ///
    /// Whatever went wrong meanwhile: the system tells it only once.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some((nudge, thread)) = self.thread.take() else {
            return Ok(());
        };
        drop(nudge);
        let ended = thread.join();
        let ended = ended.map_err(|_panic| Error::failed("Failed to write the image back"))?;
        ended.context("Failed to write the image back")
    }
}

impl Drop for Flusher {
    /// The thread has the file open: it has to be gone before the space is free again.
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::debug!(%error, "writing back a file that is given up");
        }
    }
}

fn start(file: &File) -> io::Result<(SyncSender<()>, JoinHandle<io::Result<()>>)> {
    let file = file.try_clone()?;
    let (nudge, nudges) = sync_channel(1);
    // It ends with the sender, which its upload owns: nothing to be waited for at shutdown.
    let thread = thread::Builder::new()
        .name("write-back".to_owned())
        .spawn(move || nudges.into_iter().try_for_each(|()| file.sync_data()))?;
    Ok((nudge, thread))
}
