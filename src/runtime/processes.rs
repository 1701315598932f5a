//! What runs on this machine of ours: monitors, and starts under way that an earlier daemon began.

use std::{
    fs,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

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
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| look_at(pid, lxcpath)).collect())
}

/// What this process is, if it has to do with a container in this directory.
fn look_at(pid: i32, lxcpath: &Path) -> Option<Process> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let (name, role) = recognise(&line, lxcpath.as_os_str().as_bytes())?;
    Some(Process { name, pid, role })
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
pub(super) fn open(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK).ok()
}

/// A handle of this container's monitor, if that process is it.
pub(super) fn open_monitor(pid: i32, lxcpath: &Path, name: &str) -> Option<OwnedFd> {
    let handle = open(pid)?;
    // Looked at through the number after it was opened: if it is the monitor now, the handle is
    // the monitor's.
    let process = look_at(pid, lxcpath)?;
    (process.name == name && process.role == Role::Monitor).then_some(handle)
}

/// The children of a process.
pub(super) fn children(pid: i32) -> Vec<i32> {
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
