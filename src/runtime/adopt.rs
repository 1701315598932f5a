//! Finding containers that run, above all those that an earlier daemon has started.
//!
//! What cannot be found out is an error and never an answer: a container that is wrongly taken
//! for ended would lose its files, or be started a second time on them.

use std::{collections::BTreeSet, fs, io::ErrorKind, os::fd::OwnedFd, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Ending, Running, Runtime,
    processes::{self, Process, Role},
    program,
    running::ending,
    start::{MONITOR, START_WITHIN},
};
use crate::error::{Error, Result};

/// How long liblxc may take to tell something.
const TELL_WITHIN: Duration = Duration::from_secs(10);

/// How long the first process of a container that has a monitor may be looked for.
const FOUND_WITHIN: Duration = Duration::from_secs(10);

/// How often what is about to change is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a daemon finds when it starts.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What runs.
    pub(crate) running: Vec<Running>,
    /// What an earlier daemon started and has ended since, and how.
    pub(crate) ended: Vec<(String, Ending)>,
}

impl Runtime {
    /// Finds the containers that an earlier daemon has started. To be called once, at start,
    /// before anything else. Ends nothing that may run.
    ///
    /// # Errors
    ///
    /// When it cannot be found out what runs.
    pub(crate) async fn find_running(&self) -> Result<Found> {
        let mut found = Found::default();
        let this = self.clone();
        self.0.tasks.run_blocking(move || this.hide_all()).await?;
        let known = self.known().await?;
        if known.is_empty() {
            return Ok(found);
        }
        let watched = self.wait_for_starts(&known).await?;
        for name in known {
            let adopted = if watched.contains(&name) {
                self.adopt(&name).await?
            } else {
                None
            };
            if let Some(running) = adopted {
                Self::let_go_on(&running);
                self.set().insert(name, running.clone());
                found.running.push(running);
            } else {
                found.ended.push((name.clone(), ending(&self.place(&name))));
                self.remove_place(&name).await;
            }
        }
        Ok(found)
    }

    /// The names of containers that have a configuration.
    async fn known(&self) -> Result<BTreeSet<String>> {
        let directory = self.lxcpath().to_owned();
        let list = move || {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
                Err(error) => return Err(error.into()),
            };
            let directories = entries.filter_map(|entry| {
                let entry = entry.ok()?;
                entry.file_type().ok()?.is_dir().then(|| entry.file_name())
            });
            Ok(directories
                .filter_map(|name| name.into_string().ok())
                .collect())
        };
        self.0.tasks.run_blocking(list).await
    }

    /// Waits while programs that an earlier daemon has run still start containers. Returns the
    /// names of those that have a monitor then.
    async fn wait_for_starts(&self, known: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let listed = self.listed().await?;
            let is_starting = |process: &&Process| {
                process.role == Role::Starting && known.contains(&process.name)
            };
            let Some(starting) = listed.iter().find(is_starting) else {
                let monitors = listed.into_iter();
                let monitors = monitors.filter(|process| process.role == Role::Monitor);
                return Ok(monitors.map(|process| process.name).collect());
            };
            if Instant::now() > deadline {
                let Process { name, pid, .. } = starting;
                return Err(Error::failed(format!(
                    "The container {name} is being started still, by process {pid}"
                )));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn listed(&self) -> Result<Vec<Process>> {
        let lxcpath = self.lxcpath().to_owned();
        let list = move || processes::list(&lxcpath);
        self.0.tasks.run_blocking(list).await
    }

    /// The container as it runs; none when it has no monitor.
    pub(super) async fn adopt(&self, name: &str) -> Result<Option<Running>> {
        let deadline = Instant::now() + FOUND_WITHIN;
        loop {
            let is_late = Instant::now() > deadline;
            match self.monitor(name).await {
                Ok(None) => return Ok(None),
                Ok(Some((pid, monitor))) => {
                    let init = self.init(name, pid).await;
                    if init.is_none() && is_late {
                        tracing::error!(container = name, "its first process is not to be found");
                    }
                    if init.is_some() || is_late {
                        let place = self.place(name);
                        return Running::new(name.to_owned(), init, monitor, place).map(Some);
                    }
                }
                Err(error) if is_late => return Err(error),
                Err(error) => tracing::warn!(%error, container = name, "looked for once more"),
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The container's monitor and a handle of it, if it has one.
    pub(super) async fn monitor(&self, name: &str) -> Result<Option<(i32, OwnedFd)>> {
        let (lxcpath, written) = (self.lxcpath().to_owned(), self.place(name).join(MONITOR));
        let name = name.to_owned();
        let look = move || {
            let open = |pid| {
                let opened = processes::open_monitor(pid, &lxcpath, &name)?;
                Ok(opened.map(|handle| (pid, handle)))
            };
            let written = fs::read_to_string(written).unwrap_or_default();
            if let Ok(pid) = written.trim().parse()
                && let Some(found) = open(pid)?
            {
                return Ok(Some(found));
            }
            // The number was not written yet when the daemon that waited for it ended.
            let listed = processes::list(&lxcpath)?.into_iter();
            let mut monitors = listed.filter(|process| process.role == Role::Monitor);
            let found = monitors.find(|process| process.name == name);
            found.map_or(Ok(None), |process| open(process.pid))
        };
        self.0.tasks.run_blocking(look).await
    }

    /// The container's first process and a handle of it: the monitor's child inside, or what
    /// liblxc says.
    async fn init(&self, name: &str, monitor: i32) -> Option<(i32, OwnedFd)> {
        let pid = match processes::child_inside(monitor) {
            Some(pid) => pid,
            None => self.told_init(name).await?,
        };
        Some((pid, processes::open(pid).ok()??))
    }

    async fn told_init(&self, name: &str) -> Option<i32> {
        let mut command = program::for_container("lxc-info", self.lxcpath(), name);
        command.arg("-pH");
        let said = program::run(&mut command, TELL_WITHIN).await.ok()?;
        said.out.trim().parse().ok().filter(|pid| *pid > 0)
    }
}
