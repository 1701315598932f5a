//! Two daemons, one of which takes images from the other.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Client, Lximaged, Options};

/// A daemon that listens, and one that pulls from it.
pub(crate) struct Pair {
    /// Where images come from.
    pub(crate) source: Lximaged,
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Where they go.
    pub(crate) target: Lximaged,
}

impl Pair {
    /// Starts both.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts both, the target with these options.
    #[track_caller]
    pub(crate) fn with(target: Options) -> Self {
        let source = Lximaged::start();
        let address = source.listen();
        let target = target.start();
        Self {
            source,
            address,
            target,
        }
    }

    /// The source's URL.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A source object as `lxc` sends it, with more in it.
    #[track_caller]
    pub(crate) fn from(&self, more: &Value) -> Value {
        let source = json!({"type": "image", "mode": "pull", "protocol": "lxd",
            "server": self.url(), "certificate": certificate(&self.source)});
        merged(source, more)
    }

    /// Pulls with this in the source object, as the administrator of the target.
    #[track_caller]
    pub(crate) fn pull(&self, more: &Value) -> Value {
        self.pull_as(&self.target, "default", more, &json!({}))
    }

    /// Pulls as somebody, into a project, with more in the request.
    #[track_caller]
    pub(crate) fn pull_as(
        &self,
        client: &Client,
        project: &str,
        source: &Value,
        more: &Value,
    ) -> Value {
        let body = merged(json!({"source": self.from(source)}), more);
        let answer = client.post(&format!("/1.0/images?project={project}"), &body);
        client.finished(&answer)
    }

    /// A secret that opens an image of the source.
    #[track_caller]
    pub(crate) fn secret(&self, fingerprint: &str) -> String {
        let path = format!("/1.0/images/{fingerprint}/secret");
        let answer = self.source.post(&path, &json!({}));
        let secret = &answer.operation()["metadata"]["secret"];
        secret.as_str().unwrap().to_owned()
    }

    /// Has the target bring an image up to date, and tells what became of it.
    #[track_caller]
    pub(crate) fn refresh(&self, fingerprint: &str) -> Value {
        let path = format!("/1.0/images/{fingerprint}/refresh");
        let answer = self.target.post(&path, &json!({}));
        self.target.finished(&answer)
    }

    /// Has the source push an image to the target, which expects it.
    #[track_caller]
    pub(crate) fn push(&self, fingerprint: &str, secret: &str) -> Value {
        let address = self.target.listen();
        let body = json!({"target": format!("https://{address}"), "secret": secret,
            "certificate": certificate(&self.target), "project": "default"});
        let path = format!("/1.0/images/{fingerprint}/export");
        let answer = self.source.post(&path, &body);
        self.source.finished(&answer)
    }

    /// The target's token for an image that is to come.
    #[track_caller]
    pub(crate) fn token(&self, fingerprint: &str, more: &Value) -> String {
        let source = json!({"type": "image", "mode": "push", "fingerprint": fingerprint});
        let body = merged(json!({ "source": source }), more);
        let answer = self.target.post("/1.0/images", &body);
        let secret = &answer.operation()["metadata"]["secret"];
        secret.as_str().unwrap().to_owned()
    }
}

/// A daemon's certificate.
#[track_caller]
pub(crate) fn certificate(daemon: &Client) -> String {
    let server = daemon.get("/1.0");
    let pem = &server.metadata()["environment"]["certificate"];
    pem.as_str().unwrap().to_owned()
}

/// An object with the members of another one in it.
pub(crate) fn merged(mut object: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}
