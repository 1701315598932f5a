//! Decompression as a stream, with bounded memory.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use xz2::{bufread::XzDecoder, stream::Stream};

use super::Format;

/// Memory that a decoder may take, in bytes.
const MAX_MEMORY_BYTES: u64 = 128 * 1024 * 1024;

/// The same for zstd, as a power of two.
const MAX_WINDOW_LOG: u32 = 27;

/// How much is read from the file at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The tar stream inside a file of this format; `None` when it holds none.
pub(super) fn decoder<'r, R: Read + 'r>(
    format: Format,
    input: R,
) -> io::Result<Option<Box<dyn Read + 'r>>> {
    let input = BufReader::with_capacity(CHUNK_BYTES, input);
    Ok(Some(match format {
        Format::Tar => Box::new(input),
        Format::Gzip => Box::new(Members {
            member: Some(GzDecoder::new(input)),
        }),
        Format::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        Format::Xz => {
            let stream = Stream::new_stream_decoder(MAX_MEMORY_BYTES, xz2::stream::CONCATENATED)?;
            Box::new(XzDecoder::new_stream(input, stream))
        }
        Format::Lzma => {
            let stream = Stream::new_lzma_decoder(MAX_MEMORY_BYTES)?;
            Box::new(XzDecoder::new_stream(input, stream))
        }
        Format::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Format::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
        Format::Squashfs | Format::Qcow2 => return Ok(None),
    }))
}

/// The members of a gzip file, one after the other. What follows the last is no member and is
/// ignored, as gzip itself does.
struct Members<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else {
                return Ok(0);
            };
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let mut rest = match self.member.take() {
                Some(member) => member.into_inner(),
                None => return Ok(0),
            };
            if rest.fill_buf()?.starts_with(b"\x1f\x8b") {
                self.member = Some(GzDecoder::new(rest));
            }
        }
    }
}
