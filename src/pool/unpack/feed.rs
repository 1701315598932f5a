//! The tar stream of a file, decompressed by a thread of its own.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::Scope,
};

use crate::{
    image::archive::{Format, decoder},
    pool::watch::Watch,
};

/// How much goes from one thread to the other at a time, and how often before the other has to
/// take some.
const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS: usize = 8;

/// A file read from its beginning, whoever else reads it, with every byte told to whoever waits.
pub(super) struct Source<'w> {
    file: &'w File,
    offset: u64,
    watch: &'w Watch<'w>,
    /// Bytes read of all files of the image.
    total: &'w AtomicU64,
}

impl<'w> Source<'w> {
    pub(super) fn new(file: &'w File, watch: &'w Watch<'w>, total: &'w AtomicU64) -> Self {
        Self {
            file,
            offset: 0,
            watch,
            total,
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        let total = self.total.fetch_add(count as u64, Ordering::Relaxed);
        (self.watch.progress)(total + count as u64);
        Ok(count)
    }
}

/// The other end: what comes out of the decompressor.
pub(super) struct Feed {
    chunks: Receiver<io::Result<Vec<u8>>>,
    spent: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Feed {
    /// Begins to decompress; ends with what is in the file, an error, or with the feed.
    pub(super) fn start<'s>(
        scope: &'s Scope<'s, '_>,
        format: Format,
        source: impl Read + Send + 's,
    ) -> Self {
        let (send, chunks) = sync_channel(CHUNKS);
        let (spent, reuse) = channel();
        scope.spawn(move || {
            if let Err(error) = decompress(format, source, &send, &reuse) {
                // Nobody listens any more: fine.
                drop(send.send(Err(error)));
            }
        });
        Self {
            chunks,
            spent,
            chunk: Vec::new(),
            at: 0,
        }
    }

    /// Takes the next chunk; tells whether there was one.
    fn next(&mut self) -> io::Result<bool> {
        let Ok(chunk) = self.chunks.recv() else {
            return Ok(false);
        };
        let spent = std::mem::replace(&mut self.chunk, chunk?);
        self.at = 0;
        // At the end there is nobody to use it again.
        drop(self.spent.send(spent));
        Ok(true)
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.next()? {
            return Ok(0);
        }
        let count = self.chunk.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

fn decompress(
    format: Format,
    source: impl Read,
    chunks: &SyncSender<io::Result<Vec<u8>>>,
    reuse: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    let Some(mut decoder) = decoder(format, source)? else {
        return Ok(());
    };
    loop {
        let mut chunk = reuse.try_recv().unwrap_or_default();
        chunk.resize(CHUNK_BYTES, 0);
        let (count, outcome) = fill(&mut decoder, &mut chunk);
        chunk.truncate(count);
        // What came before an error counts: the archive may end in there.
        let is_over = count == 0 || chunks.send(Ok(chunk)).is_err();
        outcome?;
        if is_over {
            return Ok(());
        }
    }
}

/// Fills the buffer, or as much of it as there is.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match input.read(free) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}
