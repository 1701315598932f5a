//! Starting containers.

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
    Running, Runtime, Spec,
    config::{self, AppArmor, Host, INCLUDES, Places},
    failure,
    limits::Layout,
    program::{self, Said},
    readiness, seccomp,
};
use crate::error::{Context, Error, Result};

/// How long a container may take to come up to where its first process runs.
pub(super) const START_WITHIN: Duration = Duration::from_mins(1);

/// How long liblxc may take to tell something.
const TELL_WITHIN: Duration = Duration::from_secs(10);

/// The file that the hook leaves beside the configuration of a container that restarts itself.
pub(super) const REBOOT_MARK: &str = "config.reboot";

/// liblxc's name for the file.
const CONFIG: &str = "config";

/// What it may not ask the kernel for.
const POLICY: &str = "seccomp";

/// Where the monitor's number is.
pub(super) const MONITOR: &str = "monitor.pid";

/// What runs when a container has ended. liblxc would restart one that reboots with the
/// configuration it had; failing, the hook keeps it from that: the daemon starts it anew, with
/// templates and changed keys, now or when it runs again.
const HOOK: &str = "#!/bin/sh\n\
    [ \"$LXC_TARGET\" = reboot ] || exit 0\n\
    : > \"$LXC_CONFIG_FILE.reboot\"\n\
    exit 1\n";

impl Runtime {
    /// Starts a container and waits until its first process runs.
    ///
    /// # Errors
    ///
    /// With the reason that liblxc gives; then nothing of the container is left but its log.
    pub(crate) async fn start(&self, mut spec: Spec) -> Result<Running> {
        let name = spec.name.clone();
        if self.find(&name).is_some() {
            return Err(Error::bad_request("The instance is already running"));
        }
        if self.place(&name).exists() && self.monitor(&name).await?.is_some() {
            return Err(Error::failed(
                "An earlier run of the container has not ended",
            ));
        }
        let this = self.clone();
        let prepare = move || {
            let shown = this.show(&mut spec)?;
            this.write_config(&spec)?;
            Ok(shown)
        };
        let shown = self.0.tasks.run_blocking(prepare).await?;
        let started = self.launch(&name).await;
        drop(shown);
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

    /// Runs liblxc's program and takes over what it has started.
    async fn launch(&self, name: &str) -> Result<Running> {
        let mut command = program::for_container("lxc-start", self.lxcpath(), name);
        command.arg("-p").arg(self.place(name).join(MONITOR));
        let said = program::run(&mut command, START_WITHIN).await?;
        if !said.is_success() {
            return Err(self.failed(name, &said));
        }
        let running = self.adopt(name).await?;
        running.ok_or_else(|| Error::failed("The container ended at once"))
    }

    fn failed(&self, name: &str, said: &Said) -> Error {
        let reason = failure::reason(&self.log_directory(name).join(super::logs::LIBLXC_LOG));
        let reason = reason.unwrap_or_else(|| {
            let line = said.err.lines().rfind(|line| !line.trim().is_empty());
            line.unwrap_or("no reason given").trim().to_owned()
        });
        Error::failed(format!("Failed to start the container: {reason}"))
    }

    /// Ends what may be left of a container, and removes what belongs to its run; not while
    /// something of it may still run.
    pub(super) async fn clear_away(&self, name: &str) {
        match self.end_rest(name).await {
            Ok(()) => self.remove_place(name).await,
            Err(error) => tracing::error!(%error, container = name, "what is left of it stays"),
        }
    }

    async fn end_rest(&self, name: &str) -> Result<()> {
        let Some((_, monitor)) = self.monitor(name).await? else {
            return Ok(());
        };
        let mut command = program::for_container("lxc-stop", self.lxcpath(), name);
        command.arg("-k");
        if let Err(error) = program::run(&mut command, TELL_WITHIN).await {
            tracing::warn!(%error, container = name, "what is left of it was not stopped");
        }
        gone(monitor).await
    }

    /// Removes what belonged to a run of a container that has ended.
    pub(super) async fn remove_place(&self, name: &str) {
        let place = self.place(name);
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
        let place = self.place(&spec.name);
        let policy = place.join(POLICY);
        let text = config::generate(
            spec,
            &Places {
                log: &logs.join(super::logs::LIBLXC_LOG),
                console: &logs.join(super::logs::CONSOLE_LOG),
                syscalls: seccomp::is_available().then_some(&*policy),
                hook: &hook,
            },
            &host(),
        )?;
        directory(&place, 0o700)?;
        write(&policy, 0o600, &spec.syscalls.policy())?;
        let mark = place.join(REBOOT_MARK);
        if mark.exists() {
            fs::remove_file(mark)?;
        }
        write(&logs.join(super::logs::CONFIG_COPY), 0o600, &text)?;
        write(&place.join(CONFIG), 0o600, &text)
    }
}

/// Waits until a monitor that was told to end has ended.
async fn gone(monitor: OwnedFd) -> Result<()> {
    let monitor = readiness(monitor)?;
    match timeout(TELL_WITHIN, monitor.readable()).await {
        Ok(ended) => ended.map(drop).map_err(Error::from),
        Err(_late) => Err(Error::failed("The monitor does not end")),
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
