//! How much an image may still unpack to.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::Limits;
use crate::{
    error::{Error, Result},
    pool::watch::Watch,
};

/// Until when to go on, for all threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace<'l> {
    watch: &'l Watch<'l>,
    /// Bytes read of all files of the image.
    total: &'l AtomicU64,
    deadline: Instant,
}

impl Pace<'_> {
    /// More was read of the image.
    pub(super) fn read(self, bytes: u64) {
        let before = self.total.fetch_add(bytes, Ordering::Relaxed);
        (self.watch.progress)(before + bytes);
    }

    /// Whether to go on at all.
    pub(super) fn check(self) -> Result<()> {
        self.watch.check()?;
        if Instant::now() > self.deadline {
            return Err(Error::failed("Image takes too long to unpack"));
        }
        Ok(())
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Budget<'l> {
    limits: &'l Limits,
    /// Until when.
    pub(super) pace: Pace<'l>,
    most_bytes: u64,
    /// How many bytes of data came out.
    pub(super) bytes: u64,
    /// How many entries.
    pub(super) entries: u64,
}

impl<'l> Budget<'l> {
    /// The limits for files of `size_bytes` together.
    pub(super) fn new(
        limits: &'l Limits,
        watch: &'l Watch<'l>,
        total: &'l AtomicU64,
        size_bytes: u64,
    ) -> Self {
        let seconds = size_bytes / limits.bytes_per_second.max(1);
        // A year, for files that no disk holds.
        let time = limits.time + Duration::from_secs(seconds.min(31_536_000));
        let by_ratio = size_bytes.saturating_mul(limits.ratio);
        Self {
            limits,
            pace: Pace {
                watch,
                total,
                deadline: Instant::now() + time,
            },
            most_bytes: limits.bytes.max(by_ratio),
            bytes: 0,
            entries: 0,
        }
    }

    /// Another entry, at this depth.
    pub(super) fn entry(&mut self, depth: usize) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            let most = self.limits.entries;
            return Err(Error::failed(format!("Image has more than {most} entries")));
        }
        if depth > self.limits.depth {
            let most = self.limits.depth;
            return Err(Error::failed(format!(
                "Image has directories more than {most} deep"
            )));
        }
        self.check()
    }

    /// More data.
    pub(super) fn data(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.written(0)
    }

    /// So much data besides, which somebody else writes.
    pub(super) fn written(&self, bytes: u64) -> Result<()> {
        if self.bytes.saturating_add(bytes) > self.most_bytes {
            let most = self.most_bytes;
            return Err(Error::failed(format!(
                "Image unpacks to more than {most} bytes"
            )));
        }
        self.check()
    }

    /// More was read of the image.
    pub(super) fn read(&self, bytes: u64) {
        self.pace.read(bytes);
    }

    /// A file so long, holes and all.
    pub(super) fn length(&self, bytes: u64) -> Result<()> {
        let most = self.limits.file_bytes;
        if bytes > most {
            return Err(Error::failed(format!(
                "Image has a file of more than {most} bytes"
            )));
        }
        Ok(())
    }

    /// Whether to go on at all.
    pub(super) fn check(&self) -> Result<()> {
        self.pace.check()
    }
}
