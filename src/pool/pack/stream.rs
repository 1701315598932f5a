//! Reading ahead: several threads make pieces of the archive, which come out in order.

use std::{
    fs::File,
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use super::{
    entry::{Found, Piece, Reader, failed, length, records},
    header::{base, padding},
    sparse,
    walk::{Batch, Item, Walk},
};
use crate::{
    error::{Error, Result},
    image::archive::Part,
    pool::watch::Watch,
};

/// How many batches are ahead of what is written.
const AHEAD: usize = 8;

/// How much of a batch is read ahead: extended attributes are not known before.
const AHEAD_BYTES: usize = 4 * 1024 * 1024;

/// Threads that read. Others wait for the disk meanwhile, or compress.
const READERS: usize = 2;

/// How much of a long file is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What comes of a batch.
type Pieces = Result<Vec<Piece>>;

/// The archive as it is written.
pub(super) struct Stream<'s, 'w> {
    pub(super) sink: &'s mut (dyn Write + Send),
    pub(super) watch: &'s Watch<'w>,
    pub(super) written_bytes: u64,
}

impl Stream<'_, '_> {
    /// Writes bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.watch.check()?;
        self.sink.write_all(bytes)?;
        self.written_bytes += bytes.len() as u64;
        (self.watch.progress)(self.written_bytes);
        Ok(())
    }

    /// Writes a directory, and everything in it, under this name.
    pub(super) fn directory(
        &mut self,
        directory: OwnedFd,
        path: &[u8],
        reader: Reader<'_>,
    ) -> Result<()> {
        let (give, ordered) = sync_channel::<Receiver<Pieces>>(AHEAD);
        let (hand_out, batches) = sync_channel::<(Batch, SyncSender<Pieces>)>(AHEAD);
        let batches = Arc::new(Mutex::new(batches));
        std::thread::scope(|scope| {
            for _ in 0..READERS {
                let batches = Arc::clone(&batches);
                scope.spawn(move || read(&batches, reader));
            }
            drop(batches);
            scope.spawn(move || {
                let mut send = |batch| {
                    let (promise, kept) = sync_channel(1);
                    give.send(kept).is_ok() && hand_out.send((batch, promise)).is_ok()
                };
                if let Err(error) = Walk::new(reader, &mut send).run(directory, path) {
                    fail(&give, error);
                }
            });
            // Ends the threads, even when writing fails.
            let ordered = ordered;
            self.take(&ordered, reader)
        })
    }

    /// Writes what is ready, in order.
    fn take(&mut self, ordered: &Receiver<Receiver<Pieces>>, reader: Reader<'_>) -> Result<()> {
        while let Ok(pieces) = ordered.recv() {
            let pieces = pieces.recv();
            let pieces = pieces.map_err(|_gone| Error::failed("Failed to read the instance"))??;
            for piece in pieces {
                match piece {
                    Piece::Bytes(bytes) => self.write(&bytes)?,
                    Piece::File(found) => self.large(&found, reader)?,
                    Piece::Other(found) => self.other(found, reader)?,
                }
            }
        }
        Ok(())
    }

    fn other(&mut self, found: Found, reader: Reader<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        let long = reader.read(found, &mut bytes)?;
        self.write(&bytes)?;
        long.map_or(Ok(()), |found| self.large(&found, reader))
    }

    fn large(&mut self, found: &Found, reader: Reader<'_>) -> Result<()> {
        let Some((mut file, stat)) = Reader::open(found)? else {
            return Ok(());
        };
        let path = &found.path;
        let size_bytes = length(&stat);
        let wrong = |error| failed(path, error);
        let mut header = reader.header(path, b'0', &stat).map_err(wrong)?;
        header.records = records(reader.xattrs(file.as_fd()).map_err(wrong)?);
        let mut bytes = Vec::new();
        // How many blocks it takes is the file system's business; where its holes are is the file's.
        let parts = sparse::parts(&file, size_bytes).map_err(wrong)?;
        let Some(parts) = parts else {
            header.size_bytes = size_bytes;
            header.write(&mut bytes);
            self.write(&bytes)?;
            let whole = Part {
                offset: 0,
                size_bytes,
            };
            self.part(&mut file, whole, path)?;
            return self.pad(size_bytes);
        };
        let map = sparse::map(&parts);
        let stored: u64 = parts.iter().map(|part| part.size_bytes).sum();
        let stand_in = [b"GNUSparseFile.0/", base(path)].concat();
        header.stand_in = Some(&stand_in);
        header.size_bytes = map.len() as u64 + stored;
        header.records.extend(sparse_records(path, size_bytes));
        header.write(&mut bytes);
        bytes.extend_from_slice(&map);
        self.write(&bytes)?;
        for part in parts {
            self.part(&mut file, part, path)?;
        }
        self.pad(stored)
    }

    /// Writes a part of a file; zeros where it has become shorter, as tar does.
    fn part(&mut self, file: &mut File, part: Part, path: &[u8]) -> Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let (mut offset, mut rest) = (part.offset, part.size_bytes);
        while rest > 0 {
            let count = usize::try_from(rest)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            let chunk = buffer.get_mut(..count).unwrap_or_default();
            let read = fill(file, chunk, offset).map_err(|error| failed(path, error))?;
            chunk.get_mut(read..).unwrap_or_default().fill(0);
            self.write(chunk)?;
            offset += count as u64;
            rest -= count as u64;
        }
        Ok(())
    }

    pub(super) fn pad(&mut self, bytes: u64) -> Result<()> {
        let zeros = [0; super::header::BLOCK_BYTES];
        self.write(zeros.get(..padding(bytes)).unwrap_or_default())
    }
}

fn sparse_records(path: &[u8], size_bytes: u64) -> [(Vec<u8>, Vec<u8>); 4] {
    let record = |key: &str, value: &[u8]| (key.as_bytes().to_vec(), value.to_vec());
    [
        record("GNU.sparse.major", b"1"),
        record("GNU.sparse.minor", b"0"),
        record("GNU.sparse.name", path),
        record("GNU.sparse.realsize", size_bytes.to_string().as_bytes()),
    ]
}

fn fill(file: &File, chunk: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = chunk.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Tells an error in its turn.
fn fail(give: &SyncSender<Receiver<Pieces>>, error: Error) {
    let (promise, kept) = sync_channel(1);
    // If nobody listens any more, there is an error already.
    drop(promise.send(Err(error)));
    drop(give.send(kept));
}

/// Makes pieces of batches until there are no more.
fn read(batches: &Mutex<Receiver<(Batch, SyncSender<Pieces>)>>, reader: Reader<'_>) {
    loop {
        let batch = {
            let batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
            batches.recv()
        };
        let Ok((batch, promise)) = batch else {
            return;
        };
        // Nobody waits for it when writing has failed.
        drop(promise.send(pieces(batch, reader)));
    }
}

fn pieces(batch: Batch, reader: Reader<'_>) -> Pieces {
    let mut pieces = Vec::new();
    let (mut bytes, mut ahead_bytes) = (Vec::new(), 0);
    for item in batch.items {
        let later = match item {
            Item::Done(done) => {
                bytes.extend_from_slice(&done);
                None
            }
            Item::Found(found) if ahead_bytes + bytes.len() > AHEAD_BYTES => {
                Some(Piece::Other(found))
            }
            Item::Found(found) => reader.read(found, &mut bytes)?.map(Piece::File),
        };
        if let Some(later) = later {
            ahead_bytes += bytes.len();
            pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
            pieces.push(later);
        }
    }
    pieces.push(Piece::Bytes(bytes));
    Ok(pieces)
}
