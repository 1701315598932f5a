//! What a running container uses.

use super::{Interface, Running, Runtime};

/// What a container uses now. What the host does not count is 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    /// Processor time since its start.
    pub(crate) cpu_ns: u64,
    /// Processes and threads.
    pub(crate) processes: u64,
    /// Memory.
    pub(crate) memory: Memory,
    /// Its interfaces, in the kernel's order.
    pub(crate) network: Vec<Interface>,
}

/// Bytes of memory.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_field_names,
    reason = "a number says in its name what it counts"
)]
pub(crate) struct Memory {
    /// In use.
    pub(crate) usage_bytes: u64,
    /// The most there was in use.
    pub(crate) peak_bytes: u64,
    /// In swap.
    pub(crate) swap_bytes: u64,
    /// The most there was in swap.
    pub(crate) swap_peak_bytes: u64,
}

impl Runtime {
    /// What a container uses now.
    pub(crate) async fn usage(&self, running: &Running) -> Usage {
        let network = super::network::interfaces(running.pid()).await;
        let counted = running.clone();
        let counted = self.0.tasks.run_blocking(move || Ok(count(&counted))).await;
        let mut usage = counted.unwrap_or_default();
        usage.network = network.unwrap_or_else(|error| {
            tracing::debug!(%error, container = running.name(), "interfaces are not known");
            Vec::new()
        });
        usage
    }
}

fn count(running: &Running) -> Usage {
    let group = running.group();
    let memory = |legacy: &str, unified: &str| {
        group
            .number("memory", &format!("memory.{legacy}"), unified)
            .unwrap_or(0)
    };
    let usage_bytes = memory("usage_in_bytes", "memory.current");
    let peak_bytes = memory("max_usage_in_bytes", "memory.peak");
    // The first version counts memory and swap together, if it counts swap at all.
    let swap = |legacy, unified, memory_bytes: u64| {
        let path = format!("memory.{legacy}");
        let both = group.number("memory", &path, unified).unwrap_or(0);
        both.saturating_sub(if group.is_legacy("memory") {
            memory_bytes
        } else {
            0
        })
    };
    Usage {
        cpu_ns: cpu_ns(running),
        processes: group
            .number("pids", "pids.current", "pids.current")
            .unwrap_or(0),
        memory: Memory {
            usage_bytes,
            peak_bytes,
            swap_bytes: swap("memsw.usage_in_bytes", "memory.swap.current", usage_bytes),
            swap_peak_bytes: swap("memsw.max_usage_in_bytes", "memory.swap.peak", peak_bytes),
        },
        network: Vec::new(),
    }
}

fn cpu_ns(running: &Running) -> u64 {
    let text = running
        .group()
        .read("cpuacct", "cpuacct.usage", "cpu.stat")
        .unwrap_or_default();
    if let Ok(nanoseconds) = text.trim().parse() {
        return nanoseconds;
    }
    let microseconds = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    let microseconds: Option<u64> = microseconds.and_then(|number| number.parse().ok());
    microseconds.unwrap_or(0).saturating_mul(1000)
}
