//! Start, stop, and what a start finds.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Client, Lximaged, Options, PATIENCE, Request, against_lxd, beyond_lxd, images, soon,
};

/// Runs the binary with these arguments beside the daemon, to its end.
fn run(daemon: &Lximaged, args: &[&str]) -> Output {
    let command = daemon.command(args);
    let mut limited = Command::new("timeout");
    limited
        .arg("20")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    limited.stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    let out = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&out).into_owned()
}

/// Begins an upload that will never end.
fn begin_upload(daemon: &Lximaged) -> crate::support::http::Connection {
    let mut connection = daemon.connect().unwrap();
    let head = b"POST /1.0/images HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegin";
    connection.write(head).unwrap();
    let place = if against_lxd() { "images" } else { "staging" };
    assert!(
        soon(PATIENCE, || !daemon.names(place).is_empty()),
        "the upload has begun"
    );
    connection
}

#[test]
fn a_second_daemon_on_the_directory_is_refused() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let second = run(&daemon, &[]);
    assert!(!second.status.success());
    assert_ne!(second.status.code(), Some(124), "it should end, not hang");
    assert!(said(&second).contains("already run"), "{}", said(&second));
    daemon.image(&found);
}

#[test]
fn a_directory_is_made_when_it_is_missing() {
    let mut daemon = Options::default().prepare();
    fs::remove_dir(daemon.dir()).unwrap();
    daemon.boot();
}

#[test]
fn a_stale_socket_is_no_obstacle() {
    let mut daemon = Lximaged::start();
    daemon.kill9();
    assert!(daemon.dir().join("unix.socket").exists());
    daemon.boot();
}

#[test]
fn sigterm_ends_an_idle_daemon_at_once() {
    let mut daemon = Lximaged::start();
    let began = Instant::now();
    daemon.stop();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn sigterm_ends_the_daemon_in_time_although_an_upload_goes_on() {
    let mut daemon = Lximaged::start();
    let _upload = begin_upload(&daemon);
    daemon.stop();
    daemon.boot();
    assert!(daemon.images("default").is_empty());
}

#[test]
fn sigint_ends_the_daemon_too() {
    let mut daemon = Lximaged::start();
    daemon.signal(Signal::INT);
    assert_eq!(daemon.ended_within(Duration::from_secs(10)), Some(0));
}

#[test]
fn a_second_signal_cuts_what_still_runs() {
    let mut daemon = Lximaged::start();
    let _upload = begin_upload(&daemon);
    // Another one, because two of the same may arrive as one.
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::INT);
    assert!(
        soon(Duration::from_secs(3), || !daemon.is_running()),
        "it ends at once"
    );
    daemon.kill9();
    daemon.boot();
}

#[test]
fn a_killed_upload_is_swept_at_the_next_start() {
    let mut daemon = Lximaged::start();
    let upload = begin_upload(&daemon);
    daemon.kill9();
    drop(upload);
    daemon.boot();
    assert!(daemon.names("staging").is_empty());
    assert!(daemon.names("images").is_empty());
}

#[test]
fn tokens_end_with_the_daemon() {
    let mut daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon
        .post(&format!("/1.0/images/{found}/secret"), &json!({}))
        .operation();
    daemon.restart();
    // What the daemon does by itself may run already.
    let operations = daemon.get("/1.0/operations?recursion=1");
    let operations = operations.metadata().to_string();
    assert!(!operations.contains(r#""class":"token""#), "{operations}");
}

#[test]
fn a_database_from_a_newer_version_is_refused_untouched() {
    if !beyond_lxd("its database is another") {
        return;
    }
    let mut daemon = Lximaged::start();
    daemon.import(&images::container("a"));
    daemon.stop();
    let database = daemon.dir().join("database/lximaged.db");
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n\
                  c.execute('INSERT INTO _sqlx_migrations SELECT 999999, description, \
                  installed_on, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1')\n\
                  c.execute('PRAGMA user_version = 999999')\n\
                  c.commit()\nc.execute('PRAGMA wal_checkpoint(TRUNCATE)')\n";
    let made = Command::new("python3")
        .args(["-c", script])
        .arg(&database)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let before = (fs::read(&database).unwrap(), daemon.names("images"));
    let output = run(&daemon, &[]);
    assert!(!output.status.success());
    assert_ne!(output.status.code(), Some(124), "it should end, not start");
    assert!(said(&output).contains("newer"), "{}", said(&output));
    assert_eq!(
        (fs::read(&database).unwrap(), daemon.names("images")),
        before
    );
}

#[test]
fn a_few_stray_files_are_no_images() {
    if !beyond_lxd("it sweeps in the background") {
        return;
    }
    let mut daemon = Lximaged::start();
    let kept = daemon.import(&images::container("a"));
    daemon.stop();
    for digit in ["1", "2"] {
        fs::write(daemon.dir().join("images").join(digit.repeat(64)), "stray").unwrap();
    }
    daemon.boot();
    assert_eq!(daemon.names("images"), [kept]);
}

#[test]
fn many_stray_files_are_set_aside_and_never_deleted() {
    if !beyond_lxd("it deletes them") {
        return;
    }
    let mut daemon = Lximaged::start();
    daemon.stop();
    let strays: Vec<String> = (10..42)
        .map(|number| format!("{number}").repeat(32))
        .collect();
    for stray in &strays {
        fs::write(daemon.dir().join("images").join(stray), stray).unwrap();
    }
    daemon.boot();
    assert!(daemon.names("images").is_empty());
    assert_eq!(daemon.names("quarantine"), strays);
    let first = daemon.dir().join("quarantine").join(&strays[0]);
    assert_eq!(fs::read_to_string(first).unwrap(), strays[0]);
}

#[test]
fn waitready_waits_for_an_answer() {
    if !beyond_lxd("its command line is another") {
        return;
    }
    let mut daemon = Options::default().prepare();
    let began = Instant::now();
    let early = run(&daemon, &["waitready", "--timeout", "1"]);
    assert!(!early.status.success(), "nobody is there");
    assert!(began.elapsed() < Duration::from_secs(10));
    daemon.spawn();
    let ready = run(&daemon, &["waitready", "--timeout", "30"]);
    assert!(ready.status.success(), "{}", said(&ready));
    daemon.get("/1.0").metadata();
}

#[test]
fn readiness_is_told_to_systemd() {
    if !beyond_lxd("it does not tell") {
        return;
    }
    let socket = tempfile::tempdir().unwrap();
    let path = socket.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let options = Options::default().env("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut daemon = options.prepare();
    daemon.spawn();
    let mut message = [0; 4096];
    loop {
        let length = notify.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        if text.lines().any(|line| line == "READY=1") {
            break;
        }
    }
    daemon.get("/1.0").metadata();
}

#[test]
fn systemd_can_hold_the_socket() {
    if !beyond_lxd("it is started in another way") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("unix.socket");
    let mut activator = Command::new("systemd-socket-activate");
    activator
        .arg("--listen")
        .arg(&socket)
        .arg(env!("CARGO_BIN_EXE_lximaged"));
    activator
        .arg("--dir")
        .arg(home.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut daemon = activator
        .spawn()
        .expect("systemd-socket-activate is needed");
    assert!(soon(PATIENCE, || socket.exists()));
    Client::Unix(socket.clone()).get("/1.0").metadata();
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
    assert!(socket.exists(), "it is systemd's");
}

#[test]
fn the_day_of_last_use_can_be_set_for_tests() {
    if !beyond_lxd("it has no such command") {
        return;
    }
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let when = "2020-02-03T04:05:06Z";
    let args = [
        "debug",
        "set-last-used",
        "--project",
        "default",
        &found,
        when,
    ];
    let output = run(&daemon, &args);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(daemon.image(&found)["last_used_at"], when);
}

#[test]
fn an_unknown_argument_is_refused() {
    let daemon = Options::default().prepare();
    let output = run(&daemon, &["--no-such-option"]);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("--no-such-option"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_log_level_is_an_option() {
    if !beyond_lxd("its options are others") {
        return;
    }
    let daemon = Options::default().arg("--log-level").arg("debug").start();
    daemon.send(&Request::new("GET", "/1.0/images")).metadata();
    assert!(!daemon.log().is_empty());
}
