//! The data of files, for several threads at once.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{
    Place, Stretch,
    compressor::Compressor,
    disk::{DATA_IS_PLAIN, data_length},
    malformed,
};

/// Most memory for blocks with the ends of files, of which many are in the same.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// A block that somebody unpacks while others wait for it.
type Shared = Arc<OnceLock<Result<Vec<u8>, (ErrorKind, String)>>>;

/// An image's blocks of data.
#[derive(Debug)]
pub(crate) struct Blocks {
    file: fs::File,
    compressor: Compressor,
    block_size: u32,
    fragments: Mutex<Fragments>,
}

#[derive(Debug, Default)]
struct Fragments {
    by_start: HashMap<u64, Shared>,
    oldest_first: VecDeque<u64>,
}

impl Blocks {
    pub(super) fn new(file: fs::File, compressor: Compressor, block_size: u32) -> Self {
        Self {
            file,
            compressor,
            block_size,
            fragments: Mutex::default(),
        }
    }

    /// Gives what is in a stretch to `take`; a hole is none.
    pub(crate) fn read<T>(
        &self,
        stretch: &Stretch,
        take: impl FnOnce(Option<&[u8]>) -> io::Result<T>,
    ) -> io::Result<T> {
        let length = stretch.length as usize;
        match stretch.place {
            Place::Hole => take(None),
            Place::Block { start, size } => {
                let data = self.unpack(start, size)?;
                if data.len() != length {
                    return Err(malformed("a block of data has another length"));
                }
                take(Some(&data))
            }
            Place::Fragment {
                start,
                size,
                within,
            } => {
                let shared = self.fragment(start);
                let unpack = || {
                    let unpacked = self.unpack(start, size);
                    unpacked.map_err(|error| (error.kind(), error.to_string()))
                };
                let data = shared.get_or_init(unpack).as_ref();
                let data = data.map_err(|(kind, text)| io::Error::new(*kind, text.clone()))?;
                let tail = data
                    .get(within as usize..)
                    .and_then(|tail| tail.get(..length));
                take(Some(tail.ok_or_else(|| {
                    malformed("a file is outside of its fragment")
                })?))
            }
        }
    }

    fn fragment(&self, start: u64) -> Shared {
        let mut fragments = self
            .fragments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = fragments.by_start.get(&start) {
            return Arc::clone(shared);
        }
        let most = (MAX_KEPT_BYTES / self.block_size as usize).max(2);
        if fragments.oldest_first.len() >= most
            && let Some(oldest) = fragments.oldest_first.pop_front()
        {
            fragments.by_start.remove(&oldest);
        }
        let shared = Shared::default();
        fragments.by_start.insert(start, Arc::clone(&shared));
        fragments.oldest_first.push_back(start);
        shared
    }

    fn unpack(&self, start: u64, size: u32) -> io::Result<Vec<u8>> {
        let mut packed = vec![0; data_length(size) as usize];
        self.file.read_exact_at(&mut packed, start)?;
        if size & DATA_IS_PLAIN != 0 {
            return Ok(packed);
        }
        self.compressor.unpack(&packed, self.block_size as usize)
    }
}
