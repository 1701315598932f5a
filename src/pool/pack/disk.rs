//! The disk of a virtual machine, as images have it: `rootfs.img`, in qcow2 and compressed.

use std::{
    fs::File,
    os::{fd::BorrowedFd, unix::fs::FileExt},
    process::Command,
};

use rustix::fs::{Mode, OFlags, openat};

use super::{header::Header, stream::Stream};
use crate::{
    error::{Error, Result},
    image::archive::Modified,
    pool::unpack::disk::run,
};

/// How much of it is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Converts the disk in a file without a name, because an archive says how long a file is before
/// it comes; then writes it.
pub(super) fn write(
    stream: &mut Stream<'_, '_>,
    disk: BorrowedFd<'_>,
    scratch: BorrowedFd<'_>,
    modified: Modified,
) -> Result<()> {
    let disk = File::from(disk.try_clone_to_owned()?);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let packed = openat(scratch, ".", flags, Mode::RUSR | Mode::WUSR);
    let packed = File::from(packed.map_err(|error| Error::from(std::io::Error::from(error)))?);
    let length = disk.metadata()?.len();
    let mut command = Command::new("qemu-img");
    command
        .args(["convert", "-q", "-c", "-f", "raw", "-O", "qcow2"])
        .args(["/proc/self/fd/0", "/proc/self/fd/1"])
        .stdin(disk)
        .stdout(packed.try_clone()?);
    run(command, length, &|| stream.watch.check())?;
    copy(stream, &packed, modified)
}

fn copy(stream: &mut Stream<'_, '_>, packed: &File, modified: Modified) -> Result<()> {
    let size_bytes = packed.metadata()?.len();
    let header = Header {
        name: b"rootfs.img",
        flag: b'0',
        mode: 0o644,
        size_bytes,
        modified,
        ..Header::default()
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    stream.write(&bytes)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        let rest = usize::try_from(size_bytes - offset).unwrap_or(CHUNK_BYTES);
        let chunk = buffer.get_mut(..rest.min(CHUNK_BYTES)).unwrap_or_default();
        packed.read_exact_at(chunk, offset)?;
        stream.write(chunk)?;
        offset += chunk.len() as u64;
    }
    stream.pad(size_bytes)
}
