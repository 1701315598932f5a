//! What runs on this machine of ours: monitors, and starts under way that an earlier daemon began.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::error::{Context, Result};

/// How liblxc calls the process that watches over a container.
const TITLE: &[u8] = b"[lxc monitor] ";

/// A process that has to do with a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// The container.
    pub(super) name: String,
    /// The process.
    pub(super) pid: i32,
    /// What it does.
    pub(super) role: Role,
}

/// What a process does for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It watches over the container until that ends.
    Monitor,
    /// It is about to start it.
    Starting,
}

/// Every process of containers in this directory.
pub(super) fn list(lxcpath: &Path) -> Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("Failed to list processes")?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.context("Failed to list processes")?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            found.extend(look_at(pid, lxcpath)?);
        }
    }
    Ok(found)
}

/// What this process is, if it has to do with a container in this directory.
fn look_at(pid: i32, lxcpath: &Path) -> Result<Option<Process>> {
    let line = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line,
        Err(error) if is_none_of_ours(&error) => return Ok(None),
        Err(error) => return Err(error).context("Failed to look at a process"),
    };
    let recognised = recognise(&line, lxcpath.as_os_str().as_bytes());
    Ok(recognised.map(|(name, role)| Process { name, pid, role }))
}

/// A process that has ended meanwhile, or that we may not look at.
fn is_none_of_ours(error: &io::Error) -> bool {
    let has_ended = error.raw_os_error() == Some(Errno::SRCH.raw_os_error());
    has_ended
        || matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied
        )
}

fn recognise(line: &[u8], lxcpath: &[u8]) -> Option<(String, Role)> {
    let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    if let Some(behind) = line.strip_prefix(TITLE) {
        let behind = behind.strip_prefix(lxcpath)?.strip_prefix(b" ")?;
        let end = behind.iter().position(|byte| *byte == 0);
        let bytes = behind.get(..end.unwrap_or(behind.len()))?;
        return Some((name(bytes)?, Role::Monitor));
    }
    // As `start` writes it: lxc-start -P LXCPATH -n NAME …
    let mut words = line.split(|byte| *byte == 0);
    let program = words.next()?;
    let is_it = program.rsplit(|byte| *byte == b'/').next() == Some(b"lxc-start");
    let expected: [&[u8]; 3] = [b"-P", lxcpath, b"-n"];
    let fits = is_it && expected.into_iter().all(|word| words.next() == Some(word));
    let found = fits.then(|| words.next()).flatten()?;
    Some((name(found)?, Role::Starting))
}

/// A handle of a process that stays its own when the number is given to another; none when it
/// has ended.
pub(super) fn open(pid: i32) -> Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(handle) => Ok(Some(handle)),
        // The number of nothing, or of another process's thread.
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(io::Error::from(error)).context("Failed to watch a process"),
    }
}

/// A handle of this container's monitor, if that process is it.
pub(super) fn open_monitor(pid: i32, lxcpath: &Path, name: &str) -> Result<Option<OwnedFd>> {
    let Some(handle) = open(pid)? else {
        return Ok(None);
    };
    // Looked at through the number after it was opened: if it is the monitor now, the handle is
    // the monitor's.
    let is_it = |process: Process| process.name == name && process.role == Role::Monitor;
    let is_monitor = look_at(pid, lxcpath)?.is_some_and(is_it);
    Ok(is_monitor.then_some(handle))
}

/// The child of a process that is in another namespace of processes.
pub(super) fn child_inside(pid: i32) -> Option<i32> {
    let here = fs::read_link("/proc/self/ns/pid").ok()?;
    let is_inside = |pid: &i32| {
        let namespace = fs::read_link(format!("/proc/{pid}/ns/pid"));
        namespace.is_ok_and(|namespace| namespace != here)
    };
    children(pid).into_iter().find(is_inside)
}

/// The children of a process.
fn children(pid: i32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let listed = listed.unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_and_starts_are_recognised() {
        let path = b"/d/lxc".as_slice();
        let monitor = recognise(b"[lxc monitor] /d/lxc p_c1\0\0", path);
        assert_eq!(monitor, Some(("p_c1".to_owned(), Role::Monitor)));
        let start = recognise(b"/usr/bin/lxc-start\0-P\0/d/lxc\0-n\0c1\0-d\0", path);
        assert_eq!(start, Some(("c1".to_owned(), Role::Starting)));
    }

    #[test]
    fn others_containers_are_left_alone() {
        for line in [
            b"[lxc monitor] /d/lxc2 c1".as_slice(),
            b"[lxc monitor] /d c1",
            b"lxc-start\0-P\0/other\0-n\0c1\0",
            b"not-lxc-start\0-P\0/d/lxc\0-n\0c1\0",
            b"",
        ] {
            assert_eq!(recognise(line, b"/d/lxc"), None);
        }
    }
}
