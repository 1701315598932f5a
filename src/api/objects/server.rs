//! The server object of `/1.0`.

use std::collections::BTreeMap;

use serde::Serialize;

/// LXD's server object. An untrusted caller reads it without `config` and `environment`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Server {
    /// Settings that differ from their defaults; a hidden one shows as `true`. Restricted callers
    /// read `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<serde_json::Value>,
    /// What this daemon does beyond the first version of the API.
    pub(crate) api_extensions: &'static [&'static str],
    /// `stable`.
    pub(crate) api_status: &'static str,
    /// `1.0`.
    pub(crate) api_version: &'static str,
    /// `trusted` or `untrusted`.
    pub(crate) auth: &'static str,
    /// Whether the server serves images and nothing else.
    pub(crate) public: bool,
    /// How clients may prove who they are.
    pub(crate) auth_methods: [&'static str; 1],
    /// What the server is and runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<Environment>,
}

/// What the server is and runs on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Environment {
    /// `host:port` of every address it listens on.
    pub(crate) addresses: Vec<String>,
    /// The machine's architecture first, then those it also runs.
    pub(crate) architectures: Vec<&'static str>,
    /// The server certificate (PEM).
    pub(crate) certificate: String,
    /// SHA-256 of the certificate.
    pub(crate) certificate_fingerprint: String,
    /// What runs instances.
    pub(crate) driver: &'static str,
    /// Its version.
    pub(crate) driver_version: &'static str,
    /// What filters packets.
    pub(crate) firewall: &'static str,
    /// `Linux`.
    pub(crate) kernel: String,
    /// The kernel's name of the architecture.
    pub(crate) kernel_architecture: String,
    /// What the kernel can do.
    pub(crate) kernel_features: BTreeMap<&'static str, &'static str>,
    /// The kernel's version.
    pub(crate) kernel_version: String,
    /// What liblxc can do.
    pub(crate) lxc_features: BTreeMap<&'static str, &'static str>,
    /// The distribution.
    pub(crate) os_name: String,
    /// Its version.
    pub(crate) os_version: String,
    /// The project the caller asked about.
    pub(crate) project: String,
    /// `lxd`, because clients gate on it.
    pub(crate) server: &'static str,
    /// Always false.
    pub(crate) server_clustered: bool,
    /// `full-mesh`.
    pub(crate) server_event_mode: &'static str,
    /// The host name.
    pub(crate) server_name: String,
    /// Process number.
    pub(crate) server_pid: u32,
    /// The version of LXD whose behaviour this is.
    pub(crate) server_version: &'static str,
    /// The version of lximaged itself.
    pub(crate) lximaged_version: &'static str,
    /// Storage drivers in use, ` | ` between them.
    pub(crate) storage: String,
    /// Their versions, likewise.
    pub(crate) storage_version: String,
    /// Drivers it could use.
    pub(crate) storage_supported_drivers: Vec<StorageDriver>,
}

/// A storage driver. LXD capitalises these keys.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StorageDriver {
    /// `dir`.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// Whether it is reached over a network.
    pub(crate) remote: bool,
}

/// LXD's cluster object, of a server that is no member of one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cluster {
    /// Empty.
    pub(crate) server_name: &'static str,
    /// False.
    pub(crate) enabled: bool,
    /// Empty.
    pub(crate) member_config: [(); 0],
}
