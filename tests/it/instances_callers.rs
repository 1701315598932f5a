//! What callers who may use some projects only can do with instances.

use std::sync::Arc;

use serde_json::json;

use crate::support::{Client, Lximaged, stream::Identity};

/// A daemon with an instance in `own` and one in `other`, and a caller who may use `own`.
fn with_caller() -> (Lximaged, Client) {
    let daemon = Lximaged::start();
    let address = daemon.listen();
    for project in ["own", "other"] {
        let body = json!({"name": project, "config": {"features.profiles": "false"}});
        daemon
            .post("/1.0/projects", &body)
            .is_created(&format!("/1.0/projects/{project}"));
        let body = json!({"name": "c1", "source": {"type": "none"}});
        let path = format!("/1.0/instances?project={project}");
        daemon.succeeds(&daemon.post(&path, &body));
    }
    let identity = Arc::new(Identity::new());
    let body = json!({"type": "client", "certificate": identity.base64(), "restricted": true,
        "projects": ["own"]});
    assert_eq!(daemon.post("/1.0/certificates", &body).status, 201);
    let caller = Client::with(address, &identity);
    (daemon, caller)
}

#[test]
fn nobody_copies_or_moves_across_the_border_of_their_projects() {
    let (daemon, caller) = with_caller();
    let source = json!({"type": "copy", "source": "c1", "project": "other"});
    let body = json!({"name": "stolen", "source": source});
    caller
        .post("/1.0/instances?project=own", &body)
        .is_error(403, "not authorized");
    let there = json!({"name": "c9", "project": "other", "migration": true});
    caller
        .post("/1.0/instances/c1?project=own", &there)
        .is_error(403, "not authorized");
    assert_eq!(daemon.instance_names("own"), ["c1"]);
    assert_eq!(daemon.instance_names("other"), ["c1"]);
    let source = json!({"type": "copy", "source": "c1"});
    let body = json!({"name": "c2", "source": source});
    caller.succeeds(&caller.post("/1.0/instances?project=own", &body));
}

#[test]
fn nobody_reads_names_of_others_instances() {
    let (daemon, caller) = with_caller();
    let own = "/1.0/instances/c1?project=own";
    let profile = caller.get("/1.0/profiles/default?project=own");
    assert_eq!(profile.metadata()["used_by"], json!([own]));
    let pool = caller.get("/1.0/storage-pools/default");
    assert_eq!(pool.metadata()["used_by"], json!([own]));
    let volumes = "/1.0/storage-pools/default/volumes?project=own&all-projects=true";
    let url = "/1.0/storage-pools/default/volumes/container/c1?project=own";
    assert_eq!(caller.get(volumes).metadata(), &json!([url]));
    let all = caller.get("/1.0/instances?all-projects=true");
    all.is_error(403, "not authorized");
    let users = daemon.get("/1.0/profiles/default").metadata()["used_by"].clone();
    assert_eq!(users.as_array().unwrap().len(), 2);
}
