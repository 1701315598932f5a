//! What clients look at besides images.

use serde_json::json;

use crate::support::{Lximaged, beyond_lxd};

#[test]
fn the_machine_tells_what_it_has() {
    let daemon = Lximaged::start();
    let resources = daemon.get("/1.0/resources").metadata().clone();
    let keys: Vec<_> = resources.as_object().unwrap().keys().cloned().collect();
    let expected = [
        "cpu", "memory", "gpu", "network", "storage", "usb", "pci", "system",
    ];
    assert_eq!(keys, expected);
    assert!(resources["cpu"]["total"].as_u64() > Some(0));
    assert!(resources["memory"]["total"].as_u64() > resources["memory"]["used"].as_u64());
}

#[test]
fn interfaces_are_networks_that_nobody_manages() {
    let daemon = Lximaged::start();
    let urls = daemon.get("/1.0/networks").metadata().clone();
    assert!(
        urls.as_array()
            .unwrap()
            .contains(&json!("/1.0/networks/lo"))
    );
    let loopback = daemon.get("/1.0/networks/lo").metadata().clone();
    let expected = json!({"config": {}, "description": "", "name": "lo", "type": "loopback",
        "used_by": [], "managed": false, "status": "", "locations": null});
    assert_eq!(loopback, expected);
    let listed = daemon.get("/1.0/networks?recursion=1").metadata().clone();
    assert!(listed.as_array().unwrap().contains(&expected));
    daemon
        .get("/1.0/networks/nope")
        .is_error(404, "Network not found");
    let text = "Failed to load project \"nope\": Project not found";
    for path in ["/1.0/networks", "/1.0/network-acls", "/1.0/network-zones"] {
        daemon
            .get(&format!("{path}?project=nope"))
            .is_error(404, text);
    }
    assert_eq!(daemon.get("/1.0/network-acls").metadata(), &json!([]));
    assert_eq!(daemon.get("/1.0/network-zones").metadata(), &json!([]));
}

#[test]
fn a_server_alone_is_no_cluster() {
    let daemon = Lximaged::start();
    let cluster = daemon.get("/1.0/cluster").metadata().clone();
    assert_eq!(
        (&cluster["server_name"], &cluster["enabled"]),
        (&json!(""), &json!(false))
    );
    daemon
        .get("/1.0/cluster/members")
        .is_error(500, "Server is not clustered");
    daemon
        .get("/1.0/cluster/groups")
        .is_error(400, "This server is not clustered");
    daemon
        .get("/1.0?target=x")
        .is_error(404, "Cluster member not found");
}

#[test]
fn there_are_no_warnings_and_no_certificates() {
    let daemon = Lximaged::start();
    assert_eq!(daemon.get("/1.0/certificates").metadata(), &json!([]));
    daemon
        .get("/1.0/warnings/x")
        .is_error(404, "Warning not found");
    if beyond_lxd("it warns of what the machine lacks") {
        assert_eq!(
            daemon.get("/1.0/warnings?recursion=1").metadata(),
            &json!([])
        );
    }
}

#[test]
fn there_are_no_instances() {
    let daemon = Lximaged::start();
    assert_eq!(daemon.get("/1.0/containers").metadata(), &json!([]));
    assert_eq!(daemon.get("/1.0/virtual-machines").metadata(), &json!([]));
    for query in [
        "recursion=2",
        "all-projects=true",
        "filter=",
        "project=nope",
    ] {
        let answer = daemon.get(&format!("/1.0/instances?{query}"));
        assert_eq!(answer.metadata(), &json!([]), "{query}");
    }
    let error = |query: &str| daemon.get(&format!("/1.0/instances?{query}"));
    error("instance-type=x").is_error(500, "Invalid instance type");
    error("filter=x").is_error(500, "Invalid filter: clause has no operator");
    let text = "Cannot specify a project when requesting all projects";
    error("all-projects=true&project=default").is_error(400, text);
}

#[test]
fn lxc_shows_it() {
    let daemon = Lximaged::start();
    let networks = daemon.lxc(&["network", "list", "-f", "csv"]);
    let listed = daemon.get("/1.0/networks?recursion=1").metadata().clone();
    for network in listed.as_array().unwrap() {
        let row = format!("{},", network["name"].as_str().unwrap());
        let shown = networks.lines().any(|line| line.starts_with(&row));
        // lxc leaves out what nobody would attach to.
        let expected = network["type"] != "loopback" && network["type"] != "unknown";
        assert_eq!(shown, expected, "{network} in {networks}");
    }
    assert!(daemon.lxc(&["info", "--resources"]).contains("CPU"));
    assert!(
        daemon
            .lxc(&["storage", "info", "default"])
            .contains("space used")
    );
    assert_eq!(daemon.lxc(&["list", "-f", "csv"]).trim(), "");
    let refused = daemon.lxc_fails(&["cluster", "list"]);
    assert!(refused.contains("isn't part of a cluster"), "{refused}");
}
