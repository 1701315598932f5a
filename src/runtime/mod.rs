//! Running containers through liblxc's programs (Debian's package `lxc`).
//!
//! A container belongs to liblxc's monitor process, not to the daemon: it outlives a restart, and
//! the next daemon finds it again ([`Runtime::find_running`]). Whatever ends a container, its
//! monitor's end tells ([`Runtime::ended`]).
//!
//! Deliberately absent: instances, their rows, and what their keys mean; callers hand over a
//! [`Spec`] whose paths they have checked. No shell sees a value, and what goes into liblxc's
//! configuration cannot begin another line of it.
//!
//! Start at [`Runtime::start`].

mod adopt;
mod attach;
mod cgroup;
mod config;
mod disks;
mod failure;
mod limits;
mod logs;
mod network;
mod processes;
mod program;
mod pty;
mod running;
mod seccomp;
mod spec;
mod start;
mod still;
mod stop;
mod usage;

pub(crate) use attach::{Attached, Control, Exec, Streams};
pub(crate) use logs::LogKind;
pub(crate) use network::{Address, Counters, Interface};
pub(crate) use pty::Terminal;
pub(crate) use running::{Ending, Running};
pub(crate) use seccomp::Syscalls;
pub(crate) use spec::{Bind, Ids, Limits, Nic, NicKind, Spec};
pub(crate) use usage::Memory;

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::io::unix::AsyncFd;

use still::Standing;

use crate::tasks::Tasks;

/// The containers of one daemon. Cheap to clone; all clones know the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Runtime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// liblxc's directory: one below it for each running container, with its configuration.
    directory: PathBuf,
    /// One directory for each instance below it.
    logs: PathBuf,
    tasks: Tasks,
    /// Guards the set only.
    running: Mutex<BTreeMap<String, Running>>,
    /// Guards that the first freezes a container and the last lets it go on.
    still: Mutex<BTreeMap<String, Standing>>,
}

impl Runtime {
    /// The containers whose configurations are in `directory`, which may not exist yet, as long
    /// as nothing runs.
    pub(crate) fn new(directory: PathBuf, logs: PathBuf, tasks: Tasks) -> Self {
        Self(Arc::new(Inner {
            directory,
            logs,
            tasks,
            running: Mutex::default(),
            still: Mutex::default(),
        }))
    }

    /// The container of this name, if it runs (frozen ones run too).
    pub(crate) fn find(&self, name: &str) -> Option<Running> {
        self.set().get(name).cloned()
    }

    /// Where liblxc looks for containers.
    fn lxcpath(&self) -> &Path {
        &self.0.directory
    }

    /// Where a container's configuration and what belongs to one run of it is.
    fn place(&self, name: &str) -> PathBuf {
        self.0.directory.join(name)
    }

    fn set(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        let running = &self.0.running;
        running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the event loop tell when this descriptor is ready.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe; an owned descriptor is all that it asks for"
)]
fn readiness(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}
