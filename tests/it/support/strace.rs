//! strace at a running daemon: what it does to files, and death at a chosen moment.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::Lximaged;

/// The calls that change what is on disk.
const CHANGES: &str = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,\
                       mkdir,mkdirat,ftruncate,pwrite64,openat";

/// A strace at work.
pub(crate) struct Strace {
    child: Child,
    log: PathBuf,
}

/// The moment before one call: the `number`th of this name in some thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    call: String,
    number: usize,
    /// What was called then, for the report.
    line: String,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {}: {}", self.call, self.number, self.line)
    }
}

impl Strace {
    /// Records every call that names a file.
    pub(crate) fn of_file_names(daemon: &Lximaged) -> Self {
        Self::attach(daemon, &["-s", "4096", "-e", "trace=%file"])
    }

    /// Records the calls that change what is on disk.
    pub(crate) fn of_changes(daemon: &Lximaged) -> Self {
        Self::attach(daemon, &["-y", "-e", &format!("trace={CHANGES}")])
    }

    /// Kills the daemon at this point.
    pub(crate) fn death_at(daemon: &Lximaged, point: &Point) -> Self {
        let Point { call, number, .. } = point;
        let inject = format!("inject={call}:signal=KILL:when={number}");
        Self::attach(daemon, &["-e", &format!("trace={call}"), "-e", &inject])
    }

    /// Makes the `number`th of these calls in each thread fail with EIO.
    pub(crate) fn failing(daemon: &Lximaged, calls: &str, number: &str) -> Self {
        let inject = format!("inject={calls}:error=EIO:when={number}");
        Self::attach(daemon, &["-e", &format!("trace={calls}"), "-e", &inject])
    }

    /// Makes reads of a file below the daemon's directory fail with EIO, from the `number`th on.
    pub(crate) fn unreadable(daemon: &Lximaged, file: &str, number: usize) -> Self {
        let calls = "read,pread64,readv,preadv,preadv2";
        let inject = format!("inject={calls}:error=EIO:when={number}+");
        let path = daemon.dir().join(file);
        let trace = format!("trace={calls}");
        Self::attach(
            daemon,
            &["-P", &path.to_string_lossy(), "-e", &trace, "-e", &inject],
        )
    }

    /// Returns once every thread of the daemon is watched.
    #[track_caller]
    fn attach(daemon: &Lximaged, args: &[&str]) -> Self {
        let log = daemon.home().join("strace");
        let pid = daemon.pid().to_string();
        let mut child = Command::new("strace")
            .args(["-f", "-p", &pid])
            .args(args)
            .arg("-o")
            .arg(&log)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs strace: {error}"));
        let mut said = String::new();
        let mut messages = BufReader::new(child.stderr.as_mut().unwrap());
        while !said.contains("attached") {
            let read = messages.read_line(&mut said).unwrap();
            assert_ne!(read, 0, "strace cannot attach: {said}");
        }
        Self { child, log }
    }

    /// Stops watching and gives what was seen.
    pub(crate) fn detach(mut self) -> String {
        self.end();
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
            kill_process(pid, Signal::TERM).unwrap();
        }
        self.child.wait().unwrap();
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.end();
    }
}

/// The points of a record that concern files below `dir`, each once: strace counts for each thread
/// of its own, and cannot tell the third `fsync` of one from that of another.
pub(crate) fn points(record: &str, dir: &str) -> Vec<Point> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut points: Vec<Point> = Vec::new();
    for line in record.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        if !call.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            continue;
        }
        let number = counts
            .entry((thread.to_owned(), call.to_owned()))
            .or_default();
        *number += 1;
        let known = |point: &Point| point.call == call && point.number == *number;
        let changes = call != "openat" || arguments.contains("O_CREAT");
        if arguments.contains(dir) && changes && !points.iter().any(known) {
            let line = format!("{call}({arguments}").replace(dir, "");
            points.push(Point {
                call: call.to_owned(),
                number: *number,
                line,
            });
        }
    }
    points
}
