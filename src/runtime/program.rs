//! Running one of liblxc's programs to its end.

use std::{
    ffi::OsStr,
    fs, io,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

use crate::error::{Error, Result};

/// How much of what a program says is read; the rest is lost.
const MAX_SAID_BYTES: u64 = 256 * 1024;

/// What programs are looked for in when the daemon has no `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program said at its end.
#[derive(Debug)]
pub(super) struct Said {
    /// How it ended; none when it was cut off.
    pub(super) status: Option<ExitStatus>,
    /// Its standard output.
    pub(super) out: String,
    /// Its standard error.
    pub(super) err: String,
}

impl Said {
    /// Whether it did what it was asked to.
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// A program of the package `lxc`, with an environment of its own, and without the descriptors
/// that whoever started the daemon left open: they would be open inside of containers.
pub(super) fn command(program: &str) -> Command {
    static CLOSING: OnceLock<Option<String>> = OnceLock::new();
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    let mut command = match CLOSING.get_or_init(closing) {
        None => Command::new(program),
        Some(closing) => {
            let mut command = Command::new("bash");
            command.args(["-c", closing, program]);
            command
        }
    };
    command
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A line for the shell that closes what children would inherit, and becomes its arguments; none
/// when there is nothing, as under systemd. Our own descriptors are closed by the kernel.
fn closing() -> Option<String> {
    let inherited: Vec<_> = inherited()
        .iter()
        .map(|number| format!("{number}>&-"))
        .collect();
    if inherited.is_empty() {
        return None;
    }
    let closed = inherited.join(" ");
    tracing::debug!(closed, "descriptors that containers are not to get");
    Some(format!("exec {closed}; exec \"$0\" \"$@\""))
}

/// The descriptors beside the usual three that children would inherit.
fn inherited() -> Vec<u32> {
    /// The kernel's sign for a descriptor that children do not get.
    const CLOSED_ON_EXEC: u32 = 0o2_000_000;
    let listed = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let numbers = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_inherited = |number: &u32| {
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & CLOSED_ON_EXEC == 0)
    };
    numbers
        .filter(|number| *number > 2 && is_inherited(number))
        .collect()
}

/// One of liblxc's programs for a container in this directory.
pub(super) fn for_container(program: &str, lxcpath: &Path, name: &str) -> Command {
    let mut command = command(program);
    command.arg("-P").arg(lxcpath).arg("-n").arg(name);
    command
}

/// Starts it.
///
/// # Errors
///
/// When it is not installed, the error says what is to be installed.
pub(super) fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|error| {
        let program = command.as_std().get_program();
        if error.kind() == io::ErrorKind::NotFound {
            return missing(program);
        }
        let program = program.to_string_lossy();
        Error::from(error).context(format_args!("Failed to run {program}"))
    })
}

/// Runs it to its end, or for `patience`; then it is killed.
///
/// # Errors
///
/// When it cannot be started. That it failed is told in the answer.
pub(super) async fn run(command: &mut Command, patience: Duration) -> Result<Said> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let said = timeout(patience, async {
        let (status, out, err) = tokio::join!(child.wait(), read(out), read(err));
        Ok(Said {
            status: Some(status?),
            out,
            err,
        })
    });
    if let Ok(said) = said.await {
        return said;
    }
    child.kill().await?;
    Ok(Said {
        status: None,
        out: String::new(),
        err: format!("no answer within {} seconds", patience.as_secs()),
    })
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let mut bytes = Vec::new();
    // What cannot be read was not said.
    drop(
        (&mut from)
            .take(MAX_SAID_BYTES)
            .read_to_end(&mut bytes)
            .await,
    );
    drop(tokio::io::copy(&mut from, &mut tokio::io::sink()).await);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn missing(program: &OsStr) -> Error {
    let program = program.to_string_lossy();
    let package = match program.as_ref() {
        "ip" => "iproute2",
        "nsenter" | "setsid" => "util-linux",
        _ => "lxc",
    };
    Error::failed(format!(
        "{program} is not installed: running instances needs the package {package:?}"
    ))
}
