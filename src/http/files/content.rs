//! What a body consists of: literal text and stretches of files, read in order.

use std::{collections::VecDeque, fs::File, io, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, preadv2};

/// One piece of a body.
#[derive(Debug)]
pub(super) enum Piece {
    /// These bytes.
    Text(Bytes),
    /// `length` bytes of a file, from `offset` on.
    Stretch {
        /// Read by position, so several bodies may share it.
        file: Arc<File>,
        /// Where the stretch starts, in bytes.
        offset: u64,
        /// How many bytes it still has.
        length: u64,
    },
}

impl Piece {
    fn size_bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Stretch { length, .. } => *length,
        }
    }

    /// Moves bytes from the front of this piece into `buffer`, files by means of `read`; says how
    /// many. Fewer than the piece and the buffer have means that `read` gave fewer.
    fn take(&mut self, buffer: &mut [u8], read: Read) -> io::Result<usize> {
        match self {
            Self::Text(text) => {
                let taken = text.split_to(text.len().min(buffer.len()));
                let buffer = buffer.get_mut(..taken.len()).unwrap_or_default();
                buffer.copy_from_slice(&taken);
                Ok(taken.len())
            }
            Self::Stretch {
                file,
                offset,
                length,
            } => {
                let wanted = usize::try_from(*length).map_or(buffer.len(), |n| n.min(buffer.len()));
                let count = read(file, buffer.get_mut(..wanted).unwrap_or_default(), *offset)?;
                *offset += count as u64;
                *length -= count as u64;
                Ok(count)
            }
        }
    }
}

/// Reads from a position of a file; says how many bytes.
type Read = fn(&File, &mut [u8], u64) -> io::Result<usize>;

/// Reads all that is wanted, however long it takes.
fn read_all(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_exact_at(buffer, offset).map(|()| buffer.len())
}

/// Reads what is in memory already. What cannot be read so (also on a file system that does not
/// know such reads, or because of an error) is left to [`read_all`].
#[expect(clippy::unnecessary_wraps, reason = "it stands in for `read_all`")]
fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let read = preadv2(
        file,
        &mut [io::IoSliceMut::new(buffer)],
        offset,
        ReadWriteFlags::NOWAIT,
    );
    Ok(read.unwrap_or(0))
}

/// What is still to be sent.
#[derive(Debug, Default)]
pub(super) struct Content {
    pieces: VecDeque<Piece>,
    size_bytes: u64,
}

impl Content {
    /// Adds `piece` at the end.
    pub(super) fn push(&mut self, piece: Piece) {
        self.size_bytes = self.size_bytes.saturating_add(piece.size_bytes());
        self.pieces.push_back(piece);
    }

    /// How many bytes are left.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Fills `buffer` with the next bytes. Blocks.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is shorter than its stretch, or when less is left than the
    /// buffer takes (both `UnexpectedEof`).
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if self.fill_by(read_all, buffer)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Fills as much of `buffer` as takes no waiting for a disk; says how much.
    pub(super) fn fill_cached(&mut self, buffer: &mut [u8]) -> usize {
        self.fill_by(read_cached, buffer).unwrap_or(0)
    }

    fn fill_by(&mut self, read: Read, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(piece) = self.pieces.front_mut() {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let count = piece.take(room, read)?;
            filled += count;
            self.size_bytes -= count as u64;
            if piece.size_bytes() > 0 {
                break;
            }
            self.pieces.pop_front();
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn content() -> Content {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = Arc::new(file);
        let mut content = Content::default();
        content.push(Piece::Text(Bytes::from_static(b"<")));
        content.push(Piece::Stretch {
            file: Arc::clone(&file),
            offset: 2,
            length: 3,
        });
        content.push(Piece::Text(Bytes::new()));
        content.push(Piece::Stretch {
            file: Arc::clone(&file),
            offset: 0,
            length: 0,
        });
        content.push(Piece::Text(Bytes::from_static(b"|")));
        content.push(Piece::Stretch {
            file,
            offset: 8,
            length: 2,
        });
        content
    }

    #[test]
    fn pieces_are_joined_whatever_the_size_of_the_buffer() {
        for step in 1..=7 {
            let (mut content, mut all) = (content(), Vec::new());
            while content.size_bytes() > 0 {
                let size = content.size_bytes().min(step);
                let mut buffer = vec![0; usize::try_from(size).unwrap()];
                content.fill(&mut buffer).unwrap();
                all.extend(buffer);
            }
            assert_eq!(all, b"<234|89", "{step}");
        }
    }

    #[test]
    fn what_is_in_memory_and_what_is_not_make_the_whole_together() {
        for cached in 0..=7 {
            let (mut content, mut all) = (content(), [0; 7]);
            let (first, _) = all.split_at_mut(cached);
            let filled = content.fill_cached(first);
            assert_eq!(content.size_bytes(), 7 - filled as u64);
            content.fill(&mut all[filled..]).unwrap();
            assert_eq!(&all, b"<234|89", "{cached}");
        }
    }

    #[test]
    fn more_than_there_is_cannot_be_read() {
        let error = content().fill(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_that_is_shorter_than_promised_is_an_error() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let mut content = Content::default();
        content.push(Piece::Stretch {
            file,
            offset: 0,
            length: 1,
        });
        assert_eq!(content.fill_cached(&mut [0; 1]), 0);
        let error = content.fill(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
