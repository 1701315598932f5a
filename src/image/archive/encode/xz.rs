//! xz in blocks of its own, on threads of its own, and the format before it.

use std::io::{self, Write};

use xz2::stream::{Action, Check, LzmaOptions, MtStreamBuilder, Status, Stream};

use super::Workers;
use crate::image::Preset;

/// What the threads may take together, in bytes; a single one gets what it needs.
const MOST_MEMORY: u64 = 512 * 1024 * 1024;

/// The shortest block and the longest. How long blocks are must depend on nothing but the preset.
const BLOCK_BYTES: (u64, u64) = (1024 * 1024, 64 * 1024 * 1024);

/// How much compressed data is gathered before it goes out.
const BUFFER_BYTES: usize = 64 * 1024;

/// How long the threads are waited for before anybody asks whether the work was given up.
const PATIENCE_MS: u32 = 100;

/// What makes a preset extreme.
const EXTREME: u32 = 1 << 31;

/// Compresses what is written to it. Given up, its threads end at once.
pub(super) struct Xz<W> {
    stream: Stream,
    buffer: Vec<u8>,
    workers: Workers,
    output: W,
}

/// One stream of blocks that threads compress on their own. It has blocks also where there is one
/// thread only: the bytes are to be the same.
pub(super) fn xz<W: Write>(preset: Preset, workers: &Workers, output: W) -> io::Result<Xz<W>> {
    let (least, most) = BLOCK_BYTES;
    let mut builder = MtStreamBuilder::new();
    builder
        .preset(preset.flags())
        .block_size((2 * preset.dictionary_bytes()).clamp(least, most))
        .timeout_ms(PATIENCE_MS)
        .check(Check::Crc64);
    let mut threads = u32::try_from(workers.count()).unwrap_or(1).clamp(1, 64);
    while threads > 1 && builder.threads(threads).memusage() > MOST_MEMORY {
        threads -= 1;
    }
    Ok(Xz::new(
        builder.threads(threads).encoder()?,
        workers,
        output,
    ))
}

/// One stream, on this thread.
pub(super) fn lzma<W: Write>(preset: Preset, workers: &Workers, output: W) -> io::Result<Xz<W>> {
    let options = LzmaOptions::new_preset(preset.flags())?;
    Ok(Xz::new(
        Stream::new_lzma_encoder(&options)?,
        workers,
        output,
    ))
}

impl Preset {
    fn flags(self) -> u32 {
        if self.extreme {
            self.level | EXTREME
        } else {
            self.level
        }
    }

    /// What the encoder remembers at this level.
    fn dictionary_bytes(self) -> u64 {
        let log2 = match self.level {
            0 => 18,
            1 => 20,
            2 => 21,
            3 | 4 => 22,
            5 | 6 => 23,
            7 => 24,
            8 => 25,
            _ => 26,
        };
        1 << log2
    }
}

impl<W: Write> Xz<W> {
    fn new(stream: Stream, workers: &Workers, output: W) -> Self {
        Self {
            stream,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            workers: workers.clone(),
            output,
        }
    }

    /// Compresses the rest. Returns where it all went.
    pub(super) fn finish(mut self) -> io::Result<W> {
        while self
            .stream
            .process_vec(&[], &mut self.buffer, Action::Finish)?
            != Status::StreamEnd
        {
            self.empty_buffer()?;
        }
        self.empty_buffer()?;
        Ok(self.output)
    }

    fn empty_buffer(&mut self) -> io::Result<()> {
        self.workers.check()?;
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Xz<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            let before = self.stream.total_in();
            self.stream
                .process_vec(buffer, &mut self.buffer, Action::Run)?;
            let taken = self.stream.total_in() - before;
            if self.buffer.len() == self.buffer.capacity() || taken == 0 {
                self.empty_buffer()?;
            }
            if taken > 0 || buffer.is_empty() {
                return usize::try_from(taken).map_err(io::Error::other);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
