//! `/` and `/1.0`.

use std::collections::BTreeMap;

use super::{Answer, Call};
use crate::{
    api::{
        EXTENSIONS,
        json::Json,
        objects::{Environment, Server, StorageDriver},
        requests::ServerPut,
    },
    config::keys::{Change, Scalar},
    error::{Error, Result},
    image,
    operations::happened,
};

/// GET /: the versions of the API.
#[expect(clippy::unused_async, reason = "handlers are async")]
pub(crate) async fn versions(_call: Call) -> Result<Answer> {
    Answer::sync(&["/1.0"])
}

/// GET: what the server is; strangers read less.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    if call
        .query("target")
        .is_some_and(|target| !target.is_empty())
    {
        return Err(Error::not_found("Cluster member not found"));
    }
    let is_trusted = call.caller.is_trusted();
    let mut server = Server {
        config: None,
        api_extensions: EXTENSIONS,
        api_status: "stable",
        api_version: "1.0",
        auth: if is_trusted { "trusted" } else { "untrusted" },
        public: false,
        auth_methods: ["tls"],
        environment: None,
    };
    if !is_trusted {
        return Answer::sync(&server);
    }
    server.environment = Some(environment(&call).await?);
    let config = call.services.settings.rendered();
    let config = call.caller.is_admin().then_some(config);
    server.config = Some(serde_json::json!(config));
    Answer::tagged(&server, &config)
}

/// PUT: the whole configuration.
pub(crate) async fn put(call: Call) -> Result<Answer> {
    change(call, Change::Put).await
}

/// PATCH: the keys that are named.
pub(crate) async fn patch(call: Call) -> Result<Answer> {
    change(call, Change::Patch).await
}

async fn change(mut call: Call, how: Change) -> Result<Answer> {
    let settings = &call.services.settings.clone();
    call.edit().check(&settings.rendered())?;
    let new: ServerPut = call.json().await?;
    let body = new
        .config
        .into_iter()
        .map(|(key, value)| (key, scalar(value)))
        .collect();
    settings.change(how, body, &call.edit()).await?;
    let event = happened("config-updated", "/1.0", "default", Some(call.requestor()));
    call.services
        .operations
        .events()
        .lifecycle(Some("default"), &event);
    Ok(Answer::done())
}

/// What the table of settings needs to know of a JSON value.
fn scalar(value: Json) -> Scalar {
    match value {
        Json::Null => Scalar::Null,
        Json::Bool(value) => Scalar::Bool(value),
        Json::Number(_) => Scalar::Number,
        Json::String(_) => Scalar::String(value.into_string().unwrap_or_default()),
        Json::Array(_) => Scalar::Array,
        Json::Object(_) => Scalar::Object,
    }
}

async fn environment(call: &Call) -> Result<Environment> {
    let (services, facts) = (&call.services, call.services.facts.clone());
    let certificate = services.identity.current();
    let has_pools = !services.pools.list().await?.is_empty();
    Ok(Environment {
        addresses: (services.addresses)(),
        architectures: image::host_architectures(),
        certificate: certificate.pem.clone(),
        certificate_fingerprint: certificate.fingerprint.clone(),
        driver: "lxc",
        driver_version: "5.0.2",
        firewall: "nftables",
        kernel: facts.kernel,
        kernel_architecture: facts.kernel_architecture,
        kernel_features: BTreeMap::new(),
        kernel_version: facts.kernel_version,
        lxc_features: BTreeMap::new(),
        os_name: facts.os_name,
        os_version: facts.os_version,
        project: call.project().to_owned(),
        server: "lxd",
        server_clustered: false,
        server_event_mode: "full-mesh",
        server_name: facts.server_name,
        server_pid: std::process::id(),
        server_version: "5.0.2",
        lximaged_version: env!("CARGO_PKG_VERSION"),
        storage: if has_pools { "dir" } else { "" }.to_owned(),
        storage_version: if has_pools { "1" } else { "" }.to_owned(),
        storage_supported_drivers: vec![StorageDriver {
            name: "dir",
            version: "1",
            remote: false,
        }],
    })
}
