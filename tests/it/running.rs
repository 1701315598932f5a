//! Instances that run: started, stopped, found again.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Events, Lximaged, Options, PATIENCE, against_lxd, beyond_lxd, containers::busybox, soon,
};

/// The actions that have come so far about instances.
fn actions(events: &mut Events, last: &str) -> Vec<String> {
    events.action(last);
    let action = |event: &Value| event["metadata"]["action"].as_str().map(str::to_owned);
    events.seen().iter().filter_map(action).collect()
}

/// Starts a daemon with a running instance `c`.
fn with_running() -> Lximaged {
    let daemon = Lximaged::start();
    daemon.launch("c");
    daemon
}

#[test]
fn an_instance_starts_and_stops_cleanly() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    daemon.init("c", &found);
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    daemon.start("c");
    let instance = daemon.instance("c");
    assert_eq!(
        (&instance["status"], &instance["status_code"]),
        (&json!("Running"), &json!(103))
    );
    assert_eq!(instance["config"]["volatile.last_state.power"], "RUNNING");
    assert_ne!(instance["last_used_at"], "1970-01-01T00:00:00Z");
    assert_eq!(
        daemon.act("c", "start")["err"],
        "The instance is already running"
    );
    let stopped = daemon.act("c", "stop");
    assert_eq!(stopped["status"], "Success", "{stopped}");
    assert_eq!(stopped["description"], "Stopping instance");
    assert_eq!(
        stopped["resources"],
        json!({"instances": ["/1.0/instances/c"]})
    );
    let instance = daemon.instance("c");
    assert_eq!(instance["status"], "Stopped");
    assert_eq!(instance["config"]["volatile.last_state.power"], "STOPPED");
    assert_eq!(
        daemon.act("c", "stop")["err"],
        "The instance is already stopped"
    );
    assert_eq!(
        daemon.act("c", "restart")["err"],
        "The instance is already stopped"
    );
    assert_eq!(
        actions(&mut events, "instance-shutdown"),
        ["instance-started", "instance-shutdown"]
    );
}

#[test]
fn a_container_that_does_not_listen_is_stopped_by_force() {
    let daemon = with_running();
    // Its init is told nothing any more.
    let (code, _) = daemon.run("c", &["sh", "-c", "echo kept > /root/kept"]);
    assert_eq!(code, 0);
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    daemon.kill("c");
    assert_eq!(
        actions(&mut events, "instance-stopped"),
        ["instance-stopped"]
    );
    daemon.start("c");
    assert_eq!(
        daemon.run("c", &["cat", "/root/kept"]),
        (0, "kept\n".to_owned())
    );
}

#[test]
fn a_device_node_of_an_image_opens_nothing_and_those_of_every_container_do() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    daemon.init("c", &found);
    let tree = daemon.dir().join("storage-pools/default/containers/c");
    for (name, device) in [("zero", "1 5"), ("memory", "1 1"), ("kmsg", "1 11")] {
        let node = tree.join("upper").join(name);
        let made = format!("mknod -m 666 {} c {device}", node.display());
        let made = std::process::Command::new("sh")
            .args(["-c", &made])
            .status();
        assert!(made.unwrap().success());
    }
    daemon.start("c");
    for node in ["/zero", "/memory", "/kmsg"] {
        let (code, read) = daemon.run("c", &["head", "-c", "1", node]);
        assert_eq!((code, read.as_str()), (1, ""), "{node}");
    }
    let script = "echo x > /dev/null && head -c 4 /dev/zero | wc -c && \
        head -c 4 /dev/urandom | wc -c && head -c 4 /dev/random | wc -c && \
        ls /dev/full /dev/tty /dev/console /dev/ptmx";
    let (code, said) = daemon.run("c", &["sh", "-c", script]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("4\n4\n4\n/dev"), "{said}");
    let config = fs::read_to_string(daemon.dir().join("logs/c/lxc.conf")).unwrap();
    assert!(config.contains(".devices.deny = a\n"), "{config}");
    daemon.kill("c");
}

#[test]
fn an_unknown_action_or_instance_is_refused() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    daemon.init("c", &found);
    let answer = daemon.put("/1.0/instances/c/state", &json!({"action": "bogus"}));
    answer.is_error(400, "Unknown action: 'bogus'");
    let answer = daemon.put("/1.0/instances/x/state", &json!({"action": "start"}));
    answer.is_error(404, "Instance not found");
    for action in ["freeze", "unfreeze"] {
        assert_eq!(
            daemon.act("c", action)["err"],
            "The container isn't running"
        );
    }
    let answer = daemon.post("/1.0/instances/c/exec", &json!({"command": ["true"]}));
    answer.is_error(400, "Instance is not running");
}

#[test]
fn a_frozen_instance_waits_and_goes_on() {
    let daemon = with_running();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    assert_eq!(
        daemon.act("c", "freeze")["description"],
        "Freezing instance"
    );
    assert_eq!(daemon.status("c"), "Frozen");
    assert_eq!(
        daemon.act("c", "freeze")["err"],
        "The container is already frozen"
    );
    let answer = daemon.post("/1.0/instances/c/exec", &json!({"command": ["true"]}));
    answer.is_error(400, "Instance is frozen");
    assert_eq!(daemon.act("c", "unfreeze")["status"], "Success");
    assert_eq!(daemon.status("c"), "Running");
    daemon.act("c", "freeze");
    daemon.kill("c");
    assert_eq!(daemon.status("c"), "Stopped");
    let told = actions(&mut events, "instance-stopped");
    assert_eq!(
        told,
        [
            "instance-paused",
            "instance-resumed",
            "instance-paused",
            "instance-resumed",
            "instance-stopped"
        ]
    );
}

#[test]
fn the_state_tells_what_it_uses() {
    let daemon = with_running();
    let state = daemon.get("/1.0/instances/c/state").metadata().clone();
    assert_eq!(
        (&state["status"], &state["status_code"]),
        (&json!("Running"), &json!(103))
    );
    assert!(state["pid"].as_i64().unwrap() > 1, "{state}");
    assert!(state["processes"].as_i64().unwrap() >= 1, "{state}");
    assert!(state["memory"]["usage"].as_i64().unwrap() > 0, "{state}");
    assert!(state["cpu"]["usage"].as_i64().unwrap() > 0, "{state}");
    assert_eq!(state["network"]["lo"]["type"], "loopback", "{state}");
    daemon.kill("c");
    let state = daemon.get("/1.0/instances/c/state").metadata().clone();
    assert_eq!(
        (&state["pid"], &state["network"]),
        (&json!(0), &json!(null))
    );
}

#[test]
fn root_inside_is_nobody_outside_unless_it_is_privileged() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let owner = |name: &str| {
        let pid = daemon
            .get(&format!("/1.0/instances/{name}/state"))
            .metadata()["pid"]
            .clone();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("Uid:"))
            .unwrap()
            .to_owned();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    daemon.init("c", &found);
    daemon.start("c");
    assert!(owner("c") >= 65_536);
    assert!(daemon.run("c", &["id"]).1.starts_with("uid=0"));
    let source = json!({"type": "image", "fingerprint": found});
    let body = json!({"name": "p", "source": source, "config": {"security.privileged": "true"}});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    daemon.start("p");
    assert_eq!(owner("p"), 0);
    // A change of mind takes the files along.
    daemon.kill("c");
    let body = json!({"config": {"security.privileged": "true"}});
    daemon.patch("/1.0/instances/c", &body);
    daemon.start("c");
    assert_eq!(owner("c"), 0);
    assert_eq!(
        daemon.run("c", &["sh", "-c", "touch /root/x && echo ok"]).1,
        "ok\n"
    );
}

#[test]
fn keys_of_the_configuration_are_acted_on() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let shared = daemon.home().join("shared dir");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("hello"), "from the host\n").unwrap();
    let config = json!({"environment.COLOUR": "dark red", "limits.memory": "64MiB",
        "limits.processes": "50", "limits.cpu": "1"});
    let devices = json!({"d": {"type": "disk", "source": shared, "path": "/mnt/host dir",
        "readonly": "true"}, "p": {"type": "nic", "nictype": "p2p", "name": "eth7",
        "hwaddr": "00:16:3e:01:02:03"}});
    let source = json!({"type": "image", "fingerprint": found});
    let body = json!({"name": "c", "source": source, "config": config, "devices": devices});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    daemon.start("c");
    let shell = |script: &str| daemon.run("c", &["sh", "-c", script]).1;
    assert_eq!(shell("echo $COLOUR"), "dark red\n");
    assert_eq!(shell("cat '/mnt/host dir/hello'"), "from the host\n");
    assert_eq!(
        shell("touch '/mnt/host dir/x' 2>/dev/null || echo no"),
        "no\n"
    );
    let environment = shell("cat /proc/1/environ").replace('\0', "\n");
    assert!(environment.contains("COLOUR=dark red\n"), "{environment}");
    let allowed = shell("cat /proc/1/status");
    let cpus = allowed
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list:"))
        .unwrap();
    assert_eq!(cpus.split_whitespace().nth(1), Some("0"));
    let state = daemon.get("/1.0/instances/c/state").metadata().clone();
    assert_eq!(
        state["network"]["eth7"]["hwaddr"], "00:16:3e:01:02:03",
        "{state}"
    );
    assert_ne!(state["network"]["eth7"]["host_name"], "", "{state}");
}

#[test]
fn an_interface_keeps_the_address_of_its_first_start() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    let devices = json!({"eth0": {"type": "nic", "nictype": "p2p"}});
    let body = json!({"name": "c", "source": source, "devices": devices});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    daemon.start("c");
    let address = || {
        let state = daemon.get("/1.0/instances/c/state").metadata().clone();
        state["network"]["eth0"]["hwaddr"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = address();
    assert!(first.starts_with("00:16:3e:"), "{first}");
    assert_eq!(
        daemon.instance("c")["config"]["volatile.eth0.hwaddr"],
        first
    );
    daemon.kill("c");
    daemon.start("c");
    assert_eq!(address(), first);
}

#[test]
fn a_value_cannot_begin_a_line_of_the_configuration() {
    if !beyond_lxd("it takes the line") {
        return;
    }
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let hostile = "x\nlxc.hook.pre-start = /bin/touch /tmp/owned";
    let source = json!({"type": "image", "fingerprint": found});
    let config = json!({"environment.X": hostile});
    let body = json!({"name": "c", "source": source, "config": config});
    let made = daemon.finished(&daemon.post("/1.0/instances", &body));
    let failed = if made["status"] == "Success" {
        daemon.act("c", "start")
    } else {
        made
    };
    let reason = failed["err"].as_str().unwrap();
    assert!(!reason.is_empty());
    assert!(daemon.containers().is_empty());
    assert!(
        daemon.names("lxc").iter().all(|name| name == "hook"),
        "{:?}",
        daemon.names("lxc")
    );
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    let config = json!({"raw.lxc": "lxc.init.cmd = /no/such/init"});
    let body = json!({"name": "c", "source": source, "config": config});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    let failed = daemon.act("c", "start");
    assert_eq!(failed["status"], "Failure");
    if !against_lxd() {
        let reason = failed["err"].as_str().unwrap();
        assert!(reason.contains("No such file or directory"), "{reason}");
    }
    assert_eq!(daemon.status("c"), "Stopped");
    assert!(daemon.containers().is_empty());
    let log = daemon.get("/1.0/instances/c/logs/lxc.log").text();
    assert!(log.contains("ERROR"), "{log}");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(daemon.dir().to_str().unwrap()), "{mounts}");
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    let nic = json!({"type": "nic", "nictype": "bridged", "parent": "nosuchbr0"});
    let body = json!({"name": "c", "source": source, "devices": {"eth0": nic}});
    let made = daemon.finished(&daemon.post("/1.0/instances", &body));
    if made["status"] == "Success" {
        let failed = daemon.act("c", "start");
        assert!(
            failed["err"].as_str().unwrap().contains("nosuchbr0"),
            "{failed}"
        );
    }
}

#[test]
fn without_liblxc_the_error_says_what_to_install() {
    if !beyond_lxd("it brings its own") {
        return;
    }
    // `env` starts the daemon.
    let programs = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", programs.path().join("env")).unwrap();
    let path = programs.path().to_str().unwrap();
    let daemon = Options::default().env("PATH", path).start();
    let found = daemon.import(&busybox("bb"));
    daemon.init("c", &found);
    let failed = daemon.act("c", "start");
    let reason = failed["err"].as_str().unwrap();
    assert!(reason.contains("needs the package \"lxc\""), "{reason}");
    assert_eq!(daemon.status("c"), "Stopped");
}

#[test]
fn a_virtual_machine_is_not_started() {
    if !beyond_lxd("it starts them") {
        return;
    }
    let daemon = Lximaged::start();
    daemon.allow_machines();
    let body = json!({"name": "v", "type": "virtual-machine", "source": {"type": "none"}});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    let failed = daemon.act("v", "start");
    let text = "Starting virtual machines is not supported on this server";
    assert_eq!(failed["err"], text);
}

#[test]
fn a_container_outlives_the_daemon() {
    let mut daemon = with_running();
    let pid = |daemon: &Lximaged| daemon.get("/1.0/instances/c/state").metadata()["pid"].clone();
    let before = pid(&daemon);
    daemon.restart();
    assert_eq!(
        (daemon.status("c"), pid(&daemon)),
        ("Running".to_owned(), before.clone())
    );
    daemon.kill9();
    assert_eq!(daemon.containers(), ["c"]);
    daemon.boot();
    assert_eq!(
        (daemon.status("c"), pid(&daemon)),
        ("Running".to_owned(), before)
    );
    assert_eq!(
        daemon.run("c", &["echo", "still", "here"]).1,
        "still here\n"
    );
    let stopped = daemon.act("c", "stop");
    assert_eq!(stopped["status"], "Success", "{stopped}");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(daemon.dir().to_str().unwrap()), "{mounts}");
}

#[test]
fn a_daemon_that_dies_while_one_starts_finds_out_how_it_went() {
    if !beyond_lxd("its processes are others") {
        return;
    }
    let mut daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    daemon.init("c", &found);
    let body = json!({"action": "start"});
    daemon.put("/1.0/instances/c/state", &body).operation();
    let began = soon(PATIENCE, || daemon.names("lxc").contains(&"c".to_owned()));
    assert!(began, "the start has begun");
    daemon.kill9();
    daemon.boot();
    // Whichever way it went, the daemon knows, and can go on from there.
    let runs = daemon.status("c") == "Running";
    assert_eq!(daemon.containers().len(), usize::from(runs));
    if !runs {
        daemon.start("c");
    }
    assert_eq!(daemon.run("c", &["echo", "ok"]).1, "ok\n");
}

#[test]
fn what_ended_while_the_daemon_was_away_is_noticed() {
    let mut daemon = with_running();
    daemon.kill9();
    let lxcpath = daemon.dir().join("lxc");
    let mut command = std::process::Command::new("lxc-stop");
    command.args(["-k", "-n", "c", "-P"]).arg(&lxcpath);
    assert!(command.status().unwrap().success());
    assert!(soon(PATIENCE, || daemon.containers().is_empty()));
    // It is not to be started again just because it ran.
    daemon.boot();
    let started_again = soon(Duration::from_secs(30), || daemon.status("c") == "Running");
    assert!(started_again, "what ran when the daemon ended runs again");
}

#[test]
fn an_instance_that_stops_by_itself_is_stopped() {
    let daemon = with_running();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    daemon.post(
        "/1.0/instances/c/exec",
        &json!({"command": ["poweroff", "-f"]}),
    );
    events.action("instance-shutdown");
    assert!(soon(PATIENCE, || daemon.status("c") == "Stopped"));
    assert!(daemon.containers().is_empty());
    daemon.start("c");
}

#[test]
fn an_instance_that_reboots_is_started_anew() {
    let daemon = with_running();
    let pid = || daemon.get("/1.0/instances/c/state").metadata()["pid"].clone();
    let before = pid();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    // What was changed meanwhile counts from now on.
    let body = json!({"config": {"environment.FRESH": "yes"}});
    daemon.patch("/1.0/instances/c", &body);
    daemon.post(
        "/1.0/instances/c/exec",
        &json!({"command": ["reboot", "-f"]}),
    );
    events.action("instance-restarted");
    assert_eq!(daemon.status("c"), "Running");
    assert_ne!(pid(), before);
    let environment = daemon.run("c", &["cat", "/proc/1/environ"]).1;
    assert!(environment.contains("FRESH=yes"), "{environment}");
}

#[test]
fn a_restart_is_told_as_one() {
    let daemon = with_running();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    let done = daemon.act("c", "restart");
    assert_eq!(
        (&done["status"], &done["description"]),
        (&json!("Success"), &json!("Restarting instance"))
    );
    assert_eq!(
        actions(&mut events, "instance-restarted"),
        ["instance-restarted"]
    );
}

#[test]
fn an_ephemeral_instance_goes_when_it_stops() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    for name in ["e", "f"] {
        let body = json!({"name": name, "source": source, "ephemeral": true});
        daemon.succeeds(&daemon.post("/1.0/instances", &body));
        daemon.start(name);
    }
    daemon.kill("e");
    assert_eq!(daemon.instance_names("default"), ["f"]);
    // Also when nobody asked for it.
    daemon.post(
        "/1.0/instances/f/exec",
        &json!({"command": ["poweroff", "-f"]}),
    );
    assert!(soon(PATIENCE, || daemon
        .instance_names("default")
        .is_empty()));
}

#[test]
fn what_is_to_start_with_the_daemon_does() {
    let mut daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    for (name, config) in [
        ("yes", json!({"boot.autostart": "true"})),
        ("no", json!({"boot.autostart": "false"})),
    ] {
        let body = json!({"name": name, "source": source, "config": config});
        daemon.succeeds(&daemon.post("/1.0/instances", &body));
    }
    daemon.restart();
    assert!(soon(PATIENCE, || daemon.status("yes") == "Running"));
    assert_eq!(daemon.status("no"), "Stopped");
}

#[test]
fn a_running_instance_is_not_deleted() {
    let daemon = with_running();
    daemon
        .delete("/1.0/instances/c")
        .is_error(400, "Instance is running");
    assert_eq!(daemon.status("c"), "Running");
}

#[test]
fn the_console_can_be_read_and_forgotten() {
    let daemon = with_running();
    let log = || daemon.get("/1.0/instances/c/console").text();
    assert!(soon(PATIENCE, || log().contains("booted")), "{}", log());
    daemon.delete("/1.0/instances/c/console").is_done();
    assert!(!log().contains("booted"));
    assert!(
        daemon
            .lxc(&["console", "c", "--show-log"])
            .contains("Console log:")
    );
    let answer = daemon.post("/1.0/instances/c/console", &json!({"type": "bogus"}));
    answer.is_error(400, "Unknown console type \"bogus\"");
    let answer = daemon.post("/1.0/instances/c/console", &json!({"type": "vga"}));
    answer.is_error(400, "VGA console is only supported by virtual machines");
}

#[test]
fn logs_are_listed_read_and_removed() {
    let daemon = with_running();
    daemon.run("c", &["echo", "kept"]);
    let logs = daemon.get("/1.0/instances/c/logs").metadata().clone();
    let logs: Vec<_> = logs
        .as_array()
        .unwrap()
        .iter()
        .map(|log| log.as_str().unwrap())
        .collect();
    assert!(logs.contains(&"/1.0/instances/c/logs/lxc.conf"), "{logs:?}");
    let kept = logs.iter().find(|log| log.ends_with(".stdout")).unwrap();
    assert_eq!(daemon.get(kept).text(), "kept\n");
    daemon.delete(kept).is_done();
    daemon.get(kept).is_error(404, "Not Found");
    let answer = daemon.get("/1.0/instances/c/logs/nope");
    answer.is_error(400, "log file name nope not valid");
    let answer = daemon.delete("/1.0/instances/c/logs/lxc.log");
    answer.is_error(400, "lxc.log and lxc.conf may not be deleted");
    let answer = daemon.get("/1.0/instances/c/logs/..%2f..%2fserver.key");
    answer.is_error(400, "log file name ../../server.key not valid");
}
