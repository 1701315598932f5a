//! Starting containers, and finding those that run.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{ErrorKind, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    Ending, Running, Runtime, Spec,
    config::{self, AppArmor, Host, INCLUDES, Places},
    failure,
    limits::Layout,
    processes::{self, Role},
    program::{self, Said},
    readiness,
    running::ending,
};
use crate::error::{Context, Error, Result};

/// How long a container may take to come up to where its first process runs.
const START_WITHIN: Duration = Duration::from_mins(1);

/// How long liblxc may take to tell something.
const TELL_WITHIN: Duration = Duration::from_secs(10);

/// How often a start that another daemon began is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The file that the hook leaves beside the configuration of a container that restarts itself.
pub(super) const REBOOT_MARK: &str = "config.reboot";

/// liblxc's name for the file.
const CONFIG: &str = "config";

/// Where the monitor's number is.
const MONITOR: &str = "monitor.pid";

/// What runs when a container has ended. liblxc would restart one that reboots with the
/// configuration it had; failing, the hook keeps it from that: the daemon starts it anew, with
/// templates and changed keys, now or when it runs again.
const HOOK: &str = "#!/bin/sh\n\
    [ \"$LXC_TARGET\" = reboot ] || exit 0\n\
    : > \"$LXC_CONFIG_FILE.reboot\"\n\
    exit 1\n";

/// What a daemon finds when it starts.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What runs.
    pub(crate) running: Vec<Running>,
    /// What an earlier daemon started and has ended since, and how.
    pub(crate) ended: Vec<(String, Ending)>,
}

impl Runtime {
    /// Starts a container and waits until its first process runs.
    ///
    /// # Errors
    ///
    /// With the reason that liblxc gives; then nothing of the container is left but its log.
    pub(crate) async fn start(&self, spec: Spec) -> Result<Running> {
        let name = spec.name.clone();
        if self.find(&name).is_some() {
            return Err(Error::bad_request("The instance is already running"));
        }
        let this = self.clone();
        self.0
            .tasks
            .run_blocking(move || this.write_config(&spec))
            .await?;
        let started = self.launch(&name).await;
        match started {
            Ok(running) => {
                self.set().insert(name, running.clone());
                Ok(running)
            }
            Err(error) => {
                self.clear_away(&name).await;
                Err(error)
            }
        }
    }

    /// Finds the containers that an earlier daemon has started. To be called once, at start,
    /// before anything else.
    pub(crate) async fn find_running(&self) -> Result<Found> {
        let mut found = Found::default();
        for name in self.known().await? {
            self.wait_for_start(&name).await?;
            if let Some(running) = self.adopt(&name).await {
                self.set().insert(name, running.clone());
                found.running.push(running);
            } else {
                found.ended.push((name.clone(), ending(&self.place(&name))));
                self.clear_away(&name).await;
            }
        }
        Ok(found)
    }

    /// The names of containers that have a configuration.
    async fn known(&self) -> Result<Vec<String>> {
        let directory = self.lxcpath().to_owned();
        let list = move || {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
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

    /// Waits while a program that an earlier daemon has run still starts this container.
    async fn wait_for_start(&self, name: &str) -> Result<()> {
        let lxcpath = self.lxcpath().to_owned();
        let deadline = tokio::time::Instant::now() + START_WITHIN;
        loop {
            let lxcpath = lxcpath.clone();
            let listed = self.0.tasks.run_blocking(move || processes::list(&lxcpath));
            let listed = listed.await?;
            let is_starting = |process: &processes::Process| {
                process.name == name && process.role == Role::Starting
            };
            if !listed.iter().any(is_starting) || tokio::time::Instant::now() > deadline {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Runs liblxc's program and takes over what it has started.
    async fn launch(&self, name: &str) -> Result<Running> {
        let mut command = program::for_container("lxc-start", self.lxcpath(), name);
        command.arg("-p").arg(self.place(name).join(MONITOR));
        let said = program::run(&mut command, START_WITHIN).await?;
        if !said.is_success() {
            return Err(self.failed(name, &said));
        }
        let running = self.adopt(name).await;
        running.ok_or_else(|| Error::failed("The container ended at once"))
    }

    /// The container as it runs, if it does.
    async fn adopt(&self, name: &str) -> Option<Running> {
        let place = self.place(name);
        let monitor = self.monitor(name, &place).await?;
        let mut command = program::for_container("lxc-info", self.lxcpath(), name);
        command.arg("-pH");
        let said = program::run(&mut command, TELL_WITHIN).await.ok()?;
        let init: i32 = said.out.trim().parse().ok()?;
        let handle = processes::open(init)?;
        Running::new(name.to_owned(), (init, handle), monitor, place).ok()
    }

    /// A handle of the container's monitor, if it has one.
    async fn monitor(&self, name: &str, place: &Path) -> Option<OwnedFd> {
        let (lxcpath, name) = (self.lxcpath().to_owned(), name.to_owned());
        let written = fs::read_to_string(place.join(MONITOR)).unwrap_or_default();
        let look = move || {
            let open = |pid| processes::open_monitor(pid, &lxcpath, &name);
            if let Some(handle) = written.trim().parse().ok().and_then(open) {
                return Ok(Some(handle));
            }
            // The number was not written yet when the daemon that waited for it ended.
            let listed = processes::list(&lxcpath)?.into_iter();
            let mut monitors = listed.filter(|process| process.role == Role::Monitor);
            let found = monitors.find(|process| process.name == name);
            Ok(found.and_then(|process| open(process.pid)))
        };
        self.0.tasks.run_blocking(look).await.ok().flatten()
    }

    fn failed(&self, name: &str, said: &Said) -> Error {
        let reason = failure::reason(&self.log_directory(name).join(super::logs::LIBLXC_LOG));
        let reason = reason.unwrap_or_else(|| {
            let line = said.err.lines().rfind(|line| !line.trim().is_empty());
            line.unwrap_or("no reason given").trim().to_owned()
        });
        Error::failed(format!("Failed to start the container: {reason}"))
    }

    /// Ends what may be left of a container, and removes what belongs to its run.
    pub(super) async fn clear_away(&self, name: &str) {
        let place = self.place(name);
        if let Some(monitor) = self.monitor(name, &place).await {
            let mut command = program::for_container("lxc-stop", self.lxcpath(), name);
            command.arg("-k");
            if let Err(error) = program::run(&mut command, TELL_WITHIN).await {
                tracing::warn!(%error, container = name, "what is left of it was not stopped");
            }
            gone(monitor, name).await;
        }
        let removed = self
            .0
            .tasks
            .run_blocking(move || fs::remove_dir_all(&place).map_err(Error::from));
        if let Err(error) = removed.await {
            tracing::debug!(%error, container = name, "nothing to clear away");
        }
    }

    fn write_config(&self, spec: &Spec) -> Result<()> {
        directory(self.lxcpath(), 0o711)?;
        let hook = self.lxcpath().join("hook");
        write(&hook, 0o700, HOOK)?;
        self.rotate_logs(&spec.name)?;
        let logs = self.log_directory(&spec.name);
        let text = config::generate(
            spec,
            &Places {
                log: &logs.join(super::logs::LIBLXC_LOG),
                console: &logs.join(super::logs::CONSOLE_LOG),
                hook: &hook,
            },
            &host(),
        )?;
        let place = self.place(&spec.name);
        directory(&place, 0o700)?;
        let mark = place.join(REBOOT_MARK);
        if mark.exists() {
            fs::remove_file(mark)?;
        }
        write(&logs.join(super::logs::CONFIG_COPY), 0o600, &text)?;
        write(&place.join(CONFIG), 0o600, &text)
    }
}

/// Waits until a monitor that was told to end has ended.
async fn gone(monitor: OwnedFd, name: &str) {
    let Ok(monitor) = readiness(monitor) else {
        return;
    };
    if timeout(TELL_WITHIN, monitor.readable()).await.is_err() {
        tracing::warn!(container = name, "what is left of it does not end");
    }
}

/// What of this host matters.
fn host() -> Host {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    let is_enabled = enabled.is_ok_and(|text| text.trim() == "Y");
    let places = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];
    let has_parser = places.iter().any(|path| Path::new(path).exists());
    let ids = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let all_ids = ["0", "0", "4294967295"];
    Host {
        layout: Layout::find(),
        has_devices: ids.split_whitespace().eq(all_ids),
        app_armor: match (is_enabled, has_parser) {
            (false, _) => AppArmor::Absent,
            (true, false) => AppArmor::Unusable,
            (true, true) => AppArmor::Usable,
        },
        has_includes: Path::new(INCLUDES).is_dir(),
    }
}

/// Makes a directory with this mode, which others may already have made.
pub(super) fn directory(path: &Path, mode: u32) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.context(format_args!("Failed to make {}", path.display()))?;
    // What it may do is more than the daemon's umask lets new files do.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::from)
}

/// Writes a file of ours, which is not to be a link.
fn write(path: &PathBuf, mode: u32, text: &str) -> Result<()> {
    let said = || format!("Failed to write {}", path.display());
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Error::from(error).context(said())),
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::from(error).context(said()))
}
