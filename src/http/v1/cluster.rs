//! `/1.0/cluster`: this server stands alone.

use super::{Answer, Call};
use crate::{
    api::{
        objects::Cluster,
        requests::{ClusterCertificatePut, ClusterPut},
    },
    error::{Error, Result},
};

/// GET: this server is no cluster member.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn get(_call: Call) -> Result<Answer> {
    let cluster = Cluster {
        server_name: "",
        enabled: false,
        member_config: [],
    };
    Answer::tagged(&cluster, &cluster)
}

/// What can be asked of members of a cluster that there is not.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn members(_call: Call) -> Result<Answer> {
    Err(Error::failed("Server is not clustered"))
}

/// What can be done with groups and new members of a cluster that there is not.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn groups(_call: Call) -> Result<Answer> {
    Err(Error::bad_request("This server is not clustered"))
}

/// PUT: founds, joins or leaves a cluster.
// LXD: leaving a cluster that there is not restarts the daemon.
pub(crate) async fn put(mut call: Call) -> Result<Answer> {
    let ClusterPut {
        server_name,
        enabled,
    } = call.json().await?;
    if enabled && server_name.is_empty() {
        let text = "ServerName is required when enabling clustering";
        return Err(Error::bad_request(text));
    }
    Err(Error::bad_request("This server is not clustered"))
}

/// POST: moves a member's instances away.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn evacuate(_call: Call) -> Result<Answer> {
    Err(Error::not_found("Cluster member not found"))
}

/// PUT: another certificate for the server, which serves with it from the next connection on.
pub(crate) async fn replace_certificate(mut call: Call) -> Result<Answer> {
    let ClusterCertificatePut { certificate, key } = call.json().await?;
    let services = std::sync::Arc::clone(&call.services);
    let replace = move || (services.replace_certificate)(&certificate, &key);
    call.services.tasks.run_blocking(replace).await?;
    Ok(Answer::done())
}
