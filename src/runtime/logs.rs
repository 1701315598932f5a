//! What is kept of an instance's runs: liblxc's log, the console, recorded output of commands.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{Runtime, start::directory};
use crate::error::{Context, Error, Result};

/// liblxc's log of the last run.
pub(super) const LIBLXC_LOG: &str = "lxc.log";

/// The configuration of the last run.
pub(super) const CONFIG_COPY: &str = "lxc.conf";

/// What was written to the console.
pub(super) const CONSOLE_LOG: &str = "console.log";

/// The most that is read of a console's log.
const MAX_CONSOLE_BYTES: u64 = 4 * 1024 * 1024;

/// What a log file is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKind {
    /// Of the instance's runs, in use.
    Run,
    /// The recorded output of a command.
    Exec,
}

impl LogKind {
    /// What a file of this name is, if clients may see it. A name with a slash is none.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if name.contains('/') {
            return None;
        }
        if matches!(name, LIBLXC_LOG | CONFIG_COPY) {
            return Some(Self::Run);
        }
        // LXD's names, of containers and of virtual machines.
        let is_exec =
            name.starts_with("exec_") && (name.ends_with(".stdout") || name.ends_with(".stderr"));
        is_exec.then_some(Self::Exec)
    }
}

impl Runtime {
    /// The names of the logs that clients may see, sorted.
    pub(crate) fn logs(&self, name: &str) -> Result<Vec<String>> {
        let entries = match fs::read_dir(self.log_directory(name)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| LogKind::of(name).is_some()).collect();
        names.sort();
        Ok(names)
    }

    /// A log for reading; none when there is no such file.
    pub(crate) fn open_log(&self, name: &str, log: &str) -> Result<Option<File>> {
        LogKind::of(log).ok_or_else(|| not_valid(log))?;
        optional(File::open(self.log_directory(name).join(log)))
    }

    /// A new file for what a command says.
    pub(crate) fn record(&self, name: &str, log: &str) -> Result<File> {
        LogKind::of(log).ok_or_else(|| not_valid(log))?;
        let logs = self.log_directory(name);
        directory(&logs, 0o700)?;
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(logs.join(log));
        file.context(format_args!("Failed to make {log}"))
    }

    /// Removes a recorded output. Returns false when there is none.
    pub(crate) fn remove_log(&self, name: &str, log: &str) -> Result<bool> {
        if LogKind::of(log) != Some(LogKind::Exec) {
            return Err(not_valid(log));
        }
        let removed = optional(fs::remove_file(self.log_directory(name).join(log)))?;
        Ok(removed.is_some())
    }

    /// Removes everything that is kept of an instance's runs.
    pub(crate) fn remove_logs(&self, name: &str) -> Result<()> {
        optional(fs::remove_dir_all(self.log_directory(name))).map(drop)
    }

    /// Keeps the logs of an instance that has another name now.
    pub(crate) fn rename_logs(&self, from: &str, to: &str) -> Result<()> {
        if from == to {
            return Ok(());
        }
        self.remove_logs(to)?;
        let (from, to) = (self.log_directory(from), self.log_directory(to));
        optional(set_aside(&from, &to)).map(drop)
    }

    /// What was written to the console, oldest first; none when there was never one.
    pub(crate) fn console_log(&self, name: &str) -> Result<Option<Vec<u8>>> {
        use std::io::Read as _;
        let logs = self.log_directory(name);
        let mut text = Vec::new();
        let mut is_there = false;
        // liblxc sets the older half aside when a file has its full length.
        for part in [format!("{CONSOLE_LOG}.1"), CONSOLE_LOG.to_owned()] {
            if let Some(file) = optional(File::open(logs.join(part)))? {
                file.take(MAX_CONSOLE_BYTES).read_to_end(&mut text)?;
                is_there = true;
            }
        }
        Ok(is_there.then_some(text))
    }

    /// Forgets what was written to the console.
    pub(crate) fn clear_console_log(&self, name: &str) -> Result<()> {
        let logs = self.log_directory(name);
        optional(fs::remove_file(logs.join(format!("{CONSOLE_LOG}.1"))))?;
        let mut options = OpenOptions::new();
        // liblxc has it open and goes on at its end.
        let emptied = options
            .write(true)
            .truncate(true)
            .open(logs.join(CONSOLE_LOG));
        optional(emptied).map(drop)
    }

    /// Where an instance's logs are.
    pub(super) fn log_directory(&self, name: &str) -> PathBuf {
        self.0.logs.join(name)
    }

    /// Sets the log of the run before aside, and forgets older ones and the console.
    pub(super) fn rotate_logs(&self, name: &str) -> Result<()> {
        directory(&self.0.logs, 0o700)?;
        let logs = self.log_directory(name);
        directory(&logs, 0o700)?;
        let log = logs.join(LIBLXC_LOG);
        optional(set_aside(&log, &logs.join("lxc.log.old")))?;
        for part in [format!("{CONSOLE_LOG}.1"), CONSOLE_LOG.to_owned()] {
            optional(fs::remove_file(logs.join(part)))?;
        }
        Ok(())
    }
}

/// LXD's text.
fn not_valid(log: &str) -> Error {
    Error::bad_request(format!("log file name {log} not valid"))
}

fn optional<T>(done: io::Result<T>) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives a log another name; a log that a power cut takes back is no loss.
fn set_aside(from: &Path, to: &Path) -> io::Result<()> {
    rustix::fs::rename(from, to).map_err(io::Error::from)
}
