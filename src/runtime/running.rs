//! A container that runs.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, pidfd_send_signal},
};
use tokio::io::unix::AsyncFd;

use super::{cgroup::Group, readiness};
use crate::error::{Context, Error, Result};

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It stopped, for whatever reason.
    Stopped,
    /// It restarts itself, and waits for somebody to start it.
    Rebooting,
}

/// A container that ran when it was looked at. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Running(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    /// None when it was not to be found.
    init: Option<(i32, OwnedFd)>,
    monitor: AsyncFd<OwnedFd>,
    group: Group,
    place: PathBuf,
}

impl Running {
    /// A container whose first process and monitor are these.
    pub(super) fn new(
        name: String,
        init: Option<(i32, OwnedFd)>,
        monitor: OwnedFd,
        place: PathBuf,
    ) -> Result<Self> {
        let monitor = readiness(monitor).context("Failed to watch the container")?;
        Ok(Self(Arc::new(Inner {
            name,
            group: init
                .as_ref()
                .map_or_else(Group::default, |(pid, _)| Group::of(*pid)),
            init,
            monitor,
            place,
        })))
    }

    /// Its name among all containers of the daemon.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// The host's number of its first process; 0 when that was not to be found.
    pub(crate) fn pid(&self) -> i32 {
        self.0.init.as_ref().map_or(0, |(pid, _)| *pid)
    }

    /// Whether it is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.0.group.is_frozen()
    }

    /// Waits for its end. When this returns, nothing of it is left but its files.
    ///
    /// # Errors
    ///
    /// When the daemon itself ends.
    pub(crate) async fn wait(&self) -> Result<()> {
        let ended = self.0.monitor.readable().await;
        ended.map(drop).context("Failed to watch the container")
    }

    /// Whether it has ended, or its first process has and the rest is about to. Whoever waits for
    /// the end sees it no earlier.
    pub(crate) fn is_ending(&self) -> bool {
        let init = self.0.init.as_ref().map(|(_, handle)| handle);
        let handles = init.into_iter().chain([self.0.monitor.get_ref()]);
        let mut ended: Vec<_> = handles
            .map(|handle| PollFd::new(handle, PollFlags::IN))
            .collect();
        let ready = poll(&mut ended, Some(&Timespec::default()));
        ready.is_ok_and(|count| count > 0)
    }

    /// Whether this is that very run of the container.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn group(&self) -> &Group {
        &self.0.group
    }

    /// Where what belongs to this run is.
    pub(super) fn place(&self) -> &Path {
        &self.0.place
    }

    /// Ends its first process, and everything in it.
    pub(super) fn kill(&self) -> Result<()> {
        let Some((_, init)) = &self.0.init else {
            return Err(Error::failed("Its first process is not to be found"));
        };
        match pidfd_send_signal(init, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::from(std::io::Error::from(error))),
        }
    }
}

/// What the hook leaves when a container restarts itself.
pub(super) fn ending(place: &Path) -> Ending {
    if place.join(super::start::REBOOT_MARK).exists() {
        Ending::Rebooting
    } else {
        Ending::Stopped
    }
}
