//! Unpacking single blocks, into no more than they may hold.

use std::io::{self, ErrorKind, Read};

use flate2::read::ZlibDecoder;
use xz2::{read::XzDecoder, stream::Stream};

use super::malformed;

/// Memory that a decoder may take, in bytes: what the tools of squashfs themselves allow.
const MAX_MEMORY_BYTES: u64 = 32 * 1024 * 1024;

/// How the blocks of an image are compressed, those that are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compressor {
    /// Streams of zlib, whatever the name says.
    Gzip,
    /// The format before xz.
    Lzma,
    /// Streams of xz.
    Xz,
    /// Bare blocks.
    Lz4,
    /// Frames.
    Zstd,
}

impl Compressor {
    /// The compressor with this number.
    pub(super) fn of(number: u16) -> io::Result<Self> {
        match number {
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Lzma),
            3 => Err(io::Error::new(
                ErrorKind::Unsupported,
                "Squashfs images compressed by lzo are not supported",
            )),
            4 => Ok(Self::Xz),
            5 => Ok(Self::Lz4),
            6 => Ok(Self::Zstd),
            _ => Err(malformed("unknown compressor")),
        }
    }

    /// What is in a block, which must be no longer than `limit`.
    pub(super) fn unpack(self, packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => read(ZlibDecoder::new(packed), limit),
            Self::Lzma => {
                let stream = Stream::new_lzma_decoder(MAX_MEMORY_BYTES)?;
                read(XzDecoder::new_stream(packed, stream), limit)
            }
            Self::Xz => {
                let stream = Stream::new_stream_decoder(MAX_MEMORY_BYTES, 0)?;
                read(XzDecoder::new_stream(packed, stream), limit)
            }
            Self::Lz4 => {
                let unpack = |room: &mut [u8]| lz4_flex::block::decompress_into(packed, room);
                fill(limit, |room| unpack(room).map_err(io::Error::other))
            }
            Self::Zstd => fill(limit, |room| zstd::bulk::decompress_to_buffer(packed, room)),
        }
    }
}

fn read(decoder: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() > limit {
        return Err(malformed("a block unpacks to too much"));
    }
    Ok(unpacked)
}

fn fill(limit: usize, unpack: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut unpacked = vec![0; limit];
    let count = unpack(&mut unpacked)?;
    unpacked.truncate(count);
    Ok(unpacked)
}
