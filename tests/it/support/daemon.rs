//! A daemon of its own for each test.

use std::{
    fs::{self, File, Permissions},
    net::SocketAddr,
    ops::Deref,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use super::{
    Client, PATIENCE, Request, against_lxd, containers, invariants, soon, stream::Identity,
};

/// How a daemon is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    args: Vec<String>,
    env: Vec<(String, String)>,
    umask: Option<u32>,
    tmpfs_mib: Option<u32>,
    host: Option<&'static str>,
    expected_errors: Vec<String>,
    authority: Option<String>,
}

impl Options {
    /// Adds an argument to the command line.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has it trust this authority, and no other.
    pub(crate) fn authority(mut self, pem: &str) -> Self {
        self.authority = Some(pem.to_owned());
        self
    }

    /// Starts it under this umask.
    pub(crate) fn umask(mut self, umask: u32) -> Self {
        self.umask = Some(umask);
        self
    }

    /// Gives it a file system of this size for its directory. Needs root.
    pub(crate) fn tmpfs_mib(mut self, mib: u32) -> Self {
        self.tmpfs_mib = Some(mib);
        self
    }

    /// Has this script change what it sees of the host, in a mount namespace of its own. Needs
    /// root.
    pub(crate) fn host(mut self, script: &'static str) -> Self {
        self.host = Some(script);
        self
    }

    /// Error lines with this text are part of the test.
    pub(crate) fn expect_error(mut self, text: &str) -> Self {
        self.expected_errors.push(text.to_owned());
        self
    }

    /// Starts the daemon and waits until it answers.
    #[track_caller]
    pub(crate) fn start(self) -> Lximaged {
        let mut daemon = Lximaged::prepare(self);
        daemon.boot();
        daemon
    }

    /// Makes the directory, and leaves the start to the test.
    pub(crate) fn prepare(self) -> Lximaged {
        Lximaged::prepare(self)
    }
}

/// A running daemon on a temporary directory; also an administrator at its Unix socket.
///
/// Dropped, it fails the test when the daemon died, logged an unexpected error, left something
/// in staging, has a row without its files or a file without its row, or does not end in time.
pub(crate) struct Lximaged {
    admin: Client,
    options: Options,
    child: Option<Child>,
    mount: Option<Mount>,
    home: TempDir,
}

impl Deref for Lximaged {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.admin
    }
}

impl Lximaged {
    /// Starts a daemon as operators do.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Options::default().start()
    }

    fn prepare(options: Options) -> Self {
        let home = tempfile::Builder::new().prefix("lxi").tempdir().unwrap();
        // Roots of containers, who are nobody on the host, pass through it.
        fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
        let dir = home.path().join("d");
        fs::create_dir(&dir).unwrap();
        if let Some(pem) = &options.authority {
            fs::write(home.path().join("authority.pem"), pem).unwrap();
        }
        let mount = options.tmpfs_mib.map(|mib| Mount::tmpfs(&dir, mib));
        let admin = Client::Unix(dir.join("unix.socket"));
        Self {
            admin,
            options,
            child: None,
            mount,
            home,
        }
    }

    /// Its directory, as given by `--dir`.
    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("d")
    }

    /// A directory that goes away with it, for files of the test.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The command line of the daemon, with `args` at its end.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let umask = self.options.umask.map(|umask| format!("umask {umask:o}"));
        let host = self.options.host.map(str::to_owned);
        let mut command = Command::new("env");
        if host.is_some() {
            command.args(["unshare", "-m"]);
        }
        let steps: Vec<_> = umask.into_iter().chain(host).collect();
        if !steps.is_empty() {
            let script = format!("{} && exec \"$@\"", steps.join(" && "));
            command.args(["sh", "-c", &script, "sh"]);
        }
        if against_lxd() {
            // Its mounts go when it goes.
            command
                .args(["unshare", "-m", "lxd", "--group", "root"])
                .env("LXD_DIR", self.dir());
        } else {
            command
                .arg(env!("CARGO_BIN_EXE_lximaged"))
                .arg("--dir")
                .arg(self.dir());
        }
        command.args(args).stdin(Stdio::null());
        if self.options.authority.is_some() {
            command.env("SSL_CERT_FILE", self.home().join("authority.pem"));
        }
        command.envs(self.options.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Sets a variable of its environment from its next start on.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.options.env.retain(|(known, _)| known != name);
        self.options.env.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it, without waiting for anything.
    pub(crate) fn spawn(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let args: Vec<&str> = self.options.args.iter().map(String::as_str).collect();
        let mut command = self.command(&args);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub(crate) fn boot(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Waits until it answers at its socket.
    #[track_caller]
    pub(crate) fn wait_ready(&mut self) {
        let ready = soon(PATIENCE, || {
            assert!(
                self.is_running(),
                "the daemon ended while starting:\n{}",
                self.log()
            );
            let answer = self.admin.try_send(&Request::new("GET", "/1.0"));
            answer.is_ok_and(|answer| answer.json["metadata"]["auth"] == "trusted")
        });
        assert!(ready, "the daemon does not answer:\n{}", self.log());
    }

    /// Whether its process is alive.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon was started").id()
    }

    /// The most memory it has had at once since it was asked last, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        // From here on the kernel counts anew.
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
        let digits = line.unwrap().trim_matches(|c: char| !c.is_ascii_digit());
        digits.parse().unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end: the exit code, or none when it was killed or is still there.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> Option<i32> {
        if !soon(patience, || !self.is_running()) {
            return None;
        }
        self.child.take()?.wait().ok()?.code()
    }

    /// Stops it as systemd does, which must work within ten seconds.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let code = self.ended_within(Duration::from_secs(10));
        assert_eq!(
            code,
            Some(0),
            "the daemon does not end well on SIGTERM:\n{}",
            self.log()
        );
    }

    /// Kills it, as a crash or the machine's end would.
    pub(crate) fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Reaps a daemon that something else has killed by SIGKILL, and says whether that was so.
    pub(crate) fn was_killed(&mut self) -> bool {
        let Some(child) = self.child.as_mut() else {
            return false;
        };
        let ended = child.try_wait().unwrap();
        let killed = ended.is_some_and(|status| status.signal() == Some(9));
        if killed {
            self.child = None;
        }
        killed
    }

    /// Stops it and starts it again on the same directory.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.boot();
    }

    /// Listens for HTTPS on an address that no other test has, and gives it.
    #[track_caller]
    pub(crate) fn listen(&self) -> SocketAddr {
        let address = own_address(8443);
        let config = json!({"config": {"core.https_address": address.to_string()}});
        self.patch("/1.0", &config).is_done();
        address
    }

    /// Somebody without a certificate at an address from [`Self::listen`].
    pub(crate) fn anonymous(address: SocketAddr) -> Client {
        Client::Tls(address, None)
    }

    /// Somebody with a certificate that the daemon does not know.
    pub(crate) fn stranger(address: SocketAddr) -> Client {
        Client::Tls(address, Some(Arc::new(Identity::new())))
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// The names in a directory below its own, sorted; none when it does not exist.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.dir().join(directory)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Asserts what must hold whenever nothing is under way.
    #[track_caller]
    pub(crate) fn check(&self) {
        let broken = invariants::broken(self);
        assert!(broken.is_empty(), "{broken:#?}\n{}", self.log());
    }

    fn end(&mut self) -> Vec<String> {
        if self.child.is_none() {
            return Vec::new();
        }
        if !self.is_running() {
            return vec!["the daemon ended by itself".to_owned()];
        }
        let mut broken = invariants::broken(self);
        self.signal(Signal::TERM);
        let code = self.ended_within(Duration::from_secs(10));
        if code != Some(0) {
            broken.push(format!("on SIGTERM the daemon ended with {code:?}"));
        }
        broken.extend(invariants::unexpected_errors(
            &self.log(),
            &self.options.expected_errors,
        ));
        broken
    }
}

impl Drop for Lximaged {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}", self.log());
            self.kill9();
            containers::end_all(self);
            return;
        }
        let broken = self.end();
        self.kill9();
        containers::end_all(self);
        drop(self.mount.take());
        assert!(
            broken.is_empty(),
            "after the test: {broken:#?}\n{}",
            self.log()
        );
    }
}

/// A loopback address that no other test of this machine uses: all of 127.0.0.0/8 is ours.
pub(crate) fn own_address(port: u16) -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = u8::try_from(number).expect("fewer than 256 listeners in one run");
    SocketAddr::from(([127, high | 1, low, number], port))
}

/// A mounted file system, unmounted on drop.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(path: &Path, mib: u32) -> Self {
        super::needs_root();
        let size = format!("size={mib}m,mode=711");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path);
        assert!(run(&mut mount), "cannot mount a tmpfs");
        Self(path.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        assert!(
            run(Command::new("umount").arg("-l").arg(&self.0)),
            "cannot unmount"
        );
    }
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
