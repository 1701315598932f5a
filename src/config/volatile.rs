//! Keys in which the daemon notes what it knows of one instance.

use super::check::{self, Check, Checked};
use crate::image::ImageType;

/// Keys of every instance.
const KEYS: &[(&str, Check)] = &[
    ("volatile.apply_quota", check::any),
    ("volatile.apply_template", check::any),
    ("volatile.base_image", check::any),
    ("volatile.cloud-init.instance-id", uuid),
    ("volatile.evacuate.origin", check::any),
    ("volatile.last_state.power", check::any),
    ("volatile.uuid", uuid),
];

/// Keys of containers.
const OF_CONTAINERS: &[(&str, Check)] = &[
    ("volatile.idmap.base", check::any),
    ("volatile.idmap.current", check::any),
    ("volatile.idmap.next", check::any),
    ("volatile.last_state.idmap", check::any),
];

/// Keys of virtual machines.
const OF_MACHINES: &[(&str, Check)] = &[
    ("volatile.apply_nvram", check::any),
    ("volatile.vsock_id", check::any),
];

/// Ends of keys that are `volatile.DEVICE.…`.
const OF_DEVICES: &[&str] = &[
    ".apply_quota",
    ".ceph_rbd",
    ".created",
    ".driver",
    ".host_name",
    ".hwaddr",
    ".id",
    ".mtu",
    ".name",
    ".spoofcheck",
    ".uuid",
    ".vlan",
];

/// The check of a key; `None` for one that there is not.
pub(super) fn find(key: &str, kind: ImageType) -> Option<Check> {
    let of_kind = match kind {
        ImageType::Container => OF_CONTAINERS,
        ImageType::VirtualMachine => OF_MACHINES,
    };
    let exact = KEYS.iter().chain(of_kind).find(|(name, _)| *name == key);
    let is_devices = || OF_DEVICES.iter().any(|end| key.ends_with(end));
    exact
        .map(|(_, check)| *check)
        .or_else(|| is_devices().then_some(check::any as Check))
}

fn uuid(text: &str) -> Checked {
    uuid::Uuid::parse_str(text)
        .map(drop)
        .map_err(|_bad| "Invalid UUID".to_owned())
}
