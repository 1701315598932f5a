//! Files with holes: where their parts are, and how an archive says it.
//!
//! GNU tar's newest way (1.0): GNU tar, bsdtar, Go's library and Python's know it.

use std::{io, os::fd::AsFd};

use rustix::{fs::SeekFrom, fs::seek, io::Errno};

use super::header::pad;
use crate::image::archive::Part;

/// Most parts of a file: no reader takes much more. With more of them, the smallest holes are
/// written as what they are read as.
const MAX_PARTS: usize = 32_768;

/// The smallest hole that is left out.
const MIN_HOLE_BYTES: u64 = 4096;

/// The parts of a file of `size_bytes` that are not holes; none if it has no holes worth it.
pub(super) fn parts(file: impl AsFd, size_bytes: u64) -> io::Result<Option<Vec<Part>>> {
    let file = file.as_fd();
    let mut parts: Vec<Part> = Vec::new();
    let mut min_hole = MIN_HOLE_BYTES;
    let mut at = 0;
    while at < size_bytes {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) if start < size_bytes => start,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = match seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size_bytes),
            // It has become shorter since.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        push(&mut parts, start, end, min_hole);
        if parts.len() > MAX_PARTS {
            min_hole = thin_out(&mut parts, min_hole);
        }
        // The file may have changed meanwhile.
        at = end.max(at + 1);
    }
    let stored: u64 = parts.iter().map(|part| part.size_bytes).sum();
    let has_holes = size_bytes - stored.min(size_bytes) >= MIN_HOLE_BYTES;
    Ok(has_holes.then(|| close(parts, size_bytes)))
}

fn push(parts: &mut Vec<Part>, start: u64, end: u64, min_hole: u64) {
    match parts.last_mut() {
        Some(last) if start.saturating_sub(last.offset + last.size_bytes) < min_hole => {
            last.size_bytes = end - last.offset;
        }
        _ => parts.push(Part {
            offset: start,
            size_bytes: end - start,
        }),
    }
}

/// Joins parts over larger and larger holes until there is room again; tells how large.
fn thin_out(parts: &mut Vec<Part>, mut min_hole: u64) -> u64 {
    while parts.len() > MAX_PARTS / 2 {
        min_hole *= 2;
        let all = std::mem::take(parts);
        for part in all {
            push(parts, part.offset, part.offset + part.size_bytes, min_hole);
        }
    }
    min_hole
}

/// All readers take whole blocks but for the last part; and a part of nothing says where the file
/// ends.
fn close(mut parts: Vec<Part>, size_bytes: u64) -> Vec<Part> {
    let end = parts.last().map_or(0, |part| part.offset + part.size_bytes);
    if end < size_bytes {
        parts.push(Part {
            offset: size_bytes,
            size_bytes: 0,
        });
    }
    parts
}

/// The map that stands in front of the data, in whole blocks.
pub(super) fn map(parts: &[Part]) -> Vec<u8> {
    let mut map = format!("{}\n", parts.len());
    for part in parts {
        map.extend([part.offset.to_string(), part.size_bytes.to_string()].map(|it| it + "\n"));
    }
    let mut map = map.into_bytes();
    let length = map.len() as u64;
    pad(&mut map, length);
    map
}
