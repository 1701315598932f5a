//! Instances, their snapshots and their state as clients see them.

use std::collections::BTreeMap;

use serde::Serialize;

/// Configuration keys and values.
type Config = BTreeMap<String, String>;

/// Devices by name, each with its options.
type Devices = BTreeMap<String, Config>;

/// LXD's instance object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Instance {
    /// LXD's canonical name of the architecture.
    pub(crate) architecture: String,
    /// Its own configuration.
    pub(crate) config: Config,
    /// Its own devices.
    pub(crate) devices: Devices,
    /// Whether it goes when it stops.
    pub(crate) ephemeral: bool,
    /// Names of its profiles, in the order in which they apply.
    pub(crate) profiles: Vec<String>,
    /// Whether its memory was kept when it stopped; never here.
    pub(crate) stateful: bool,
    /// Free text.
    pub(crate) description: String,
    /// When it was made.
    pub(crate) created_at: String,
    /// Its configuration with that of its profiles.
    pub(crate) expanded_config: Config,
    /// Its devices with those of its profiles.
    pub(crate) expanded_devices: Devices,
    /// Its name.
    pub(crate) name: String,
    /// `Stopped`, `Running`, `Frozen`, …
    pub(crate) status: &'static str,
    /// The number of that status.
    pub(crate) status_code: u16,
    /// When it was last started; the epoch for never.
    pub(crate) last_used_at: String,
    /// `none`: this daemon is no cluster member.
    pub(crate) location: &'static str,
    /// `container` or `virtual-machine`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The project it belongs to.
    pub(crate) project: String,
}

impl Instance {
    /// What its `ETag` is made from.
    pub(crate) fn tagged(&self) -> impl Serialize + '_ {
        (
            &self.architecture,
            &self.config,
            &self.devices,
            self.ephemeral,
            &self.profiles,
        )
    }
}

/// An instance with everything that belongs to it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InstanceFull {
    /// The instance itself.
    #[serde(flatten)]
    pub(crate) instance: Instance,
    /// Backups; there are none.
    pub(crate) backups: Option<Vec<()>>,
    /// What it uses.
    pub(crate) state: InstanceState,
    /// Its snapshots, oldest first; `null` for none.
    pub(crate) snapshots: Option<Vec<InstanceSnapshot>>,
}

/// LXD's snapshot object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InstanceSnapshot {
    /// When it goes; the zero time for never.
    pub(crate) expires_at: String,
    /// LXD's canonical name of the architecture.
    pub(crate) architecture: String,
    /// The configuration the instance had of its own.
    pub(crate) config: Config,
    /// When it was made.
    pub(crate) created_at: String,
    /// The devices the instance had of its own.
    pub(crate) devices: Devices,
    /// Whether the instance was ephemeral.
    pub(crate) ephemeral: bool,
    /// The configuration with that of the profiles.
    pub(crate) expanded_config: Config,
    /// The devices with those of the profiles.
    pub(crate) expanded_devices: Devices,
    /// The zero time.
    pub(crate) last_used_at: &'static str,
    /// Its name, without the instance's.
    pub(crate) name: String,
    /// Names of the profiles.
    pub(crate) profiles: Vec<String>,
    /// Whether it has the memory too; never here.
    pub(crate) stateful: bool,
    /// Its bytes; -1 for unknown.
    pub(crate) size: i64,
}

/// What an instance is doing and uses.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct InstanceState {
    /// `Stopped`, `Running`, `Frozen`, …
    pub(crate) status: &'static str,
    /// The number of that status.
    pub(crate) status_code: u16,
    /// By disk.
    pub(crate) disk: BTreeMap<String, DiskState>,
    /// Bytes of memory.
    pub(crate) memory: MemoryState,
    /// By interface; `null` when it does not run.
    pub(crate) network: Option<BTreeMap<String, NetworkState>>,
    /// Its first process; 0 when it does not run.
    pub(crate) pid: i64,
    /// How many processes it has.
    pub(crate) processes: i64,
    /// Time on processors.
    pub(crate) cpu: CpuState,
}

/// How much of a disk is used.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct DiskState {
    /// Bytes.
    pub(crate) usage: i64,
}

/// How much memory is used, in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct MemoryState {
    /// Now.
    pub(crate) usage: i64,
    /// At most so far.
    pub(crate) usage_peak: i64,
    /// Swap, now.
    pub(crate) swap_usage: i64,
    /// Swap, at most so far.
    pub(crate) swap_usage_peak: i64,
}

/// How much time on processors was used.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct CpuState {
    /// Nanoseconds.
    pub(crate) usage: i64,
}

/// An interface of an instance.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct NetworkState {
    /// Its addresses.
    pub(crate) addresses: Vec<NetworkAddress>,
    /// What went through it.
    pub(crate) counters: NetworkCounters,
    /// Its hardware address.
    pub(crate) hwaddr: String,
    /// The interface of the host at its other end.
    pub(crate) host_name: String,
    /// Longest packet.
    pub(crate) mtu: i64,
    /// `up` or `down`.
    pub(crate) state: String,
    /// `broadcast`, `loopback`, …
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// An address of an interface.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct NetworkAddress {
    /// `inet` or `inet6`.
    pub(crate) family: String,
    /// The address.
    pub(crate) address: String,
    /// Length of the network's prefix.
    pub(crate) netmask: String,
    /// `global`, `link` or `local`.
    pub(crate) scope: String,
}

/// What went through an interface.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct NetworkCounters {
    /// Bytes in.
    pub(crate) bytes_received: i64,
    /// Bytes out.
    pub(crate) bytes_sent: i64,
    /// Packets in.
    pub(crate) packets_received: i64,
    /// Packets out.
    pub(crate) packets_sent: i64,
    /// Packets in that were damaged.
    pub(crate) errors_received: i64,
    /// Packets out that were damaged.
    pub(crate) errors_sent: i64,
    /// Packets out that were dropped.
    pub(crate) packets_dropped_outbound: i64,
    /// Packets in that were dropped.
    pub(crate) packets_dropped_inbound: i64,
}
