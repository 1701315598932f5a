//! HTTP: requests are parsed, one service call is made, the answer is rendered.
//!
//! Everything that is answered is a row in [`routes`]. [`dispatch`] leads a request to its row,
//! [`call`] is what a handler gets, [`answer`] what it returns. Deliberately absent: SQL, image
//! files, and decisions about images.

mod answer;
mod call;
mod cors;
mod dispatch;
mod events;
mod files;
mod lasting;
mod origin;
mod peer;
mod routes;
pub(crate) mod server;
pub(crate) mod tls;
mod unread;
mod v1;
mod websocket;

pub(crate) use dispatch::router;
pub(crate) use lasting::{Lasting, Version};
pub(crate) use routes::ROUTES;

use std::sync::Arc;

use crate::{
    access::Projects,
    error::Result,
    images::Images,
    instances::{Instances, Pools, Profiles},
    jobs::Jobs,
    operations::Operations,
    settings::Settings,
    tasks::Tasks,
    trust::Certificates,
};

/// Takes a certificate and its key, PEM.
pub(crate) type ReplaceCertificate = Arc<dyn Fn(&str, &str) -> Result<()> + Send + Sync>;

/// What handlers call.
pub(crate) struct Services {
    /// Images and aliases.
    pub(crate) images: Images,
    /// Instances.
    pub(crate) instances: Instances,
    /// Projects.
    pub(crate) projects: Projects,
    /// Profiles.
    pub(crate) profiles: Profiles,
    /// Storage pools.
    pub(crate) pools: Pools,
    /// Whom the server trusts.
    pub(crate) certificates: Certificates,
    /// Server settings.
    pub(crate) settings: Settings,
    /// What the daemon does by itself.
    pub(crate) jobs: Jobs,
    /// Operations and events.
    pub(crate) operations: Operations,
    /// Spawned work.
    pub(crate) tasks: Tasks,
    /// What the server is and runs on.
    pub(crate) facts: Facts,
    /// The certificate it serves with.
    pub(crate) identity: tls::Identity,
    /// Keeps and serves with another certificate and key (PEM).
    pub(crate) replace_certificate: ReplaceCertificate,
    /// Answers that last until that changes.
    pub(crate) lasting: Lasting,
    /// The state of the database; asked anew each time.
    pub(crate) version: Arc<dyn Fn() -> Version + Send + Sync>,
    /// Where it listens; asked anew each time, because that changes.
    pub(crate) addresses: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// What the server is and runs on; found out once.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// `Linux`.
    pub(crate) kernel: String,
    /// The kernel's name of the architecture.
    pub(crate) kernel_architecture: String,
    /// The kernel's version.
    pub(crate) kernel_version: String,
    /// The distribution.
    pub(crate) os_name: String,
    /// Its version.
    pub(crate) os_version: String,
    /// The host name.
    pub(crate) server_name: String,
}
