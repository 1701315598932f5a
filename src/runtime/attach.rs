//! Commands in a running container, and its console.

use std::{
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
};

use rustix::process::{Signal, pidfd_send_signal};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::{Running, Runtime, processes, program, pty::Terminal};
use crate::error::{Error, Result};

/// A command and as whom it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exec {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// All its variables.
    pub(crate) environment: Vec<(String, String)>,
    /// The container's id of the user.
    pub(crate) user: u32,
    /// The container's id of the group.
    pub(crate) group: u32,
    /// Where it begins.
    pub(crate) directory: String,
}

/// What a command reads and writes.
#[derive(Debug)]
pub(crate) enum Streams {
    /// A terminal of this width and height.
    Terminal(u16, u16),
    /// Three pipes.
    Pipes,
    /// Nothing comes in; what goes out goes to these files.
    Files(OwnedFd, OwnedFd),
    /// Nothing comes in, and what goes out is lost.
    Nothing,
}

/// A command that runs. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Attached {
    child: Child,
    /// Its terminal, if it has one.
    pub(crate) terminal: Option<Terminal>,
    /// What it reads, if that is a pipe.
    pub(crate) stdin: Option<ChildStdin>,
    /// What it writes, if that is a pipe.
    pub(crate) stdout: Option<ChildStdout>,
    /// Its errors, if that is a pipe.
    pub(crate) stderr: Option<ChildStderr>,
}

impl Runtime {
    /// Begins a command in a container.
    ///
    /// # Errors
    ///
    /// When liblxc's program cannot be started. That the command cannot be is in its exit status.
    pub(crate) fn exec(
        &self,
        running: &Running,
        exec: &Exec,
        streams: Streams,
    ) -> Result<Attached> {
        let lxcpath = self.lxcpath();
        let mut words = words("lxc-attach", lxcpath, running.name());
        words.extend(self.silence(running));
        words.push("--clear-env".to_owned());
        for (name, value) in &exec.environment {
            words.extend(["-v".to_owned(), format!("{name}={value}")]);
        }
        let (user, group) = (exec.user.to_string(), exec.group.to_string());
        words.extend([
            "-u".to_owned(),
            user,
            "-g".to_owned(),
            group,
            "--".to_owned(),
        ]);
        // liblxc goes where its caller is, if there is such a directory inside.
        let is_here = Path::new(&exec.directory).is_dir();
        if !is_here {
            words.extend(ELSEWHERE.map(str::to_owned));
            words.push(exec.directory.clone());
        }
        words.extend(exec.command.iter().cloned());
        let directory = if is_here { &exec.directory } else { "/" };
        begin(&words, directory, streams)
    }

    /// Connects a terminal to a container's console.
    pub(crate) fn console(&self, running: &Running, width: u16, height: u16) -> Result<Attached> {
        let mut words = words("lxc-console", self.lxcpath(), running.name());
        // No key is an escape: the client has one of its own.
        words.extend(["-t", "0", "-e", "-1"].map(str::to_owned));
        words.extend(self.silence(running));
        begin(&words, "/", Streams::Terminal(width, height))
    }

    /// What keeps liblxc's own words out of what a command says.
    fn silence(&self, running: &Running) -> [String; 5] {
        // Only with a file of its own does it say nothing on standard error.
        let log = self.place(running.name()).join("attach.log");
        let log = log.to_string_lossy().into_owned();
        ["-q", "-o", &log, "-l", "ALERT"].map(str::to_owned)
    }
}

/// Goes to a directory that the host does not have; nothing of the words that follow is read by
/// the shell.
const ELSEWHERE: [&str; 3] = [
    "/bin/sh",
    "-c",
    "cd -- \"$0\" 2>/dev/null || cd /; command -v \"$1\" >/dev/null || exit 127; exec \"$@\"",
];

fn words(program: &str, lxcpath: &Path, name: &str) -> Vec<String> {
    let lxcpath = lxcpath.to_string_lossy().into_owned();
    [program, "-P", &lxcpath, "-n", name]
        .map(str::to_owned)
        .to_vec()
}

fn begin(words: &[String], directory: &str, streams: Streams) -> Result<Attached> {
    let mut terminal = None;
    let mut command = match streams {
        Streams::Terminal(width, height) => {
            let (ours, theirs) = Terminal::open(width, height)?;
            terminal = Some(ours);
            on_terminal(words, theirs)?
        }
        Streams::Pipes => {
            let mut command = plain(words);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command
        }
        Streams::Files(out, err) => {
            let mut command = plain(words);
            command.stdout(out).stderr(err);
            command
        }
        Streams::Nothing => {
            let mut command = plain(words);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        }
    };
    command.current_dir(directory);
    let mut child = program::spawn(&mut command)?;
    Ok(Attached {
        terminal,
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        child,
    })
}

fn plain(words: &[String]) -> Command {
    let (name, arguments) = words
        .split_first()
        .map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let mut command = program::command(name);
    command.args(arguments);
    command
}

/// The program as the leader of a session of its own, whose terminal this is.
fn on_terminal(words: &[String], terminal: OwnedFd) -> Result<Command> {
    let clone = || terminal.try_clone().map_err(Error::from);
    let mut command = program::command("setsid");
    command.arg("--ctty").args(words);
    command.stdin(clone()?).stdout(clone()?).stderr(terminal);
    Ok(command)
}

impl Attached {
    /// Waits for its end: its exit status, or 128 and the signal that ended it.
    pub(crate) async fn wait(&mut self) -> Result<i32> {
        Ok(code(self.child.wait().await?))
    }

    /// What acts on it while it is waited for.
    pub(crate) fn control(&self) -> Control {
        let program = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        Control {
            program,
            handle: program.and_then(open).map(Arc::new),
        }
    }
}

/// What acts on a command from outside. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    program: Option<i32>,
    handle: Option<Arc<OwnedFd>>,
}

impl Control {
    /// Sends a signal to the command itself.
    pub(crate) fn signal(&self, number: i32) -> Result<()> {
        let Some(signal) = Signal::from_named_raw(number) else {
            return Err(Error::bad_request(format!("No such signal: {number}")));
        };
        self.command()
            .map_or(Ok(()), |command| send(&command, signal))
    }

    /// Ends the command at once.
    pub(crate) fn kill(&self) {
        let command = self.command();
        let ended = match (&command, &self.handle) {
            (Some(command), _) => send(command, Signal::KILL),
            (None, Some(program)) => send(program, Signal::KILL),
            (None, None) => Ok(()),
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "a command was not ended");
        }
    }

    /// A handle of the command: the child of liblxc's program that is in another namespace.
    fn command(&self) -> Option<OwnedFd> {
        open(processes::child_inside(self.program?)?)
    }
}

fn open(pid: i32) -> Option<OwnedFd> {
    processes::open(pid).ok().flatten()
}

fn send(process: &OwnedFd, signal: Signal) -> Result<()> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Error::from(std::io::Error::from(error))),
    }
}

fn code(status: ExitStatus) -> i32 {
    let by_signal = || status.signal().map_or(-1, |signal| 128 + signal);
    status.code().unwrap_or_else(by_signal)
}
