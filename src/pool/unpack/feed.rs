//! The tar stream of a file, decompressed by a thread of its own.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::Scope,
};

use super::budget::Pace;
use crate::image::archive::{Format, decoder};

/// How much goes from one thread to the other at a time, and how often before the other has to
/// take some.
const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS: usize = 8;

/// A file read from its beginning, whoever else reads it, with every byte told to whoever waits.
pub(super) struct Source<'w> {
    file: &'w File,
    offset: u64,
    pace: Pace<'w>,
}

impl<'w> Source<'w> {
    pub(super) fn new(file: &'w File, pace: Pace<'w>) -> Self {
        Self {
            file,
            offset: 0,
            pace,
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check(self.pace)?;
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        self.pace.read(count as u64);
        Ok(count)
    }
}

/// The other end: what comes out of the decompressor.
pub(super) struct Feed<'w> {
    pace: Pace<'w>,
    chunks: Receiver<io::Result<Vec<u8>>>,
    spent: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl<'w> Feed<'w> {
    /// Begins to decompress; ends with what is in the file, an error, or with the feed.
    pub(super) fn start<'s>(scope: &'s Scope<'s, '_>, format: Format, source: Source<'w>) -> Self
    where
        'w: 's,
    {
        let pace = source.pace;
        let (send, chunks) = sync_channel(CHUNKS);
        let (spent, reuse) = channel();
        scope.spawn(move || {
            if let Err(error) = decompress(format, source, &send, &reuse) {
                // Nobody listens any more: fine.
                drop(send.send(Err(error)));
            }
        });
        Self {
            pace,
            chunks,
            spent,
            chunk: Vec::new(),
            at: 0,
        }
    }

    /// Takes the next chunk; tells whether there was one.
    fn next(&mut self) -> io::Result<bool> {
        // A long entry that nobody wants is one read to whoever passes over it.
        check(self.pace)?;
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

impl Read for Feed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.next()? {
            return Ok(0);
        }
        let count = self.chunk.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

fn check(pace: Pace<'_>) -> io::Result<()> {
    pace.check().map_err(io::Error::other)
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
