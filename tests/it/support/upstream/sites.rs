//! A daemon, and an image server whose authority it trusts.

use serde_json::{Value, json};

use super::{Upstream, authority};
use crate::support::{Client, Lximaged, Options, pulls::merged};

/// A daemon and an image server.
pub(crate) struct Site {
    /// Who fetches.
    pub(crate) daemon: Lximaged,
    /// From whom.
    pub(crate) upstream: Upstream,
}

impl Site {
    /// Starts both.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts both, the daemon with these options.
    #[track_caller]
    pub(crate) fn with(options: Options) -> Self {
        Self {
            daemon: options.authority(authority().pem()).start(),
            upstream: Upstream::start(),
        }
    }

    /// A request for an image by simplestreams, with more in the source object.
    pub(crate) fn wish(&self, more: &Value) -> Value {
        let source = json!({"type": "image", "mode": "pull", "protocol": "simplestreams",
            "server": self.upstream.url()});
        json!({"source": merged(source, more)})
    }

    /// Asks for an image by simplestreams, and gives how that ended.
    #[track_caller]
    pub(crate) fn pull(&self, more: &Value) -> Value {
        self.daemon.ask("default", &self.wish(more))
    }
}

impl Client {
    /// Asks for an image of another server, and gives how that ended.
    #[track_caller]
    pub(crate) fn ask(&self, project: &str, body: &Value) -> Value {
        self.finished(&self.post(&format!("/1.0/images?project={project}"), body))
    }
}
