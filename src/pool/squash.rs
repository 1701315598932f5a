//! A tar stream → a squashfs, by a program made for it: `tar2sqfs`, or `sqfstar` of
//! squashfs-tools. It gets no argument that is not written here.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    process::{Pid, Resource, Rlimit, prlimit},
};
use tokio_util::sync::CancellationToken;

use super::watch::cancelled;
use crate::{
    error::{Context, Error, Result},
    image::Squashfs,
};

/// How much of what a program says is kept.
const MOST_SAID_BYTES: usize = 4096;

/// How long it is waited for before anybody asks whether it is still wanted.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// What sqfstar may take for its queues.
const MEMORY: &str = "128M";

/// Where the programs are, whatever the daemon's own environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A squashfs that is being made. Given up, the program is ended.
#[derive(Debug)]
pub(crate) struct Squash {
    program: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    complaints: Option<ChildStderr>,
    /// The beginning of what it has said.
    said: Vec<u8>,
    path: PathBuf,
    limits: Limits,
}

/// What ends it before its time.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// How long the file may get.
    pub(crate) room: Option<u64>,
    /// Whether anybody still wants it.
    pub(crate) cancel: CancellationToken,
}

impl Squash {
    /// Begins a squashfs in a new file in `directory`, dated `made_at`.
    ///
    /// # Errors
    ///
    /// Our text when neither program is there.
    pub(crate) fn begin(
        squashfs: &Squashfs,
        directory: &Path,
        made_at: u32,
        limits: Limits,
    ) -> Result<Self> {
        let path = directory.join("squashfs");
        let made_at = made_at.to_string();
        let mut tried = [tar2sqfs(squashfs, &made_at), sqfstar(squashfs, &made_at)].into_iter();
        loop {
            let Some((program, mut command)) = tried.next() else {
                let text = "Neither tar2sqfs (squashfs-tools-ng) nor sqfstar (squashfs-tools) is installed";
                return Err(Error::failed(text));
            };
            match spawn(command.arg(&path)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                started => {
                    let started = started.context(format_args!("Failed to run {program}"))?;
                    return Self::new(program, started, path, limits);
                }
            }
        }
    }

    fn new(program: &'static str, mut child: Child, path: PathBuf, limits: Limits) -> Result<Self> {
        let (input, complaints) = (child.stdin.take(), child.stderr.take());
        if let Some(input) = &input {
            // It may be busy complaining while we write: nobody waits for the other.
            let flags = fcntl_getfl(input).map_err(io::Error::from)?;
            fcntl_setfl(input, flags | OFlags::NONBLOCK).map_err(io::Error::from)?;
        }
        let squash = Self {
            program,
            child,
            input,
            complaints,
            said: Vec::new(),
            path,
            limits,
        };
        if squash.limits.room.is_some() {
            let limit = Rlimit {
                current: squash.limits.room,
                maximum: squash.limits.room,
            };
            let pid = Pid::from_child(&squash.child);
            prlimit(Some(pid), Resource::Fsize, limit).map_err(io::Error::from)?;
        }
        Ok(squash)
    }

    /// Everything was written. Returns the file, whose name is gone with its directory.
    ///
    /// # Errors
    ///
    /// What the program says.
    pub(crate) fn finish(mut self) -> Result<File> {
        drop(self.input.take());
        self.end()?;
        if self.program == "sqfstar" {
            date_root(&self.path).context("Failed to date the squashfs")?;
        }
        File::open(&self.path).context("Failed to read the squashfs")
    }

    /// Waits for the program's end.
    fn end(&mut self) -> Result<()> {
        while self.complaints.is_some() {
            self.wait()?;
        }
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        if let Some(room) = self.limits.room.filter(|_| is_too_large(status)) {
            let text = format!("reached more than {room} bytes, exceeding quota of {room}");
            return Err(Error::failed(text));
        }
        let said = String::from_utf8_lossy(&self.said);
        let said = said.lines().find(|line| !line.trim().is_empty());
        let said = said.unwrap_or("ended before its time").trim().to_owned();
        Err(Error::failed(format!("{}: {said}", self.program)))
    }

    /// Waits, not for long, until the program takes or says something, and hears what it says.
    fn wait(&mut self) -> Result<()> {
        if self.limits.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let complaints = self
            .complaints
            .iter()
            .map(|it| PollFd::new(it, PollFlags::IN));
        let input = self.input.iter().map(|it| PollFd::new(it, PollFlags::OUT));
        let mut waiting: Vec<_> = complaints.chain(input).collect();
        match poll(&mut waiting, Some(&PATIENCE)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            ready => ready.map_err(io::Error::from)?,
        };
        let is_heard = waiting
            .first()
            .is_some_and(|first| !first.revents().is_empty());
        if is_heard { self.hear() } else { Ok(()) }
    }

    /// Reads some of what the program says; the end of it is its own end.
    fn hear(&mut self) -> Result<()> {
        let Some(complaints) = &mut self.complaints else {
            return Ok(());
        };
        let mut piece = [0; 1024];
        let count = complaints.read(&mut piece)?;
        if count == 0 {
            self.complaints = None;
        }
        if self.said.len() < MOST_SAID_BYTES {
            let said = piece.get(..count).unwrap_or_default();
            self.said.extend_from_slice(said);
        }
        Ok(())
    }
}

impl Write for Squash {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            let Some(input) = &mut self.input else {
                return Err(ErrorKind::BrokenPipe.into());
            };
            match input.write(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait().map_err(io::Error::other)?;
                }
                // The program has ended: it knows why, and that is what is to be told.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    drop(self.input.take());
                    self.end().map_err(io::Error::other)?;
                    return Err(error);
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Squash {
    fn drop(&mut self) {
        // One that has ended is only collected.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            tracing::warn!(%error, "a program that makes a squashfs does not end");
        }
    }
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// Where in a squashfs is when it was made, the place of its root directory's inode, and where the
/// inodes begin; where in an inode is its time.
const MADE_AT: u64 = 8;
const ROOT_INODE: u64 = 32;
const INODE_TABLE: u64 = 64;
const INODE_TIME: u64 = 8;

/// LXD's choice.
fn tar2sqfs(squashfs: &Squashfs, made_at: &str) -> (&'static str, Command) {
    let mut command = Command::new("tar2sqfs");
    command.args(["--quiet", "--no-skip", "--force"]);
    command.args(["--compressor", squashfs.compressor]);
    command.env("SOURCE_DATE_EPOCH", made_at);
    if let Some(bytes) = squashfs.block_bytes {
        command.args(["--block-size", &bytes.to_string()]);
    }
    ("tar2sqfs", command)
}

fn sqfstar(squashfs: &Squashfs, made_at: &str) -> (&'static str, Command) {
    let mut command = Command::new("sqfstar");
    command.args(["-quiet", "-no-progress", "-exit-on-error", "-mem", MEMORY]);
    command.args(["-comp", squashfs.compressor]);
    // Without compressed inodes the root directory can be dated, see `date_root`.
    command.args(["-mkfs-time", made_at, "-noI"]);
    if let Some(bytes) = squashfs.block_bytes {
        command.args(["-b", &bytes.to_string()]);
    }
    ("sqfstar", command)
}

/// Dates the root directory as the file system. No archive names it, so `sqfstar` dates it now,
/// whatever it is told (4.5.1), and the same tree would not give the same bytes.
fn date_root(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut made_at = [0; 4];
    file.read_exact_at(&mut made_at, MADE_AT)?;
    let number = |at: u64| -> io::Result<u64> {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let (root, table) = (number(ROOT_INODE)?, number(INODE_TABLE)?);
    // A block of inodes begins with its length in two bytes.
    let block = table.saturating_add(root >> 16);
    let inode = block.saturating_add(2 + (root & 0xffff));
    file.write_all_at(&made_at, inode.saturating_add(INODE_TIME))
}

fn is_too_large(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(rustix::process::Signal::XFSZ.as_raw())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn squashfs() -> Squashfs {
        Squashfs {
            compressor: "gzip",
            block_bytes: None,
        }
    }

    fn archive(content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, "hello", content).unwrap();
        builder.into_inner().unwrap()
    }

    fn make(directory: &Path, room: Option<u64>, input: &[u8]) -> Result<File> {
        let limits = Limits {
            room,
            cancel: CancellationToken::new(),
        };
        let mut squash = Squash::begin(&squashfs(), directory, 1_700_000_000, limits)?;
        squash.write_all(input)?;
        squash.finish()
    }

    #[test]
    fn the_same_archive_gives_the_same_file_system() {
        let made = [(); 2].map(|()| {
            let directory = tempfile::tempdir().unwrap();
            make(directory.path(), None, &archive(b"content")).unwrap();
            let path = directory.path().join("squashfs");
            let listed = Command::new("unsquashfs")
                .arg("-cat")
                .arg(&path)
                .arg("hello")
                .output();
            assert_eq!(listed.unwrap().stdout, b"content");
            // Nothing in it tells when it was made, the root directory neither.
            let listed = Command::new("unsquashfs")
                .args(["-UTC", "-lls"])
                .arg(&path)
                .output();
            let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
            let root = listed.lines().find(|line| line.ends_with("squashfs-root"));
            assert!(root.unwrap().contains(" 2023-11-14 22:13 "), "{listed}");
            fs::read(path).unwrap()
        });
        assert!(made[0].starts_with(b"hsqs"));
        assert!(made[0] == made[1]);
    }

    #[test]
    fn what_the_program_says_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let error = make(directory.path(), None, &vec![b'x'; 100_000]).unwrap_err();
        let program = error.message().split(':').next().unwrap();
        assert!(["tar2sqfs", "sqfstar"].contains(&program), "{error}");
    }

    #[test]
    fn a_program_that_complains_all_the_time_is_heard() {
        let limits = || Limits {
            room: None,
            cancel: CancellationToken::new(),
        };
        let begin = |script: &str, limits| {
            let child = spawn(Command::new("sh").args(["-c", script])).unwrap();
            Squash::new("sh", child, PathBuf::from("/dev/null"), limits).unwrap()
        };
        let noisy = "yes | head -c 1000000 >&2; cat > /dev/null; exit 1";
        let mut squash = begin(noisy, limits());
        squash.write_all(&vec![0; 1_000_000]).unwrap();
        assert_eq!(squash.finish().unwrap_err().message(), "sh: y");

        let deaf = limits();
        let cancel = deaf.cancel.clone();
        let mut squash = begin("exec sleep 1000", deaf);
        let written = std::thread::scope(|scope| {
            let written = scope.spawn(|| squash.write_all(&vec![0; 1_000_000]));
            cancel.cancel();
            written.join().unwrap()
        });
        let error = Error::from(written.unwrap_err());
        assert_eq!(error.message(), "Operation was cancelled");
    }

    #[test]
    fn a_project_that_is_full_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut noise = vec![0; 1_000_000];
        getrandom::fill(&mut noise).unwrap();
        let error = make(directory.path(), Some(8192), &archive(&noise)).unwrap_err();
        let text = "reached more than 8192 bytes, exceeding quota of 8192";
        assert_eq!(error.message(), text);
    }
}
