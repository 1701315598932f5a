//! Decompression as a stream, with bounded memory.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;
use lz4_flex::frame::FrameDecoder;
use xz2::{bufread::XzDecoder, stream::Stream};

use super::{Format, input::Input};

/// Memory that a decoder may take, in bytes.
const MAX_MEMORY_BYTES: u64 = 128 * 1024 * 1024;

/// The same for zstd, as a power of two.
const MAX_WINDOW_LOG: u32 = 27;

/// How many streams in a row may have nothing in them.
const MAX_EMPTY_STREAMS: usize = 1000;

/// How many bytes tell what follows a stream.
const PEEK_BYTES: usize = 8;

/// The tar stream inside a file of this format; `None` when it holds none.
pub(crate) fn decoder<'r, R: Read + 'r>(
    format: Format,
    input: R,
) -> io::Result<Option<Box<dyn Read + 'r>>> {
    if matches!(format, Format::Squashfs | Format::Qcow2) {
        return Ok(None);
    }
    Ok(Some(Box::new(Streams {
        format,
        one: Some(One::new(format, Input::new(input))?),
        has_output: false,
        empty: 0,
    })))
}

/// A single stream of a format: what gzip calls a member and zstd a frame.
enum One<R: Read> {
    Gzip(Box<GzDecoder<Input<R>>>),
    Bzip2(bzip2::bufread::BzDecoder<Input<R>>),
    Xz(XzDecoder<Input<R>>),
    Zstd(zstd::stream::read::Decoder<'static, Input<R>>),
    Lz4(Box<FrameDecoder<Input<R>>>),
    /// Not compressed: all there is.
    Plain(Input<R>),
}

impl<R: Read> One<R> {
    fn new(format: Format, input: Input<R>) -> io::Result<Self> {
        Ok(match format {
            Format::Gzip => Self::Gzip(Box::new(GzDecoder::new(input))),
            Format::Bzip2 => Self::Bzip2(bzip2::bufread::BzDecoder::new(input)),
            Format::Xz => {
                let stream = Stream::new_stream_decoder(MAX_MEMORY_BYTES, 0)?;
                Self::Xz(XzDecoder::new_stream(input, stream))
            }
            Format::Lzma => {
                let stream = Stream::new_lzma_decoder(MAX_MEMORY_BYTES)?;
                Self::Xz(XzDecoder::new_stream(input, stream))
            }
            Format::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                let mut decoder = decoder.single_frame();
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Self::Zstd(decoder)
            }
            Format::Lz4 => Self::Lz4(Box::new(FrameDecoder::new(input))),
            Format::Tar | Format::Squashfs | Format::Qcow2 => Self::Plain(input),
        })
    }

    /// What comes behind it.
    fn into_rest(self) -> Input<R> {
        match self {
            Self::Gzip(one) => one.into_inner(),
            Self::Bzip2(one) => one.into_inner(),
            Self::Xz(one) => one.into_inner(),
            Self::Zstd(one) => one.finish(),
            Self::Lz4(one) => one.into_inner(),
            Self::Plain(rest) => rest,
        }
    }
}

impl<R: Read> Read for One<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(one) => one.read(buffer),
            Self::Bzip2(one) => one.read(buffer),
            Self::Xz(one) => one.read(buffer),
            Self::Zstd(one) => one.read(buffer),
            Self::Lz4(one) => one.read(buffer),
            Self::Plain(rest) => rest.read(buffer),
        }
    }
}

/// The streams of a file, one after the other. What follows the last and is none is ignored: the
/// archive is what the streams hold, and programs differ in what they say of the rest.
struct Streams<R: Read> {
    format: Format,
    one: Option<One<R>>,
    has_output: bool,
    empty: usize,
}

impl<R: Read> Streams<R> {
    /// Goes on to the next stream, if there is one.
    fn next(&mut self, one: One<R>) -> io::Result<()> {
        self.empty = if self.has_output { 0 } else { self.empty + 1 };
        if self.empty > MAX_EMPTY_STREAMS {
            let reason = "too many streams with nothing in them";
            return Err(io::Error::new(ErrorKind::InvalidData, reason));
        }
        let mut rest = one.into_rest();
        if begins_again(self.format, &mut rest)? {
            self.one = Some(One::new(self.format, rest)?);
            self.has_output = false;
        }
        Ok(())
    }
}

impl<R: Read> Read for Streams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(one) = &mut self.one else {
                return Ok(0);
            };
            let count = one.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.has_output |= count > 0;
                return Ok(count);
            }
            if let Some(one) = self.one.take() {
                self.next(one)?;
            }
        }
    }
}

/// Whether another stream follows, behind what the format lets stand between two.
fn begins_again(format: Format, rest: &mut Input<impl Read>) -> io::Result<bool> {
    loop {
        let ahead = rest.peek(PEEK_BYTES)?;
        let skippable = match ahead.split_at_checked(4) {
            // Padding, in fours.
            Some(([0, 0, 0, 0], _)) if format == Format::Xz => Some(0),
            Some(([0x50..=0x5f, 0x2a, 0x4d, 0x18], length))
                if matches!(format, Format::Zstd | Format::Lz4) =>
            {
                length
                    .first_chunk()
                    .map(|l| 4 + u64::from(u32::from_le_bytes(*l)))
            }
            _ => None,
        };
        let Some(length) = skippable else {
            return Ok(match format {
                Format::Gzip => ahead.starts_with(b"\x1f\x8b"),
                Format::Bzip2 => ahead.starts_with(b"BZh"),
                Format::Xz => ahead.starts_with(b"\xfd7zXZ\0"),
                Format::Zstd => ahead.starts_with(b"\x28\xb5\x2f\xfd"),
                Format::Lz4 => ahead.starts_with(b"\x04\x22\x4d\x18"),
                Format::Lzma | Format::Tar | Format::Squashfs | Format::Qcow2 => false,
            });
        };
        rest.consume(4);
        if io::copy(&mut rest.take(length), &mut io::sink())? < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}
