//! What LXD has and this server does not: clients are told so, in LXD's words where LXD has some.

use serde_json::json;

use crate::support::{Lximaged, Request};

#[test]
fn no_network_is_managed() {
    let daemon = Lximaged::start();
    let text = "Failed loading network: Network not found";
    let body = json!({"config": {}});
    daemon.put("/1.0/networks/lo", &body).is_error(404, text);
    daemon.patch("/1.0/networks/lo", &body).is_error(404, text);
    daemon
        .post("/1.0/networks/lo", &json!({"name": "x"}))
        .is_error(404, text);
    daemon.delete("/1.0/networks/lo").is_error(404, text);
    daemon.get("/1.0/networks/lo/leases").is_error(404, text);
    daemon.get("/1.0/networks/lo/forwards").is_error(404, text);
    daemon.get("/1.0/networks/lo/peers").is_error(404, text);
    let create = |body| daemon.post("/1.0/networks", &body);
    create(json!({})).is_error(400, "No name provided");
    create(json!({"name": "x", "type": "alien"})).is_error(400, "Unknown driver");
    let text = "Network interface is too long (maximum 15 characters)";
    create(json!({"name": "a234567890123456", "type": "bridge"})).is_error(400, text);
}

#[test]
fn there_are_no_rules_for_networks() {
    let daemon = Lximaged::start();
    daemon
        .get("/1.0/network-acls/x")
        .is_error(404, "Network ACL not found");
    daemon
        .get("/1.0/network-zones/x")
        .is_error(404, "Network zone not found");
}

#[test]
fn what_cannot_be_made_is_not_said_to_be() {
    if !crate::support::beyond_lxd("it can make them") {
        return;
    }
    let daemon = Lximaged::start();
    let text = "This server does not manage networks";
    let body = json!({"name": "x", "type": "bridge"});
    daemon.post("/1.0/networks", &body).is_error(501, text);
    daemon.post("/1.0/network-acls", &body).is_error(501, text);
    daemon.post("/1.0/network-zones", &body).is_error(501, text);
    let text = "This server keeps images, not custom volumes";
    let body = json!({"name": "x", "type": "custom"});
    let volumes = "/1.0/storage-pools/default/volumes";
    daemon
        .post("/1.0/storage-pools/default/volumes", &body)
        .is_error(501, text);
    daemon
        .post("/1.0/storage-pools/default/volumes/custom", &body)
        .is_error(501, text);
    assert_eq!(daemon.get(volumes).metadata(), &json!([]));
}

#[test]
fn a_server_alone_has_no_members_and_no_groups() {
    let daemon = Lximaged::start();
    let text = "Server is not clustered";
    let body = json!({});
    daemon.get("/1.0/cluster/members/x").is_error(500, text);
    daemon
        .put("/1.0/cluster/members/x", &body)
        .is_error(500, text);
    daemon
        .patch("/1.0/cluster/members/x", &body)
        .is_error(500, text);
    daemon
        .post("/1.0/cluster/members/x", &json!({"server_name": "y"}))
        .is_error(500, text);
    daemon.delete("/1.0/cluster/members/x").is_error(500, text);
    let text = "This server is not clustered";
    daemon
        .post("/1.0/cluster/members", &json!({"server_name": "y"}))
        .is_error(400, text);
    daemon
        .post("/1.0/cluster/groups", &json!({"name": "g"}))
        .is_error(400, text);
    daemon.get("/1.0/cluster/groups/x").is_error(400, text);
    let evacuate = json!({"action": "evacuate"});
    daemon
        .post("/1.0/cluster/members/x/state", &evacuate)
        .is_error(404, "Cluster member not found");
    let text = "ServerName is required when enabling clustering";
    daemon
        .put("/1.0/cluster", &json!({"enabled": true}))
        .is_error(400, text);
    if crate::support::beyond_lxd("it restarts itself") {
        let leave = json!({"enabled": false});
        daemon
            .put("/1.0/cluster", &leave)
            .is_error(400, "This server is not clustered");
    }
}

#[test]
fn a_warning_that_there_is_not_cannot_be_changed() {
    let daemon = Lximaged::start();
    let put = |status: &str| daemon.put("/1.0/warnings/x", &json!({ "status": status }));
    put("").is_error(400, "Invalid warning type \"\"");
    put("alien").is_error(400, "Invalid warning type \"alien\"");
    let text = "Status may only be set to \"acknowledge\" or \"new\"";
    put("resolved").is_error(403, text);
    daemon
        .delete("/1.0/warnings/x")
        .is_error(404, "Warning not found");
    if crate::support::beyond_lxd("it says that all went well") {
        put("new").is_error(404, "Warning not found");
        let noted = json!({"status": "acknowledged"});
        daemon
            .patch("/1.0/warnings/x", &noted)
            .is_error(404, "Warning not found");
    }
}

#[test]
fn pools_have_no_volumes() {
    let daemon = Lximaged::start();
    for query in ["", "?recursion=1", "?filter=", "?filter=name%20eq%20x"] {
        let path = format!("/1.0/storage-pools/default/volumes/custom{query}");
        assert_eq!(daemon.get(&path).metadata(), &json!([]), "{query}");
    }
    let text = "Storage pool not found";
    daemon
        .get("/1.0/storage-pools/nope/volumes")
        .is_error(404, text);
    let text = "Invalid storage volume type name";
    daemon
        .get("/1.0/storage-pools/default/volumes/alien")
        .is_error(400, text);
    let text = "Storage pool volume not found";
    let volume = |method: &str| {
        let path = "/1.0/storage-pools/default/volumes/custom/x";
        daemon.send(&Request::new(method, path).json(&json!({})))
    };
    volume("DELETE").is_error(404, text);
    daemon
        .get("/1.0/storage-pools/default/volumes/custom/x")
        .is_error(404, text);
    let body = json!({"config": {}});
    daemon
        .put("/1.0/storage-pools/default/volumes/custom/x", &body)
        .is_error(404, text);
    daemon
        .patch("/1.0/storage-pools/default/volumes/custom/x", &body)
        .is_error(404, text);
    let body = json!({"name": "y"});
    daemon
        .post("/1.0/storage-pools/default/volumes/custom/x", &body)
        .is_error(404, text);
    daemon
        .delete("/1.0/storage-pools/default/volumes/custom/x")
        .is_error(404, text);
    let create = |body| daemon.post("/1.0/storage-pools/default/volumes", &body);
    let text = "You must provide a storage volume type of the storage volume";
    create(json!({"name": "x"})).is_error(400, text);
    let text = "Currently not allowed to create storage volumes of type \"image\"";
    create(json!({"name": "x", "type": "image"})).is_error(400, text);
}

#[test]
fn lxc_says_what_is_not_there() {
    let daemon = Lximaged::start();
    assert_eq!(
        daemon
            .lxc(&["storage", "volume", "list", "default", "-f", "csv"])
            .trim(),
        ""
    );
    let refused = daemon.lxc_fails(&["network", "acl", "list"]);
    assert!(refused.contains("missing the required"), "{refused}");
    assert_eq!(daemon.lxc(&["warning", "list", "-f", "csv"]).trim(), "");
    let refused = daemon.lxc_fails(&["network", "create", "br0"]);
    assert!(refused.contains("does not manage networks"), "{refused}");
    let refused = daemon.lxc_fails(&["storage", "volume", "create", "default", "v"]);
    assert!(refused.contains("not custom volumes"), "{refused}");
}
