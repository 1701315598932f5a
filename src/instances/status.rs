//! What an instance is doing.

use std::collections::BTreeMap;

use super::{Instance, Instances};
use crate::{
    api::objects::{InstanceState, MemoryState, NetworkAddress, NetworkCounters, NetworkState},
    error::Result,
    runtime,
};

/// Go's zero time, which means never.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing.
    Stopped,
    /// It runs.
    Running,
    /// It was stopped in its tracks, and can go on.
    Frozen,
}

impl Status {
    /// LXD's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
            Self::Frozen => "Frozen",
        }
    }

    /// LXD's number for it.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Stopped => 102,
            Self::Running => 103,
            Self::Frozen => 110,
        }
    }
}

impl Instances {
    /// What an instance is doing.
    pub(crate) fn status(&self, instance: &Instance) -> Status {
        match self.find_running(instance) {
            None => Status::Stopped,
            Some(running) if running.is_frozen() => Status::Frozen,
            Some(_) => Status::Running,
        }
    }

    /// What an instance is doing and uses.
    pub(crate) async fn state(&self, instance: &Instance) -> Result<InstanceState> {
        let status = self.status(instance);
        let mut state = InstanceState {
            status: status.name(),
            status_code: status.code(),
            ..InstanceState::default()
        };
        if let Some(running) = self.find_running(instance) {
            let usage = self.runtime.usage(&running).await;
            state.pid = running.pid().into();
            state.processes = number(usage.processes);
            state.cpu.usage = number(usage.cpu_ns);
            state.memory = memory(usage.memory);
            state.network = Some(network(usage.network));
        }
        Ok(state)
    }
}

fn memory(memory: runtime::Memory) -> MemoryState {
    MemoryState {
        usage: number(memory.usage_bytes),
        usage_peak: number(memory.peak_bytes),
        swap_usage: number(memory.swap_bytes),
        swap_usage_peak: number(memory.swap_peak_bytes),
    }
}

fn network(interfaces: Vec<runtime::Interface>) -> BTreeMap<String, NetworkState> {
    let interfaces = interfaces.into_iter();
    interfaces
        .map(|interface| (interface.name.clone(), shown(interface)))
        .collect()
}

fn shown(interface: runtime::Interface) -> NetworkState {
    let addresses = interface.addresses.into_iter();
    NetworkState {
        addresses: addresses.map(address).collect(),
        counters: counters(interface.counters),
        hwaddr: interface.hwaddr,
        host_name: interface.host_name,
        mtu: number(interface.mtu),
        state: if interface.is_up { "up" } else { "down" }.to_owned(),
        kind: interface.kind.to_owned(),
    }
}

fn address(address: runtime::Address) -> NetworkAddress {
    NetworkAddress {
        family: address.family,
        address: address.text,
        netmask: address.prefix.to_string(),
        scope: address.scope,
    }
}

fn counters(runtime::Counters { received, sent }: runtime::Counters) -> NetworkCounters {
    NetworkCounters {
        bytes_received: number(received.bytes),
        bytes_sent: number(sent.bytes),
        packets_received: number(received.packets),
        packets_sent: number(sent.packets),
        errors_received: number(received.errors),
        errors_sent: number(sent.errors),
        packets_dropped_outbound: number(sent.dropped),
        packets_dropped_inbound: number(received.dropped),
    }
}

/// Go's numbers are signed.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
