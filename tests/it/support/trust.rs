//! Clients that the daemon trusts, and how they came to be.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use super::{
    Answer, Client, Lximaged, Request, image_api::fingerprint_of, images, stream::Identity,
};

/// A daemon that listens, and somebody with a certificate it does not know.
pub(crate) fn with_client() -> (Lximaged, Arc<Identity>, Client) {
    let daemon = Lximaged::start();
    let identity = Arc::new(Identity::new());
    let client = Client::with(daemon.listen(), &identity);
    (daemon, identity, client)
}

/// Adds a certificate as an administrator does.
#[track_caller]
pub(crate) fn trust(daemon: &Lximaged, identity: &Identity, projects: Option<&[&str]>) -> String {
    let body = json!({"name": "a client", "type": "client", "certificate": identity.base64(),
        "restricted": projects.is_some(), "projects": projects.unwrap_or_default()});
    let url = format!("/1.0/certificates/{}", identity.fingerprint());
    daemon.post("/1.0/certificates", &body).is_created(&url);
    url
}

/// What the daemon makes of a client.
pub(crate) fn auth(client: &Client) -> Value {
    client.get("/1.0").metadata()["auth"].clone()
}

/// Makes a project.
pub(crate) fn project(daemon: &Lximaged, name: &str) {
    let answer = daemon.post("/1.0/projects", &json!({ "name": name }));
    answer.is_created(&format!("/1.0/projects/{name}"));
}

/// Imports an image into a project, and gives its fingerprint.
pub(crate) fn import_into(daemon: &Lximaged, project: &str, marker: &str) -> String {
    let path = format!("/1.0/images?project={project}");
    let request = Request::new("POST", &path).body(images::container(marker));
    fingerprint_of(&daemon.finished(&daemon.send(&request)))
}

/// What `lxc config trust add` prints for a token operation.
pub(crate) fn printed(token: &Value) -> String {
    let metadata = &token["metadata"];
    let handed = json!({"client_name": metadata["request"]["name"],
        "fingerprint": metadata["fingerprint"], "addresses": metadata["addresses"],
        "secret": metadata["secret"], "expires_at": "0001-01-01T00:00:00Z"});
    BASE64.encode(handed.to_string())
}

/// Makes a join token, and gives its operation.
pub(crate) fn token(daemon: &Lximaged, more: &Value) -> Value {
    let mut body = json!({"name": "guest", "type": "client", "token": true});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    daemon.post("/1.0/certificates", &body).operation().clone()
}

/// Tries to join with a password or token.
pub(crate) fn join(client: &Client, password: &str) -> Answer {
    client.post(
        "/1.0/certificates",
        &json!({"type": "", "password": password}),
    )
}

/// Somebody who may use the project `own`, to whom these servers are open.
pub(crate) fn restricted(daemon: &Lximaged, servers: &str) -> Client {
    let address = daemon.listen();
    project(daemon, "own");
    let config = json!({"config": {"restricted.images.servers": servers}});
    daemon.patch("/1.0/projects/own", &config).is_done();
    let identity = Arc::new(Identity::new());
    trust(daemon, &identity, Some(&["own"]));
    Client::with(address, &identity)
}

/// What somebody restricted is told of every address that is not theirs to ask.
pub(crate) const NOT_ALLOWED: &str = "This project may not use that image server";
