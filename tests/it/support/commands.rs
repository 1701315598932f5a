//! The clients that users have: `lxc`, pylxd, curl.

use std::process::{Command, Output, Stdio};

use super::Lximaged;

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Whether it exited with 0.
    pub(crate) success: bool,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            success: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Lximaged {
    /// `lxc` with a configuration of its own, talking to this daemon.
    pub(crate) fn lxc_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["60", "lxc"]).args(args);
        command
            .env("LXD_DIR", self.dir())
            .env("LXD_CONF", self.home().join("lxc"));
        command.current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// Runs a statement on the database of a daemon that does not run.
    #[track_caller]
    pub(crate) fn edit_database(&self, statement: &str) {
        let script =
            "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute(sys.argv[2])";
        let database = self.dir().join("database/lximaged.db");
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(database).arg(statement);
        let said = said(&mut command, "python3");
        assert!(said.success, "{}", said.err);
    }

    /// Runs `lxc`, which must succeed, and gives its output.
    #[track_caller]
    pub(crate) fn lxc(&self, args: &[&str]) -> String {
        let said = self.lxc_said(args);
        assert!(said.success, "lxc {args:?}: {said:?}");
        said.out
    }

    /// Runs `lxc`, which must succeed, with this on its standard input.
    #[track_caller]
    pub(crate) fn lxc_with(&self, args: &[&str], input: &str) -> String {
        let path = self.home().join("input");
        std::fs::write(&path, input).unwrap();
        let mut command = self.lxc_command(args);
        command.stdin(std::fs::File::open(path).unwrap());
        let said = said(&mut command, "lxd-client");
        assert!(said.success, "lxc {args:?}: {said:?}");
        said.out
    }

    /// Runs `lxc`, which must fail, and gives its complaint.
    #[track_caller]
    pub(crate) fn lxc_fails(&self, args: &[&str]) -> String {
        let said = self.lxc_said(args);
        assert!(!said.success, "lxc {args:?} should have failed: {said:?}");
        said.err
    }

    #[track_caller]
    fn lxc_said(&self, args: &[&str]) -> Said {
        said(&mut self.lxc_command(args), "lxd-client")
    }

    /// Runs a Python script that has `client`, pylxd's for this daemon; gives what it printed.
    #[track_caller]
    pub(crate) fn pylxd(&self, script: &str) -> String {
        let python = std::env::var("LXIMAGED_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = format!("import pylxd\nclient = pylxd.Client()\n{script}");
        let mut command = Command::new(python);
        command.args(["-W", "ignore", "-c", &script]);
        command.env("LXD_DIR", self.dir()).current_dir(self.home());
        // They would take the place of the server certificate that a script names.
        command
            .env_remove("REQUESTS_CA_BUNDLE")
            .env_remove("CURL_CA_BUNDLE");
        let said = said(&mut command, "python3 with pylxd");
        assert!(said.success, "{}", said.err);
        said.out
    }

    /// Runs `curl` on the Unix socket and gives its output.
    #[track_caller]
    pub(crate) fn curl(&self, args: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-s", "--max-time", "60", "--unix-socket"]);
        command
            .arg(self.dir().join("unix.socket"))
            .args(args)
            .current_dir(self.home());
        let said = said(&mut command, "curl");
        assert!(said.success, "curl {args:?}: {said:?}");
        said.out
    }
}

/// Runs a command; `package` is where it comes from.
#[track_caller]
pub(crate) fn said(command: &mut Command, package: &str) -> Said {
    let output = command.output();
    output
        .unwrap_or_else(|error| panic!("this test needs {package}: {error}"))
        .into()
}
