//! A file that can be looked into before it is read.

use std::io::{self, BufRead, ErrorKind, Read};

/// How much is read from the file at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A buffered reader that can promise more than what it happens to have in its buffer.
pub(super) struct Input<R> {
    file: R,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
}

impl<R: Read> Input<R> {
    pub(super) fn new(file: R) -> Self {
        Self {
            file,
            buffer: vec![0; CHUNK_BYTES].into_boxed_slice(),
            from: 0,
            to: 0,
        }
    }

    /// The next `count` bytes, of which nothing is taken; fewer only at the end. No more than a
    /// few can be asked for.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.to - self.from < count {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        while self.to < count && self.fill()? > 0 {}
        let ahead = self.buffer.get(self.from..self.to).unwrap_or_default();
        Ok(ahead.get(..count).unwrap_or(ahead))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let free = self.buffer.get_mut(self.to..).unwrap_or_default();
        loop {
            match self.file.read(free) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.to += count;
                    return Ok(count);
                }
            }
        }
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            self.fill()?;
        }
        Ok(self.buffer.get(self.from..self.to).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.from = (self.from + count).min(self.to);
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ahead_is_known_across_the_edge_of_the_buffer() {
        let bytes: Vec<u8> = (0..=255).cycle().take(CHUNK_BYTES + 3).collect();
        let mut input = Input::new(&*bytes);
        let mut taken = vec![0; CHUNK_BYTES - 1];
        input.read_exact(&mut taken).unwrap();
        assert_eq!(input.peek(4).unwrap(), &bytes[CHUNK_BYTES - 1..]);
        assert_eq!(input.peek(9).unwrap(), &bytes[CHUNK_BYTES - 1..]);
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, &bytes[CHUNK_BYTES - 1..]);
        assert_eq!(input.peek(4).unwrap(), b"");
    }
}
