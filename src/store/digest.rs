//! Hashing beside writing: the two take about as long, so each has a thread of its own.

use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Context, Error, Result},
    image::Fingerprint,
};

/// How many pieces the hash may lag behind the file.
const QUEUE: usize = 16;

/// A SHA-256 that is computed while its input is also written elsewhere.
#[derive(Debug)]
pub(super) struct Digest {
    pieces: SyncSender<Bytes>,
    thread: JoinHandle<[u8; 32]>,
}

impl Digest {
    pub(super) fn start() -> Result<Self> {
        let (pieces, received) = sync_channel::<Bytes>(QUEUE);
        // It ends with the sender, which its upload owns: nothing to be waited for at shutdown.
        let thread = thread::Builder::new()
            .name("sha256".to_owned())
            .spawn(move || {
                let hash = received
                    .into_iter()
                    .fold(Sha256::new(), Sha256::chain_update);
                hash.finalize().into()
            });
        Ok(Self {
            pieces,
            thread: thread.context("Failed to start hashing")?,
        })
    }

    /// Takes the next piece; waits when the hash has fallen behind.
    pub(super) fn update(&self, piece: Bytes) -> Result<()> {
        let ended = |error| Error::internal("Failed to hash the image", anyhow::Error::from(error));
        self.pieces.send(piece).map_err(ended)
    }

    /// The fingerprint of everything that was given.
    pub(super) fn finish(self) -> Result<Fingerprint> {
        drop(self.pieces);
        let digest = self.thread.join();
        let digest = digest.map_err(|_panic| Error::failed("Failed to hash the image"))?;
        Ok(Fingerprint::from_digest(&digest))
    }
}
