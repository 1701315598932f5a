//! The machine's resources as clients see them.

use serde::Serialize;

/// LXD's resources object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Resources {
    /// Processors.
    pub(crate) cpu: Cpu,
    /// Memory.
    pub(crate) memory: Memory,
    /// Graphics cards; none is looked for.
    pub(crate) gpu: Cards,
    /// Network cards; none is looked for.
    pub(crate) network: Cards,
    /// Disks.
    pub(crate) storage: Disks,
    /// USB devices; none is looked for.
    pub(crate) usb: Devices,
    /// PCI devices; none is looked for.
    pub(crate) pci: Devices,
    /// The machine itself.
    pub(crate) system: System,
}

/// Processors.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cpu {
    /// LXD's name of the architecture.
    pub(crate) architecture: String,
    /// By socket.
    pub(crate) sockets: Vec<Socket>,
    /// How many threads there are.
    pub(crate) total: u64,
}

/// A processor package.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "LXD's names")]
pub(crate) struct Socket {
    /// Its model.
    pub(crate) name: String,
    /// Who made it.
    pub(crate) vendor: String,
    /// Its number.
    pub(crate) socket: u64,
    /// Its cores.
    pub(crate) cores: Vec<Core>,
}

/// A core.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "LXD's names")]
pub(crate) struct Core {
    /// Its number in the socket.
    pub(crate) core: u64,
    /// 0.
    pub(crate) die: u64,
    /// Its threads.
    pub(crate) threads: Vec<Thread>,
}

/// A thread of a core.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "LXD's names")]
pub(crate) struct Thread {
    /// The kernel's number.
    pub(crate) id: u64,
    /// 0.
    pub(crate) numa_node: u64,
    /// Its number in the core.
    pub(crate) thread: u64,
    /// True.
    pub(crate) online: bool,
    /// False.
    pub(crate) isolated: bool,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Memory {
    /// Empty: not told by node.
    pub(crate) nodes: [(); 0],
    /// In huge pages.
    pub(crate) hugepages_total: u64,
    /// Of those, in use.
    pub(crate) hugepages_used: u64,
    /// Size of a huge page.
    pub(crate) hugepages_size: u64,
    /// In use.
    pub(crate) used: u64,
    /// In all.
    pub(crate) total: u64,
}

/// A list of cards.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Cards {
    /// The cards.
    pub(crate) cards: [(); 0],
    /// How many.
    pub(crate) total: u64,
}

/// A list of devices.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Devices {
    /// The devices.
    pub(crate) devices: [(); 0],
    /// How many.
    pub(crate) total: u64,
}

/// A list of disks.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Disks {
    /// The disks.
    pub(crate) disks: Vec<Disk>,
    /// How many.
    pub(crate) total: u64,
}

/// A disk.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Disk {
    /// The kernel's name.
    pub(crate) id: String,
    /// Its numbers, `MAJOR:MINOR`.
    pub(crate) device: String,
    /// Whether it cannot be written.
    pub(crate) read_only: bool,
    /// Bytes.
    pub(crate) size: u64,
    /// Whether it can be taken out.
    pub(crate) removable: bool,
    /// 0.
    pub(crate) numa_node: u64,
    /// Empty: not looked for.
    pub(crate) partitions: [(); 0],
}

/// The machine itself; nothing of it is looked for.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct System {
    /// Empty.
    pub(crate) uuid: String,
    /// Empty.
    pub(crate) vendor: String,
    /// Empty.
    pub(crate) product: String,
    /// Empty.
    pub(crate) family: String,
    /// Empty.
    pub(crate) version: String,
    /// Empty.
    pub(crate) sku: String,
    /// Empty.
    pub(crate) serial: String,
    /// Empty.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `null`.
    pub(crate) firmware: Option<()>,
    /// `null`.
    pub(crate) chassis: Option<()>,
    /// `null`.
    pub(crate) motherboard: Option<()>,
}
