//! Instances that run: started, stopped, found again.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Events, Lximaged, Options, PATIENCE, against_lxd, beyond_lxd,
    containers::{StandIn, busybox},
    soon,
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

/// Starts an instance `c` whose first process does not hear that it is to end.
fn with_deaf() -> Lximaged {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    let config = json!({"raw.lxc": "lxc.init.cmd = /bin/sleep 100000"});
    let body = json!({"name": "c", "source": source, "config": config});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    daemon.start("c");
    daemon
}

/// Asks for a clean end and for another one at once, which must both come soon.
fn hurried(daemon: &Lximaged, patient: &str, hasty: &str) {
    let body = json!({"action": patient, "timeout": -1});
    let patient = daemon.put("/1.0/instances/c/state", &body);
    let body = json!({"action": hasty, "force": true});
    let hasty = daemon.put("/1.0/instances/c/state", &body);
    daemon.succeeds(&hasty);
    daemon.succeeds(&patient);
}

#[test]
fn a_forced_end_does_not_wait_behind_a_clean_one() {
    let daemon = with_deaf();
    hurried(&daemon, "stop", "stop");
    assert_eq!(daemon.status("c"), "Stopped");
    daemon.start("c");
    hurried(&daemon, "restart", "stop");
    assert_eq!(daemon.status("c"), "Stopped");
    daemon.start("c");
    hurried(&daemon, "stop", "restart");
    assert_eq!(daemon.status("c"), "Running");
    daemon.patch("/1.0/instances/c", &json!({"ephemeral": true}));
    hurried(&daemon, "stop", "stop");
    assert_eq!(daemon.instance_names("default"), [""; 0]);
}

#[test]
fn who_waits_for_a_clean_end_can_give_up() {
    let daemon = with_deaf();
    let body = json!({"action": "stop", "timeout": -1});
    let answer = daemon.put("/1.0/instances/c/state", &body);
    let path = answer.json["operation"].as_str().unwrap();
    let may_cancel = || daemon.get(path).metadata()["may_cancel"] == json!(true);
    assert!(soon(PATIENCE, may_cancel));
    assert_eq!(daemon.cancel(&answer)["status"], "Cancelled");
    assert_eq!(daemon.status("c"), "Running");
    // The instance is free for others.
    daemon.patch("/1.0/instances/c", &json!({"description": "x"}));
    daemon.kill("c");
}

#[test]
fn no_time_to_end_in_is_a_forced_end_and_none_said_is_enough() {
    let daemon = with_deaf();
    let mut events = Events::listen(&daemon, "?type=lifecycle");
    let body = json!({"action": "stop", "timeout": 0});
    daemon.succeeds(&daemon.put("/1.0/instances/c/state", &body));
    let told = actions(&mut events, "instance-stopped");
    assert_eq!(told, ["instance-stopped"]);
    daemon.patch("/1.0/instances/c", &json!({"config": {"raw.lxc": ""}}));
    daemon.start("c");
    let body = json!({"action": "stop"});
    daemon.succeeds(&daemon.put("/1.0/instances/c/state", &body));
    daemon.start("c");
    let body = json!({"state": {"action": "stop"}});
    daemon.succeeds(&daemon.put("/1.0/instances", &body));
    assert_eq!(daemon.status("c"), "Stopped");
}

#[test]
fn a_container_that_ends_while_it_is_stopped_is_stopped() {
    if !beyond_lxd("it runs no programs") {
        return;
    }
    // It ends, and then the program says that there is nothing to stop.
    let programs = StandIn::new(
        "lxc-stop",
        "/usr/bin/lxc-stop -k -P \"$2\" -n \"$4\"; exit 1",
    );
    let daemon = Options::default().env("PATH", &programs.path()).start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    let body = json!({"name": "e", "source": source, "ephemeral": true});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    daemon.start("e");
    assert_eq!(daemon.act("e", "stop")["status"], "Success");
    assert_eq!(daemon.instance_names("default"), [""; 0]);
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
    let allowed = cpus.split_whitespace().nth(1).unwrap();
    assert!(allowed.parse::<u32>().is_ok(), "one of them: {allowed}");
    let state = daemon.get("/1.0/instances/c/state").metadata().clone();
    assert_eq!(
        state["network"]["eth7"]["hwaddr"], "00:16:3e:01:02:03",
        "{state}"
    );
    assert_ne!(state["network"]["eth7"]["host_name"], "", "{state}");
}

#[test]
fn calls_of_the_kernel_are_refused_that_no_container_should_make() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    let status = |name: &str| {
        let (_, status) = daemon.run(name, &["cat", "/proc/1/status"]);
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        line.unwrap().trim().to_owned()
    };
    for (name, privileged) in [("c", "false"), ("p", "true")] {
        let config = json!({"security.privileged": privileged,
            "security.syscalls.deny": "mkdir errno 13\nmkdirat errno 13"});
        let body = json!({"name": name, "source": source, "config": config,
            "devices": {"root": {"type": "disk", "path": "/", "pool": "default"}}});
        daemon.succeeds(&daemon.post("/1.0/instances", &body));
        daemon.start(name);
        assert_eq!(status(name), "2");
        assert_eq!(daemon.run(name, &["busybox", "mkdir", "/x"]).0, 1);
        daemon.kill(name);
    }
    // A policy of the owner's own.
    let config = json!({"config": {"raw.seccomp": "2\ndenylist\n[all]\nrmdir errno 13\n"}});
    daemon.patch("/1.0/instances/c", &config).is_done();
    daemon.start("c");
    let script = "busybox mkdir /x && ! busybox rmdir /x";
    assert_eq!(daemon.run("c", &["sh", "-c", script]).0, 0);
    daemon.kill("c");
    // What is not there is not left out in silence.
    let config = json!({"config": {"security.idmap.isolated": "true"}});
    daemon.patch("/1.0/instances/c", &config).is_done();
    let text = "Isolated id maps are not supported on this server";
    if beyond_lxd("it has them") {
        assert_eq!(daemon.act("c", "start")["err"], text);
    }
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
fn what_a_project_may_show_is_not_left_by_a_link() {
    let daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let share = daemon.dir().join("share");
    fs::create_dir_all(share.join("in")).unwrap();
    fs::write(share.join("in/file"), "seen").unwrap();
    std::os::unix::fs::symlink("/", share.join("out")).unwrap();
    std::os::unix::fs::symlink("in", share.join("beside")).unwrap();
    let config = json!({"config": {"restricted": "true", "restricted.devices.disk": "allow",
        "restricted.devices.disk.paths": share}});
    daemon.patch("/1.0/projects/default", &config).is_done();
    let shows = |what: &str| {
        let disk = json!({"type": "disk", "source": share.join(what), "path": "/mnt"});
        let body = json!({"devices": {"d": disk}});
        daemon.patch("/1.0/instances/c", &body).is_done();
        daemon.act("c", "start")["err"].as_str().unwrap().to_owned()
    };
    daemon.init("c", &found);
    let refused = shows("out");
    assert!(refused.contains("Disk source path"), "{refused}");
    assert_eq!(daemon.status("c"), "Stopped");
    for what in ["in", "beside"] {
        assert_eq!(shows(what), "");
        assert_eq!(daemon.run("c", &["cat", "/mnt/file"]).1, "seen");
        daemon.kill("c");
    }
    // Nothing of it is mounted on the host any more, and nothing was removed.
    assert_eq!(fs::read_dir(daemon.dir().join("disks")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(share.join("in/file")).unwrap(), "seen");
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
fn an_image_for_the_first_cgroups_does_not_start_on_the_second_ones() {
    let daemon = Options::default()
        .host("mount -t tmpfs cgroups /sys/fs/cgroup && echo memory > /sys/fs/cgroup/cgroup.controllers")
        .start();
    let found = daemon.import(&busybox("bb"));
    let body = json!({"properties": {"requirements.cgroup": "v1"}});
    daemon
        .patch(&format!("/1.0/images/{found}"), &body)
        .is_done();
    daemon.init("c", &found);
    let text = "The image used by this instance requires a CGroupV1 host system";
    assert_eq!(daemon.act("c", "start")["err"], text);
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
fn a_container_that_cannot_be_asked_about_is_left_running() {
    if !beyond_lxd("it runs no programs") {
        return;
    }
    let script = "[ -e \"$0.broken\" ] && exit 1; exec /usr/bin/lxc-info \"$@\"";
    let programs = StandIn::new("lxc-info", script);
    let mut daemon = Options::default().env("PATH", &programs.path()).start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    let body = json!({"name": "e", "source": source, "ephemeral": true});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    daemon.start("e");
    let pid = |daemon: &Lximaged| daemon.get("/1.0/instances/e/state").metadata()["pid"].clone();
    let before = pid(&daemon);
    fs::write(programs.beside("lxc-info.broken"), "").unwrap();
    daemon.kill9();
    daemon.boot();
    assert_eq!(daemon.status("e"), "Running");
    assert_eq!(pid(&daemon), before);
    daemon.kill("e");
}

/// Begins a snapshot of `c` that takes long, and waits until the container stands still for it.
fn begin_snapshot(daemon: &Lximaged) {
    let script = "yes | head -c 600000000 > /root/large";
    assert_eq!(daemon.run("c", &["sh", "-c", script]).0, 0);
    let answer = daemon.post("/1.0/instances/c/snapshots", &json!({"name": "s"}));
    assert_eq!(answer.status, 202);
    assert!(soon(PATIENCE, || daemon.status("c") == "Frozen"));
}

/// Whether the processes of the container `c` stand still.
fn stands_still(daemon: &Lximaged) -> bool {
    let init = daemon.get("/1.0/instances/c/state").metadata()["pid"].clone();
    let groups = fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap();
    let freezers = groups.lines().filter_map(|line| {
        let (controller, path) = line.split_once(':')?.1.split_once(':')?;
        match controller {
            "freezer" => Some(format!("/sys/fs/cgroup/freezer{path}/freezer.state")),
            "" => Some(format!("/sys/fs/cgroup{path}/cgroup.events")),
            _ => None,
        }
    });
    let states = freezers.filter_map(|path| fs::read_to_string(path).ok());
    states
        .into_iter()
        .any(|state| state.trim() == "FROZEN" || state.contains("frozen 1"))
}

#[test]
fn a_container_goes_on_when_its_snapshot_is_cut_off() {
    let mut daemon = with_running();
    begin_snapshot(&daemon);
    daemon.kill9();
    daemon.boot();
    assert_eq!(daemon.status("c"), "Running");
    assert_eq!(daemon.run("c", &["echo", "on"]).1, "on\n");
    // Nothing takes it for frozen any more, and it can be frozen.
    assert!(!daemon.names("lxc/c").contains(&"frozen".to_owned()));
    assert_eq!(daemon.act("c", "freeze")["status"], "Success");
    daemon.kill9();
    daemon.boot();
    assert_eq!(daemon.status("c"), "Frozen", "somebody has asked for that");
    daemon.act("c", "unfreeze");
    daemon.kill("c");
}

#[test]
fn a_container_goes_on_when_the_daemon_ends_during_its_snapshot() {
    let mut daemon = with_running();
    begin_snapshot(&daemon);
    let pid = daemon.get("/1.0/instances/c/state").metadata()["pid"].clone();
    daemon.signal(rustix::process::Signal::TERM);
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.ended_within(PATIENCE).is_some());
    let mark = daemon.dir().join("lxc/c/frozen");
    assert!(!mark.exists(), "it was let go on before the daemon ended");
    daemon.boot();
    assert_eq!(daemon.status("c"), "Running");
    assert_eq!(daemon.get("/1.0/instances/c/state").metadata()["pid"], pid);
}

#[test]
fn of_two_copies_the_first_that_ends_does_not_let_the_container_go_on() {
    let daemon = with_running();
    begin_snapshot(&daemon);
    assert!(soon(PATIENCE, || daemon.status("c") == "Running"));
    let copy = |name: &str, only: bool| {
        let source = json!({"type": "copy", "source": "c", "instance_only": only});
        daemon.post("/1.0/instances", &json!({"name": name, "source": source}))
    };
    // The second one copies the snapshot too.
    let (short, long) = (copy("short", true), copy("long", false));
    daemon.succeeds(&short);
    let path = long.json["operation"].as_str().unwrap();
    let still = stands_still(&daemon);
    if daemon.get(path).metadata()["status"] == "Running" {
        assert!(still);
    }
    daemon.succeeds(&long);
    assert_eq!(daemon.status("c"), "Running");
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
fn an_ephemeral_instance_that_is_protected_keeps_no_daemon_from_starting() {
    let mut daemon = Lximaged::start();
    let found = daemon.import(&busybox("bb"));
    let source = json!({"type": "image", "fingerprint": found});
    for (name, protected) in [("e", "true"), ("f", "false")] {
        let config = json!({"security.protection.delete": protected});
        let body = json!({"name": name, "source": source, "ephemeral": true, "config": config});
        daemon.succeeds(&daemon.post("/1.0/instances", &body));
        daemon.start(name);
    }
    daemon.kill9();
    for name in ["e", "f"] {
        let mut command = std::process::Command::new("lxc-stop");
        command.args(["-k", "-n", name, "-P"]);
        let status = command.arg(daemon.dir().join("lxc")).status();
        assert!(status.unwrap().success());
    }
    assert!(soon(PATIENCE, || daemon.containers().is_empty()));
    daemon.boot();
    assert_eq!(daemon.instance_names("default"), ["e"]);
    assert_eq!(daemon.status("e"), "Stopped");
}

#[test]
fn logs_move_along_to_another_pool() {
    let daemon = with_running();
    daemon.kill("c");
    let pool = json!({"name": "other", "driver": "dir"});
    assert_eq!(daemon.post("/1.0/storage-pools", &pool).status, 201);
    let body = json!({"name": "c", "migration": true, "pool": "other"});
    daemon.succeeds(&daemon.post("/1.0/instances/c", &body));
    assert_eq!(daemon.get("/1.0/instances/c/logs/lxc.conf").status, 200);
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
fn a_running_instance_is_published_by_force_and_runs_again() {
    let daemon = with_running();
    daemon.run("c", &["touch", "/root/made inside"]);
    let refused = daemon.lxc_fails(&["publish", "c", "--alias", "mine"]);
    let text = "The instance is currently running. Use --force to have it stopped and restarted";
    assert!(refused.contains(text), "{refused}");
    // Nor without the client's own look.
    let source = json!({"type": "instance", "name": "c"});
    let operation = daemon.finished(&daemon.post("/1.0/images", &json!({"source": source})));
    let text = "Cannot export a running instance as an image";
    assert_eq!(operation["err"], text);
    daemon.lxc(&["publish", "c", "--alias", "mine", "--force"]);
    assert_eq!(daemon.status("c"), "Running");
    daemon.lxc(&["init", "mine", "again"]);
    let made = daemon.get("/1.0/instances/again/files?path=/root/made%20inside");
    assert_eq!(made.status, 200);
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
