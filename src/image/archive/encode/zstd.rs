//! zstd as frames that follow each other, which is what every program reads. Each says how long
//! it is and has a checksum.

use std::io::{self, Write};

use zstd::{bulk::Compressor, zstd_safe::CParameter};

use super::{
    Workers,
    blocks::{Block, Blocks, Codec},
    cutter::Lengths,
};

/// Frames know nothing of each other, so they are long.
const LENGTHS: Lengths = Lengths {
    least: 1024 * 1024,
    stride: Some(20),
    most: 4 * 1024 * 1024,
};

/// What may be in memory at once.
const WINDOW_BYTES: usize = 24 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Zstd {
    level: i32,
}

pub(super) fn encoder<W: Write>(level: i32, workers: &Workers, output: W) -> Blocks<W, Zstd> {
    Blocks::new(Zstd { level }, workers, WINDOW_BYTES, output)
}

impl Codec for Zstd {
    type Tool = Compressor<'static>;
    type Packed = Vec<u8>;
    type Sum = ();

    fn lengths(&self) -> Lengths {
        LENGTHS
    }

    fn tool(&self) -> io::Result<Compressor<'static>> {
        let mut tool = Compressor::new(self.level)?;
        tool.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(tool)
    }

    fn pack(&self, tool: &mut Compressor<'static>, block: &Block) -> io::Result<Vec<u8>> {
        tool.compress(&block.bytes)
    }

    fn put((): &mut (), packed: &Vec<u8>, output: &mut dyn Write) -> io::Result<()> {
        output.write_all(packed)
    }
}
