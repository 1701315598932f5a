//! What a body consists of: literal text and stretches of files, read in order.

use std::{collections::VecDeque, fs::File, io, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;

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

    /// Moves bytes from the front of this piece into `buffer`; says how many.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.size_bytes()).map_or(buffer.len(), |n| n.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..count) else { return Ok(0) };
        match self {
            Self::Text(text) => buffer.copy_from_slice(&text.split_to(count)),
            Self::Stretch { file, offset, length } => {
                file.read_exact_at(buffer, *offset)?;
                *offset += count as u64;
                *length -= count as u64;
            }
        }
        Ok(count)
    }
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
    /// When a file cannot be read or is shorter than its stretch (`UnexpectedEof`), or when less is
    /// left than the buffer takes.
    pub(super) fn fill(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let piece = self.pieces.front_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
            let count = piece.take(buffer)?;
            if piece.size_bytes() == 0 {
                self.pieces.pop_front();
            }
            self.size_bytes -= count as u64;
            buffer = buffer.get_mut(count..).unwrap_or_default();
        }
        Ok(())
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
        content.push(Piece::Stretch { file: Arc::clone(&file), offset: 2, length: 3 });
        content.push(Piece::Text(Bytes::new()));
        content.push(Piece::Stretch { file: Arc::clone(&file), offset: 0, length: 0 });
        content.push(Piece::Text(Bytes::from_static(b"|")));
        content.push(Piece::Stretch { file, offset: 8, length: 2 });
        content
    }

    #[test]
    fn pieces_are_joined_whatever_the_size_of_the_buffer() {
        for step in 1..=7 {
            let (mut content, mut all) = (content(), Vec::new());
            while content.size_bytes() > 0 {
                let mut buffer = vec![0; step.min(content.size_bytes() as usize)];
                content.fill(&mut buffer).unwrap();
                all.extend(buffer);
            }
            assert_eq!(all, b"<234|89", "{step}");
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
        content.push(Piece::Stretch { file, offset: 0, length: 1 });
        let error = content.fill(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
