//! Compression as a stream: what is written goes out compressed, on as many threads as the caller
//! gives, and the same input gives the same bytes whatever their number.
//!
//! gzip, bzip2 and zstd are cut into [`blocks`] that are compressed on their own and go out in
//! their order. gzip and zstd are cut where the content says ([`cutter`]), so that a change early
//! in an image leaves most of the compressed bytes behind it as they were. xz has blocks of its
//! own; lzma has none, and takes one thread.

mod blocks;
mod bzip2;
mod cutter;
mod gzip;
mod workers;
mod xz;
mod zstd;

pub(crate) use workers::Workers;

use std::io::{self, Write};

use blocks::Blocks;
use xz::Xz;

use crate::image::Compression;

/// Compresses what is written to it. Nothing is complete before [`Encoder::finish`].
pub(crate) struct Encoder<W: Write>(Kind<W>);

enum Kind<W: Write> {
    Plain(W),
    Gzip(Blocks<W, gzip::Gzip>),
    Bzip2(Blocks<W, bzip2::Bzip2>),
    Zstd(Blocks<W, zstd::Zstd>),
    Xz(Xz<W>),
}

impl<W: Write> Encoder<W> {
    /// Compresses into `output`. A squashfs is no stream: what is written goes through as it is,
    /// to the program that makes one.
    ///
    /// # Errors
    ///
    /// When there is not enough memory, or when `output` does not take the beginning.
    pub(crate) fn new(compression: &Compression, workers: &Workers, output: W) -> io::Result<Self> {
        Ok(Self(match *compression {
            Compression::None | Compression::Squashfs(_) => Kind::Plain(output),
            Compression::Gzip(level) => Kind::Gzip(gzip::encoder(level, workers, output)?),
            Compression::Bzip2(level) => Kind::Bzip2(bzip2::encoder(level, workers, output)),
            Compression::Zstd(level) => Kind::Zstd(zstd::encoder(level, workers, output)),
            Compression::Xz(preset) => Kind::Xz(xz::xz(preset, workers, output)?),
            Compression::Lzma(preset) => Kind::Xz(xz::lzma(preset, workers, output)?),
        }))
    }

    /// Writes what is still held back, and the end. Returns where it all went.
    ///
    /// # Errors
    ///
    /// What compressing or writing the rest says.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self.0 {
            Kind::Plain(output) => Ok(output),
            Kind::Gzip(blocks) => gzip::finish(blocks),
            Kind::Bzip2(blocks) => Ok(blocks.finish()?.0),
            Kind::Zstd(blocks) => Ok(blocks.finish()?.0),
            Kind::Xz(xz) => xz.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(output) => output.write(buffer),
            Kind::Gzip(blocks) => blocks.write(buffer),
            Kind::Bzip2(blocks) => blocks.write(buffer),
            Kind::Zstd(blocks) => blocks.write(buffer),
            Kind::Xz(xz) => xz.write(buffer),
        }
    }

    /// Does nothing: a flush of the stream would show in the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
