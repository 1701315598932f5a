//! gzip as one member that every program reads: deflate blocks that end at a byte, each of them
//! compressed with the 32 KiB before it in mind, joined, with the checksums combined.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::{
    Workers,
    blocks::{Block, Blocks, Codec},
    cutter::Lengths,
};

/// No name, no time, made on Unix: the same content is to give the same bytes.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// An empty last block.
const LAST: [u8; 2] = [3, 0];

/// How far back deflate can refer.
const REACH: usize = 32 * 1024;

/// Blocks are long enough to need the threads little, and short enough that a change stays small.
const LENGTHS: Lengths = Lengths {
    least: 64 * 1024,
    stride: Some(16),
    most: 256 * 1024,
};

/// What may be in memory at once.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Gzip {
    level: u32,
}

/// A block in deflate, and the checksum of what is in it.
pub(super) struct Packed {
    bytes: Vec<u8>,
    checksum: Crc,
}

pub(super) fn encoder<W: Write>(
    level: u32,
    workers: &Workers,
    mut output: W,
) -> io::Result<Blocks<W, Gzip>> {
    output.write_all(&HEADER)?;
    Ok(Blocks::new(Gzip { level }, workers, WINDOW_BYTES, output))
}

pub(super) fn finish<W: Write>(blocks: Blocks<W, Gzip>) -> io::Result<W> {
    let (mut output, checksum) = blocks.finish()?;
    output.write_all(&LAST)?;
    output.write_all(&checksum.sum().to_le_bytes())?;
    output.write_all(&checksum.amount().to_le_bytes())?;
    Ok(output)
}

impl Codec for Gzip {
    type Tool = ();
    type Packed = Packed;
    type Sum = Crc;

    fn lengths(&self) -> Lengths {
        LENGTHS
    }

    fn memory(&self) -> usize {
        REACH
    }

    fn tool(&self) -> io::Result<()> {
        Ok(())
    }

    /// A compressor is used once: one that was reset still remembers enough to give other bytes.
    fn pack(&self, (): &mut (), block: &Block) -> io::Result<Packed> {
        let mut checksum = Crc::new();
        checksum.update(&block.bytes);
        let mut tool = Compress::new(Compression::new(self.level), false);
        if !block.before.is_empty() {
            tool.set_dictionary(&block.before)
                .map_err(io::Error::other)?;
        }
        Ok(Packed {
            bytes: deflate(&mut tool, &block.bytes)?,
            checksum,
        })
    }

    fn put(checksum: &mut Crc, packed: &Packed, output: &mut dyn Write) -> io::Result<()> {
        checksum.combine(&packed.checksum);
        output.write_all(&packed.bytes)
    }
}

/// Compresses `input` up to a byte's end.
fn deflate(tool: &mut Compress, input: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = Vec::with_capacity(input.len() / 2 + 1024);
    loop {
        let done = usize::try_from(tool.total_in()).map_err(io::Error::other)?;
        let rest = input.get(done..).unwrap_or_default();
        let status = tool.compress_vec(rest, &mut output, FlushCompress::Sync);
        let is_all_in = tool.total_in() == input.len() as u64;
        match status.map_err(io::Error::other)? {
            // With room left, nothing is held back any more.
            Status::Ok | Status::BufError if is_all_in && output.len() < output.capacity() => {
                return Ok(output);
            }
            Status::Ok | Status::BufError => output.reserve(input.len() / 8 + 1024),
            Status::StreamEnd => return Ok(output),
        }
    }
}
