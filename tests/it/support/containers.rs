//! Instances that run: an image that can be started, clients of their websockets, and the end of
//! whatever a test leaves running.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client::IntoClientRequest};

use super::{Client, Lximaged, PATIENCE, images, soon, stream::Stream};

/// The programs in the image's `/bin`; all are busybox.
const PROGRAMS: &[&str] = &[
    "cat", "dd", "echo", "env", "head", "id", "init", "kill", "ls", "mount", "ps", "pwd", "reboot",
    "poweroff", "sh", "sleep", "stty", "touch", "true", "tty", "wc", "yes",
];

/// A unified image with a static busybox, whose init starts at once and stops when it is asked to.
pub(crate) fn busybox(marker: &str) -> Vec<u8> {
    let program = fs::read("/bin/busybox").expect("this test needs busybox-static");
    let mut image = tar::Builder::new(Vec::new());
    file(
        &mut image,
        "metadata.yaml",
        0o644,
        images::metadata(marker).as_bytes(),
    );
    for name in [
        "", "bin", "dev", "etc", "mnt", "proc", "root", "sbin", "sys", "tmp",
    ] {
        let mode = if name == "root" { 0o700 } else { 0o755 };
        let mut header = header(tar::EntryType::Directory, mode, 0);
        image
            .append_data(&mut header, format!("rootfs/{name}/"), [].as_slice())
            .unwrap();
    }
    file(&mut image, "rootfs/bin/busybox", 0o755, &program);
    for name in PROGRAMS {
        link(&mut image, &format!("rootfs/bin/{name}"));
    }
    link(&mut image, "rootfs/sbin/init");
    // Nothing to do but to be there: no terminals, no devices.
    file(
        &mut image,
        "rootfs/etc/inittab",
        0o644,
        b"::sysinit:/bin/echo booted\n",
    );
    file(
        &mut image,
        "rootfs/etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\n",
    );
    image.into_inner().unwrap()
}

fn header(kind: tar::EntryType, mode: u32, size_bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size_bytes);
    header.set_mtime(1_577_836_800);
    header
}

fn file(image: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) {
    let mut header = header(tar::EntryType::Regular, mode, content.len() as u64);
    image.append_data(&mut header, path, content).unwrap();
}

fn link(image: &mut tar::Builder<Vec<u8>>, path: &str) {
    let mut header = header(tar::EntryType::Symlink, 0o777, 0);
    image
        .append_link(&mut header, path, "/bin/busybox")
        .unwrap();
}

impl Client {
    /// Imports the image, makes an instance of it, and starts it.
    #[track_caller]
    pub(crate) fn launch(&self, name: &str) {
        let found = self.import(&busybox("bb"));
        self.init(name, &found);
        self.start(name);
    }

    /// Asks for a change of an instance's state.
    #[track_caller]
    pub(crate) fn act(&self, name: &str, action: &str) -> Value {
        let body = json!({"action": action, "timeout": 30});
        self.finished(&self.put(&format!("/1.0/instances/{name}/state"), &body))
    }

    /// Starts an instance, which must succeed.
    #[track_caller]
    pub(crate) fn start(&self, name: &str) {
        let operation = self.act(name, "start");
        assert_eq!(operation["status"], "Success", "{operation}");
    }

    /// Ends an instance at once, which must succeed.
    #[track_caller]
    pub(crate) fn kill(&self, name: &str) {
        let body = json!({"action": "stop", "force": true});
        self.succeeds(&self.put(&format!("/1.0/instances/{name}/state"), &body));
    }

    /// `Running`, `Stopped`, …
    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> String {
        self.instance(name)["status"].as_str().unwrap().to_owned()
    }

    /// Runs a command whose output is recorded: its exit code, and what it wrote.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, command: &[&str]) -> (i64, String) {
        let body = json!({"command": command, "record-output": true});
        let operation = self.finished(&self.post(&format!("/1.0/instances/{name}/exec"), &body));
        let told = &operation["metadata"];
        let code = told["return"]
            .as_i64()
            .unwrap_or_else(|| panic!("{operation}"));
        let output = self.get(told["output"]["1"].as_str().unwrap()).text();
        (code, output)
    }

    /// Begins a command with websockets.
    #[track_caller]
    pub(crate) fn exec(&self, name: &str, request: &Value) -> Session {
        let mut body = json!({"wait-for-websocket": true});
        let fields = request.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let answer = self.post(&format!("/1.0/instances/{name}/exec"), &body);
        Session::open(self, answer.operation())
    }
}

/// Every websocket of one operation.
pub(crate) struct Session {
    /// The operation's path.
    pub(crate) operation: String,
    sockets: BTreeMap<String, WebSocket<Box<dyn Stream>>>,
}

impl Session {
    /// Connects to every socket of an operation.
    #[track_caller]
    pub(crate) fn open(client: &Client, operation: &Value) -> Self {
        Self::open_but(client, operation, "")
    }

    /// Connects to every socket of an operation but one.
    #[track_caller]
    pub(crate) fn open_but(client: &Client, operation: &Value, left_out: &str) -> Self {
        let path = format!("/1.0/operations/{}", operation["id"].as_str().unwrap());
        let secrets = operation["metadata"]["fds"].as_object().unwrap();
        let wanted = secrets.iter().filter(|(name, _)| *name != left_out);
        let sockets = wanted.map(|(name, secret)| {
            let socket = connect(client, &path, secret.as_str().unwrap());
            let refused = |error| panic!("{name}: {error}");
            (name.clone(), socket.unwrap_or_else(refused))
        });
        Self {
            sockets: sockets.collect(),
            operation: path,
        }
    }

    /// Sends data to one.
    #[track_caller]
    pub(crate) fn send(&mut self, name: &str, bytes: &[u8]) {
        let message = Message::Binary(bytes.to_vec().into());
        self.socket(name).send(message).unwrap();
    }

    /// Says that there is no more data for one.
    #[track_caller]
    pub(crate) fn end(&mut self, name: &str) {
        self.socket(name)
            .send(Message::Text(String::new().into()))
            .unwrap();
    }

    /// Sends a command over the control socket.
    #[track_caller]
    pub(crate) fn control(&mut self, command: &Value) {
        let message = Message::Text(command.to_string().into());
        self.socket("control").send(message).unwrap();
    }

    /// Everything that comes from one, up to the sign for its end.
    #[track_caller]
    pub(crate) fn read(&mut self, name: &str) -> Vec<u8> {
        let (mut all, begun) = (Vec::new(), Instant::now());
        loop {
            assert!(begun.elapsed() < PATIENCE, "{name}: no end after {all:?}");
            match self.socket(name).read() {
                Ok(Message::Binary(bytes)) => all.extend_from_slice(&bytes),
                Ok(Message::Text(text)) => {
                    assert_eq!(text.as_str(), "", "only data, and an empty text at its end");
                    return all;
                }
                Ok(_) => {}
                Err(error) => panic!("{name}: {error} after {all:?}"),
            }
        }
    }

    /// What comes from one until this text has come.
    #[track_caller]
    pub(crate) fn read_until(&mut self, name: &str, text: &str) -> String {
        let (mut all, begun) = (String::new(), Instant::now());
        while !all.contains(text) {
            assert!(begun.elapsed() < PATIENCE, "{name}: only {all:?}");
            match self.socket(name).read() {
                Ok(Message::Binary(bytes)) => all += &String::from_utf8_lossy(&bytes),
                Ok(Message::Ping(_)) => {}
                other => panic!("{name}: {other:?} after {all:?}"),
            }
        }
        all
    }

    /// Goes away without a word.
    pub(crate) fn vanish(self) -> String {
        self.operation
    }

    #[track_caller]
    fn socket(&mut self, name: &str) -> &mut WebSocket<Box<dyn Stream>> {
        self.sockets
            .get_mut(name)
            .unwrap_or_else(|| panic!("no socket {name}"))
    }
}

/// Connects to an operation's websocket.
pub(crate) fn connect(
    client: &Client,
    operation: &str,
    secret: &str,
) -> Result<WebSocket<Box<dyn Stream>>, String> {
    let request = format!("ws://unix.socket{operation}/websocket?secret={secret}");
    let request = request.into_client_request().unwrap();
    let connected = tungstenite::client(request, client.stream().unwrap());
    match connected {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            let body = answer.body().clone().unwrap_or_default();
            Err(String::from_utf8_lossy(&body).into_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A program that is found in the place of another one.
pub(crate) struct StandIn(tempfile::TempDir);

impl StandIn {
    /// A shell script of this name.
    pub(crate) fn new(name: &str, script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self(directory)
    }

    /// The `PATH` on which it is.
    pub(crate) fn path(&self) -> String {
        let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        format!("{}:{usual}", self.0.path().display())
    }

    /// A file beside it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Lximaged {
    /// The containers that run on this daemon's directory, whether or not it runs itself.
    pub(crate) fn containers(&self) -> Vec<String> {
        let monitor = format!("[lxc monitor] {} ", self.dir().join("lxc").display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let names = lines.filter_map(|line| {
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\0')
                .to_owned();
            line.strip_prefix(&monitor).map(str::to_owned)
        });
        names.collect()
    }
}

/// Ends what runs on this directory, and unmounts what is mounted below it.
pub(crate) fn end_all(daemon: &Lximaged) {
    let lxcpath = daemon.dir().join("lxc");
    if lxcpath.exists() {
        let ended = soon(Duration::from_secs(20), || {
            for name in daemon.containers() {
                stop(&lxcpath, &name);
            }
            daemon.containers().is_empty()
        });
        if !ended {
            eprintln!("still running: {:?}", daemon.containers());
        }
    }
    unmount_below(daemon.home());
}

fn stop(lxcpath: &Path, name: &str) {
    let mut command = Command::new("timeout");
    command
        .args(["10", "lxc-stop", "-k", "-P"])
        .arg(lxcpath)
        .args(["-n", name]);
    drop(command.stdin(Stdio::null()).stderr(Stdio::null()).status());
}

fn unmount_below(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below = mounted.filter(|path| Path::new(path).starts_with(directory.join("d")));
    let mut below: Vec<_> = below
        .filter(|path| Path::new(path) != directory.join("d"))
        .collect();
    below.sort_unstable();
    for path in below.into_iter().rev() {
        drop(Command::new("umount").arg("-l").arg(path).status());
    }
}
