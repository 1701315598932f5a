//! What a container is to be started as.

use std::path::PathBuf;

use super::Syscalls;

/// Everything that liblxc's configuration is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spec {
    /// The name among all containers of the daemon: `NAME` or `PROJECT_NAME`, as in LXD.
    pub(crate) name: String,
    /// What the container calls itself.
    pub(crate) hostname: String,
    /// LXD's name of its architecture.
    pub(crate) architecture: String,
    /// Its mounted root file system, with owners as they are on the host.
    pub(crate) rootfs: PathBuf,
    /// Its ids on the host; none for a privileged container.
    pub(crate) ids: Option<Ids>,
    /// Whether it may run containers itself.
    pub(crate) has_nesting: bool,
    /// Which calls of the kernel it may not make.
    pub(crate) syscalls: Syscalls,
    /// What it may use.
    pub(crate) limits: Limits,
    /// Variables of its first process.
    pub(crate) environment: Vec<(String, String)>,
    /// Host paths that are seen inside.
    pub(crate) binds: Vec<Bind>,
    /// Its interfaces.
    pub(crate) nics: Vec<Nic>,
    /// Lines of liblxc's configuration that its owner adds.
    pub(crate) raw: String,
}

/// Host ids: `base` + the container's id, for ids below `size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The host's id of the container's root.
    pub(crate) base: u32,
    /// How many there are.
    pub(crate) size: u32,
}

/// What a container may use; nothing is limited by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The numbers of the processors it may run on.
    pub(crate) cpus: Option<Vec<u32>>,
    /// How much memory it may have.
    pub(crate) memory_bytes: Option<u64>,
    /// How many processes and threads it may have.
    pub(crate) processes: Option<u64>,
}

/// A host path that is seen inside.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the mount, and they go with each other in every way"
)]
pub(crate) struct Bind {
    /// On the host.
    pub(crate) source: PathBuf,
    /// Above it, the directory that it must not leave, if there is one.
    pub(crate) below: Option<PathBuf>,
    /// Inside, absolute.
    pub(crate) target: PathBuf,
    /// Whether it is a directory rather than a file.
    pub(crate) is_directory: bool,
    /// Whether it cannot be written to inside.
    pub(crate) is_read_only: bool,
    /// Whether what is mounted below it is seen too.
    pub(crate) is_recursive: bool,
    /// Whether the container starts without it too.
    pub(crate) is_optional: bool,
    /// The kernel's word for how mounts spread, if it is not the usual one.
    pub(crate) propagation: Option<String>,
}

/// An interface.
#[derive(Debug, Clone)]
pub(crate) struct Nic {
    /// To what it leads.
    pub(crate) kind: NicKind,
    /// Its name inside; the kernel chooses when there is none.
    pub(crate) name: Option<String>,
    /// Its name on the host; liblxc chooses when there is none.
    pub(crate) host_name: Option<String>,
    /// Its address.
    pub(crate) hwaddr: Option<String>,
    /// The longest packet.
    pub(crate) mtu: Option<u32>,
}

/// To what an interface leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NicKind {
    /// A port of this bridge of the host.
    Bridged(String),
    /// An interface of the host.
    PointToPoint,
}
