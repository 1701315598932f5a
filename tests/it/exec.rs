//! Commands in instances.

use serde_json::{Value, json};

use crate::support::{
    Client, Events, Lximaged, PATIENCE, beyond_lxd,
    containers::{Session, connect},
    soon,
};

fn with_running() -> Lximaged {
    let daemon = Lximaged::start();
    daemon.launch("c");
    daemon
}

/// Waits for an operation to end.
#[track_caller]
fn ended(daemon: &Client, path: &str) -> Value {
    daemon
        .get(&format!("{path}/wait?timeout=60"))
        .metadata()
        .clone()
}

/// How a session's command ended.
#[track_caller]
fn code(daemon: &Client, session: &Session) -> Value {
    ended(daemon, &session.operation)["metadata"]["return"].clone()
}

/// Whether a process with these arguments runs inside.
fn runs(daemon: &Lximaged, arguments: &str) -> bool {
    daemon
        .run("c", &["ps"])
        .1
        .lines()
        .any(|line| line.trim_end().ends_with(arguments))
}

#[test]
fn input_output_and_errors_are_kept_apart() {
    let daemon = with_running();
    let script = "cat; echo oops >&2; exit 7";
    let mut session = daemon.exec("c", &json!({"command": ["sh", "-c", script]}));
    session.send("0", b"hello ");
    session.send("0", b"world\n");
    session.end("0");
    assert_eq!(session.read("1"), b"hello world\n");
    assert_eq!(session.read("2"), b"oops\n");
    assert_eq!(code(&daemon, &session), 7);
}

#[test]
fn the_operation_tells_what_runs() {
    let daemon = with_running();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    let body = json!({"command": ["cat"], "wait-for-websocket": true,
        "environment": {"A": "b"}});
    let operation = daemon
        .post("/1.0/instances/c/exec", &body)
        .operation()
        .clone();
    assert_eq!(operation["class"], "websocket");
    assert_eq!(operation["description"], "Executing command");
    assert_eq!(
        operation["resources"]["instances"],
        json!(["/1.0/instances/c"])
    );
    let told = &operation["metadata"];
    assert_eq!(
        (&told["command"], &told["interactive"]),
        (&json!(["cat"]), &json!(false))
    );
    let environment = json!({"A": "b", "HOME": "/root", "LANG": "C.UTF-8", "USER": "root",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
    assert_eq!(told["environment"], environment);
    let names: Vec<_> = told["fds"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["0", "1", "2", "control"]);
    let event = events.action("instance-exec");
    assert_eq!(event["metadata"]["context"], json!({"command": ["cat"]}));
    let mut session = Session::open(&daemon, &operation);
    session.end("0");
    assert_eq!(code(&daemon, &session), 0);
}

#[test]
fn exit_codes_are_those_of_the_shell() {
    let daemon = with_running();
    let code = |script: &str| daemon.run("c", &["sh", "-c", script]).0;
    assert_eq!(code("exit 0"), 0);
    assert_eq!(code("exit 3"), 3);
    assert_eq!(code("kill -9 $$"), 137);
    assert_eq!(code("kill -TERM $$"), 143);
    for command in [["/no/such/program"], ["/etc/passwd"]] {
        let body = json!({"command": command});
        let failed = daemon.finished(&daemon.post("/1.0/instances/c/exec", &body));
        assert_eq!(
            failed["err"]
                .as_str()
                .map(|text| text.starts_with("Command not")),
            Some(true)
        );
        assert!(
            failed["metadata"]["return"].as_i64().unwrap() >= 126,
            "{failed}"
        );
    }
    let nothing = daemon.finished(&daemon.post("/1.0/instances/c/exec", &json!({"command": []})));
    assert_eq!(
        nothing["err"],
        "Failed to retrieve PID of executing child process"
    );
}

#[test]
fn liblxc_says_nothing_of_its_own() {
    let daemon = with_running();
    let mut session = daemon.exec("c", &json!({"command": ["/no/such/program"]}));
    assert_eq!(session.read("1"), b"");
    assert_eq!(session.read("2"), b"");
    assert_eq!(code(&daemon, &session), 127);
}

#[test]
fn a_terminal_has_a_size_and_follows_it() {
    let daemon = with_running();
    let script = "tty; stty size; trap 'stty size; exit 4' WINCH; echo ready; \
                  while :; do sleep 0.05; done";
    let request = json!({"command": ["sh", "-c", script], "interactive": true,
        "width": 81, "height": 25});
    let mut session = daemon.exec("c", &request);
    let said = session.read_until("0", "ready");
    assert!(
        said.contains("/dev/pts/") && said.contains("25 81\r\n"),
        "{said:?}"
    );
    let size = json!({"width": "100", "height": "30"});
    session.control(&json!({"command": "window-resize", "args": size}));
    let said = String::from_utf8(session.read("0")).unwrap();
    assert_eq!(said.trim(), "30 100");
    assert_eq!(code(&daemon, &session), 4);
}

#[test]
fn what_is_typed_reaches_the_terminal() {
    let daemon = with_running();
    let request = json!({"command": ["sh"], "interactive": true, "width": 80, "height": 24});
    let mut session = daemon.exec("c", &request);
    session.send("0", b"echo $((6*7))\n");
    session.read_until("0", "42\r\n");
    // Control-C ends what runs in the foreground, and the shell stays.
    session.send("0", b"sleep 1000\n");
    assert!(soon(PATIENCE, || runs(&daemon, "sleep 1000")));
    session.send("0", b"\x03");
    // What is typed before the signal has done its work goes with it.
    assert!(soon(PATIENCE, || !runs(&daemon, "sleep 1000")));
    session.send("0", b"exit 5\n");
    session.read("0");
    assert_eq!(code(&daemon, &session), 5);
}

#[test]
fn what_is_typed_at_once_is_kept_for_who_reads_it() {
    let daemon = with_running();
    let script = "read -r line; echo \"<$line>\"";
    for round in 0..5 {
        let request = json!({"command": ["sh", "-c", script], "interactive": true});
        let mut session = daemon.exec("c", &request);
        session.send("0", format!("round {round}\n").as_bytes());
        session.read_until("0", &format!("<round {round}>"));
        session.read("0");
        assert_eq!(code(&daemon, &session), 0);
    }
}

#[test]
fn signals_reach_the_command() {
    let daemon = with_running();
    let script = "trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    let mut session = daemon.exec("c", &json!({"command": ["sh", "-c", script]}));
    session.read_until("1", "ready");
    session.control(&json!({"command": "signal", "signal": 10}));
    assert_eq!(session.read("1"), b"got it\n");
    assert_eq!(code(&daemon, &session), 9);
}

#[test]
fn a_command_ends_with_its_client() {
    let daemon = with_running();
    for (number, interactive) in [("1001", false), ("1002", true)] {
        let request = json!({"command": ["sleep", number], "interactive": interactive});
        let session = daemon.exec("c", &request);
        let arguments = format!("sleep {number}");
        assert!(soon(PATIENCE, || runs(&daemon, &arguments)));
        let operation = session.vanish();
        assert_eq!(ended(&daemon, &operation)["metadata"]["return"], 137);
        assert!(!runs(&daemon, &arguments));
    }
}

/// Begins a command whose client does not connect the control socket.
fn uncontrolled(daemon: &Lximaged, script: &str, interactive: bool) -> Session {
    let body = json!({"command": ["sh", "-c", script], "wait-for-websocket": true,
        "interactive": interactive});
    let operation = daemon
        .post("/1.0/instances/c/exec", &body)
        .operation()
        .clone();
    Session::open_but(daemon, &operation, "control")
}

#[test]
fn nobody_has_to_control_a_command() {
    let daemon = with_running();
    let mut session = uncontrolled(&daemon, "cat; exec >&-; sleep 1; exit 3", false);
    session.send("0", b"hello");
    session.end("0");
    assert_eq!(session.read("1"), b"hello");
    assert_eq!(code(&daemon, &session), 3);
    let mut session = uncontrolled(&daemon, "echo hello; exit 4", true);
    assert_eq!(session.read("0"), b"hello\r\n");
    assert_eq!(code(&daemon, &session), 4);
}

#[test]
fn a_command_that_nobody_controls_ends_with_its_client() {
    if !beyond_lxd("it goes on") {
        return;
    }
    let daemon = with_running();
    for interactive in [false, true] {
        let script = "echo ready; exec sleep 1004";
        let mut session = uncontrolled(&daemon, script, interactive);
        let out = if interactive { "0" } else { "1" };
        session.read_until(out, "ready");
        let operation = session.vanish();
        assert_eq!(ended(&daemon, &operation)["metadata"]["return"], 137);
        assert!(!runs(&daemon, "sleep 1004"));
    }
}

#[test]
fn what_a_command_leaves_in_the_background_holds_nobody_up() {
    let daemon = with_running();
    let script = "sleep 1003 & echo done";
    let mut session = daemon.exec("c", &json!({"command": ["sh", "-c", script]}));
    assert_eq!(session.read("1"), b"done\n");
    assert_eq!(code(&daemon, &session), 0);
}

#[test]
fn much_output_waits_for_a_slow_client() {
    let daemon = with_running();
    let script = "head -c 20000000 /dev/zero; echo end >&2";
    let mut session = daemon.exec("c", &json!({"command": ["sh", "-c", script]}));
    let before = daemon.peak_memory_kib();
    assert_eq!(session.read("1").len(), 20_000_000);
    assert_eq!(session.read("2"), b"end\n");
    assert_eq!(code(&daemon, &session), 0);
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB more");
}

#[test]
fn input_that_nobody_reads_is_no_obstacle() {
    let daemon = with_running();
    let mut session = daemon.exec("c", &json!({"command": ["true"]}));
    for _ in 0..16 {
        session.send("0", &vec![0; 64 * 1024]);
    }
    session.end("0");
    session.read("1");
    assert_eq!(code(&daemon, &session), 0);
}

#[test]
fn a_secret_opens_one_socket_once() {
    if !beyond_lxd("it takes a second client") {
        return;
    }
    let daemon = with_running();
    let body = json!({"command": ["cat"], "wait-for-websocket": true});
    let operation = daemon
        .post("/1.0/instances/c/exec", &body)
        .operation()
        .clone();
    let path = format!("/1.0/operations/{}", operation["id"].as_str().unwrap());
    let refused = |secret: &str| connect(&daemon, &path, secret).err().unwrap_or_default();
    assert!(refused("wrong").contains("permission denied"));
    assert!(refused("").contains("missing secret"));
    let secret = operation["metadata"]["fds"]["0"].as_str().unwrap();
    let _first = connect(&daemon, &path, secret).unwrap();
    assert!(refused(secret).contains("permission denied"));
    // The others do not come.
    let failed = ended(&daemon, &path);
    assert_eq!(failed["err"], "Timed out waiting for websockets to connect");
}

#[test]
fn only_operations_with_websockets_have_some() {
    let daemon = with_running();
    let body = json!({"command": ["sleep", "1"]});
    let operation = daemon
        .post("/1.0/instances/c/exec", &body)
        .operation()
        .clone();
    let path = format!("/1.0/operations/{}", operation["id"].as_str().unwrap());
    let refused = connect(&daemon, &path, "x").err().unwrap();
    assert!(
        refused.contains("Only websocket operations can be connected"),
        "{refused}"
    );
    ended(&daemon, &path);
}

#[test]
fn lxc_exec_works_as_users_know_it() {
    let daemon = with_running();
    assert_eq!(daemon.lxc(&["exec", "c", "--", "echo", "hi"]), "hi\n");
    assert_eq!(
        daemon.lxc(&["exec", "c", "--env", "K=v", "--", "sh", "-c", "echo $K"]),
        "v\n"
    );
    assert_eq!(daemon.lxc(&["exec", "c", "--", "pwd"]), "/root\n");
    assert_eq!(
        daemon.lxc(&["exec", "c", "--cwd", "/tmp", "--", "pwd"]),
        "/tmp\n"
    );
    // A directory that only the instance has, and one that nobody has.
    daemon.lxc(&["exec", "c", "--", "touch", "/mnt/x"]);
    daemon.run("c", &["sh", "-c", "/bin/busybox mkdir -p '/only here'"]);
    assert_eq!(
        daemon.lxc(&["exec", "c", "--cwd", "/only here", "--", "pwd"]),
        "/only here\n"
    );
    assert_eq!(
        daemon.lxc(&["exec", "c", "--cwd", "/no/such", "--", "pwd"]),
        "/\n"
    );
    let said = daemon.lxc(&["exec", "c", "--user", "1000", "--group", "1001", "--", "id"]);
    assert_eq!(said, "uid=1000 gid=1001\n");
    let mut failing = daemon.lxc_command(&["exec", "c", "--", "sh", "-c", "exit 42"]);
    assert_eq!(failing.status().unwrap().code(), Some(42));
}

#[test]
fn nothing_is_read_by_a_shell() {
    let daemon = with_running();
    let hostile = "$(touch /tmp/owned); `touch /tmp/owned`; 'x' \"y\" | z\nnext";
    assert_eq!(
        daemon.run("c", &["echo", hostile]).1,
        format!("{hostile}\n")
    );
    let request = json!({"command": ["/bin/echo", hostile], "cwd": "/mnt/$(touch owned)",
        "environment": {"X": hostile}});
    let mut session = daemon.exec("c", &request);
    assert_eq!(session.read("1"), format!("{hostile}\n").into_bytes());
    assert_eq!(
        daemon.run("c", &["ls", "/tmp", "/mnt"]).1,
        "/mnt:\n\n/tmp:\n"
    );
}

#[test]
fn nothing_of_the_daemon_is_open_inside() {
    let daemon = with_running();
    let open = daemon.run("c", &["ls", "/proc/self/fd"]).1;
    // Its streams, and the directory it lists.
    assert_eq!(
        open.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
    let of_init = daemon.run("c", &["sh", "-c", "ls /proc/1/fd | wc -l"]).1;
    assert!(of_init.trim().parse::<u32>().unwrap() <= 3, "{of_init}");
}

#[test]
fn the_console_is_a_terminal_too() {
    let daemon = with_running();
    let body = json!({"type": "console", "width": 80, "height": 24});
    let operation = daemon
        .post("/1.0/instances/c/console", &body)
        .operation()
        .clone();
    let mut session = Session::open(&daemon, &operation);
    // What is written there comes out here, once somebody is connected.
    let script = "while :; do echo seen > /dev/console; sleep 0.1; done";
    let writing = json!({"command": ["sh", "-c", script]});
    daemon.post("/1.0/instances/c/exec", &writing).operation();
    session.read_until("0", "seen");
    let operation = session.vanish();
    assert_eq!(ended(&daemon, &operation)["status"], "Success");
    let operation = daemon
        .post("/1.0/instances/c/console", &body)
        .operation()
        .clone();
    let mut session = Session::open_but(&daemon, &operation, "control");
    session.read_until("0", "seen");
    let operation = session.vanish();
    assert_eq!(ended(&daemon, &operation)["status"], "Success");
}
