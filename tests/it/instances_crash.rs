//! A daemon that is killed in the middle of making, copying or deleting instances.

use std::{thread, time::Duration};

use serde_json::json;

use crate::support::{Lximaged, images, instances::INSTANCES};

/// Points in time, in milliseconds, at which the daemon is killed.
const DELAYS: &[u64] = &[0, 2, 5, 10, 20, 40, 80, 160];

#[test]
fn a_creation_that_is_cut_off_leaves_nothing_or_a_whole_instance() {
    let mut daemon = Lximaged::start();
    let found = daemon.import(&images::container_of_size("a", 8 << 20));
    for (round, delay) in DELAYS.iter().enumerate() {
        let body = json!({"name": format!("c{round}"),
            "source": {"type": "image", "fingerprint": found}});
        daemon.post(INSTANCES, &body);
        thread::sleep(Duration::from_millis(*delay));
        daemon.kill9();
        daemon.boot();
        daemon.check();
        let name = format!("c{round}");
        if daemon.instance_names("default").contains(&name) {
            let path = format!("/1.0/instances/{name}");
            daemon.succeeds(&daemon.post(&format!("{path}/snapshots"), &json!({})));
            daemon.succeeds(&daemon.delete(&path));
        }
        // The name is free either way.
        daemon.init(&name, &found);
        daemon.succeeds(&daemon.delete(&format!("/1.0/instances/{name}")));
    }
    daemon.check();
}

#[test]
fn copies_renames_and_deletions_that_are_cut_off_are_done_or_not() {
    let mut daemon = Lximaged::start();
    let found = daemon.import(&images::container_of_size("a", 1 << 20));
    for (round, delay) in DELAYS.iter().enumerate() {
        let names = ["a", "b", "c"].map(|letter| format!("{letter}{round}"));
        for name in &names {
            daemon.init(name, &found);
            let path = format!("/1.0/instances/{name}/snapshots");
            daemon.succeeds(&daemon.post(&path, &json!({"name": "s"})));
        }
        let [copied, renamed, deleted] = &names;
        let copy = json!({"name": format!("k{round}"), "profiles": ["default"],
            "source": {"type": "copy", "source": copied}});
        daemon.post(INSTANCES, &copy);
        let there = json!({"name": format!("r{round}")});
        daemon.post(&format!("/1.0/instances/{renamed}"), &there);
        daemon.delete(&format!("/1.0/instances/{deleted}"));
        thread::sleep(Duration::from_millis(*delay));
        daemon.kill9();
        daemon.boot();
        daemon.check();
        for name in daemon.instance_names("default") {
            daemon.succeeds(&daemon.delete(&format!("/1.0/instances/{name}")));
        }
    }
    daemon.check();
}
