//! The disk of a virtual machine: out of qcow2, by the one program that knows all of it.
//!
//! The program gets two open files and no names. What could make it open others (a backing file,
//! an external data file) is refused before it starts, and which format to read it is told.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileExt, MetadataExt},
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{AtFlags, Mode, OFlags, openat, unlinkat},
    process::{Pid, PidfdFlags, Resource, Rlimit, pidfd_open, prlimit},
};

use super::{budget::Budget, wording};
use crate::{
    error::{Error, Result},
    image::archive::Disk,
};

/// The disk's name in a tree, and the one it has as long as it is as the image has it.
const NAME: &str = "root.img";
const PACKED: &str = "rootfs.img";

/// How the kernel counts what a file takes.
const BLOCK_BYTES: u64 = 512;

/// How often somebody who waits is asked whether to go on.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the program may take: memory, and processor time in seconds for what is small.
const MAX_MEMORY_BYTES: u64 = 4 * 1024 * 1024 * 1024;
const MAX_SECONDS: u64 = 600;
const BYTES_PER_SECOND: u64 = 1024 * 1024;

/// How much of what the program complains about is told.
const MAX_COMPLAINT_BYTES: usize = 512;

/// The file for a disk as the image has it, inside the directory of the tree.
pub(super) fn begin(target: BorrowedFd<'_>) -> Result<File> {
    create(target, PACKED)
}

/// Makes the disk of a tree out of what the image has, holes where there is nothing. Gives its
/// length. What is written counts: an image may name the same data again and again.
pub(super) fn convert(
    packed: &File,
    target: BorrowedFd<'_>,
    most_bytes: u64,
    budget: &Budget<'_>,
) -> Result<u64> {
    let disk = Disk::parse(&beginning(packed)?)?;
    if disk.size_bytes > most_bytes {
        return Err(Error::failed(format!(
            "Image has a disk of more than {most_bytes} bytes"
        )));
    }
    let raw = create(target, NAME)?;
    raw.set_len(disk.size_bytes).map_err(failed)?;
    let mut command = Command::new("qemu-img");
    command
        .args(["convert", "-q", "-f", "qcow2", "-O", "raw"])
        .args(["-n", "--target-is-zero", "-S", "4k", "-t", "unsafe"])
        .args(["/proc/self/fd/0", "/proc/self/fd/1"])
        .stdin(packed.try_clone()?)
        .stdout(raw.try_clone()?);
    let check = || {
        let blocks = raw.metadata().map_err(failed)?.blocks();
        budget.written(blocks.saturating_mul(BLOCK_BYTES))
    };
    run(command, disk.size_bytes, &check)?;
    check()?;
    Ok(disk.size_bytes)
}

/// Removes what [`begin`] made.
pub(super) fn forget(target: BorrowedFd<'_>) -> Result<()> {
    unlinkat(target, PACKED, AtFlags::empty()).map_err(|error| failed(error.into()))
}

fn create(target: BorrowedFd<'_>, name: &str) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(target, name, flags, Mode::RUSR | Mode::WUSR);
    Ok(File::from(file.map_err(|error| failed(error.into()))?))
}

fn beginning(file: &File) -> Result<Vec<u8>> {
    let mut header = vec![0; Disk::HEADER_BYTES];
    let mut filled = 0;
    while let Some(free) = header.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, filled as u64).map_err(failed)? {
            0 => break,
            count => filled += count,
        }
    }
    header.truncate(filled);
    Ok(header)
}

/// Runs the program for a disk of so many bytes, as long as it may: `check` says so, every now and
/// then.
pub(in crate::pool) fn run(
    mut command: Command,
    size_bytes: u64,
    check: &dyn Fn() -> Result<()>,
) -> Result<()> {
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8");
    command.current_dir("/").stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::internal(
            "Virtual machines need the program qemu-img, which is not here",
            error,
        ),
        _ => failed(error),
    })?;
    let mut child = Killed(child);
    limit(&child.0, size_bytes)?;
    wait(&mut child.0, check)
}

/// A program that does not outlive its use.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn limit(child: &Child, size_bytes: u64) -> Result<()> {
    let pid = pid(child)?;
    let seconds = MAX_SECONDS + size_bytes / BYTES_PER_SECOND;
    for (resource, most) in [
        (Resource::As, MAX_MEMORY_BYTES),
        (Resource::Cpu, seconds),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        match prlimit(Some(pid), resource, limit) {
            // It was quick.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    Ok(())
}

fn wait(child: &mut Child, check: &dyn Fn() -> Result<()>) -> Result<()> {
    let process = pidfd_open(pid(child)?, PidfdFlags::empty());
    let process = process.map_err(|error| failed(error.into()))?;
    let patience =
        Timespec::try_from(PATIENCE).map_err(|_too_long| Error::failed("Unpack failed"))?;
    loop {
        let mut fds = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => check()?,
            Ok(_) => break,
            Err(error) => return Err(failed(error.into())),
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(complaint(child))
}

/// What the program said when it failed.
fn complaint(child: &mut Child) -> Error {
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = io::Read::take(stderr, MAX_COMPLAINT_BYTES as u64);
        // What cannot be read is not told.
        drop(io::Read::read_to_end(&mut stderr, &mut said));
    }
    let said = wording::lossy(said.trim_ascii());
    if said.contains("No space left on device") {
        return Error::failed("Unable to unpack image, run out of disk space");
    }
    Error::failed(format!("Failed converting image to raw: {said}"))
}

fn pid(child: &Child) -> Result<Pid> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Error::failed("Unpack failed"))
}

fn failed(error: io::Error) -> Error {
    wording::failed(error, None)
}
