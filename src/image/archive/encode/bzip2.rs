//! bzip2 as streams that follow each other, which is what every program reads.

use std::io::{self, Write};

use bzip2::{Compression, write::BzEncoder};

use super::{
    Workers,
    blocks::{Block, Blocks, Codec},
    cutter::Lengths,
};

/// A level's worth of input, in bytes.
const STEP: usize = 100_000;

/// Left free in bzip2's block for what its first stage adds to runs.
const SLACK: usize = 100;

/// What may be in memory at once.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Bzip2 {
    level: u32,
}

pub(super) fn encoder<W: Write>(level: u32, workers: &Workers, output: W) -> Blocks<W, Bzip2> {
    Blocks::new(Bzip2 { level }, workers, WINDOW_BYTES, output)
}

impl Codec for Bzip2 {
    type Tool = ();
    type Packed = Vec<u8>;
    type Sum = ();

    /// One of bzip2's blocks in each stream.
    fn lengths(&self) -> Lengths {
        Lengths {
            least: 0,
            stride: None,
            most: self.level as usize * STEP - SLACK,
        }
    }

    fn tool(&self) -> io::Result<()> {
        Ok(())
    }

    fn pack(&self, (): &mut (), block: &Block) -> io::Result<Vec<u8>> {
        let mut encoder = BzEncoder::new(Vec::new(), Compression::new(self.level));
        encoder.write_all(&block.bytes)?;
        encoder.finish()
    }

    fn put((): &mut (), packed: &Vec<u8>, output: &mut dyn Write) -> io::Result<()> {
        output.write_all(packed)
    }
}
