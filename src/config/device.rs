//! Devices of profiles and instances: types, options, and LXD's texts.

use std::collections::BTreeMap;

use super::check::{self, Check, Checked};

/// The options of a device.
type Options = BTreeMap<String, String>;

/// Options by name, each with its check, and whether a device needs it.
type Table = &'static [(&'static str, Check, bool)];

const DISK: Table = &[
    ("boot.priority", check::uint32, false),
    ("ceph.cluster_name", check::any, false),
    ("ceph.user_name", check::any, false),
    ("limits.max", check::any, false),
    ("limits.read", check::any, false),
    ("limits.write", check::any, false),
    ("path", check::any, false),
    ("pool", check::any, false),
    ("propagation", propagation, false),
    ("raw.mount.options", check::any, false),
    ("readonly", check::boolean, false),
    ("recursive", check::boolean, false),
    ("required", check::boolean, false),
    ("shift", check::boolean, false),
    ("size", check::size, false),
    ("size.state", check::size, false),
    ("source", check::any, false),
];

/// Options of every kind of network card.
const NIC: Table = &[
    ("acceleration", check::any, false),
    ("boot.priority", check::uint32, false),
    ("gvrp", check::boolean, false),
    ("host_name", check::any, false),
    ("hwaddr", check::mac_address, false),
    ("ipv4.address", check::any, false),
    ("ipv4.gateway", check::any, false),
    ("ipv4.host_address", check::any, false),
    ("ipv4.host_table", check::uint32, false),
    ("ipv4.neighbor_probe", check::boolean, false),
    ("ipv4.routes", check::any, false),
    ("ipv4.routes.external", check::any, false),
    ("ipv6.address", check::any, false),
    ("ipv6.gateway", check::any, false),
    ("ipv6.host_address", check::any, false),
    ("ipv6.host_table", check::uint32, false),
    ("ipv6.neighbor_probe", check::boolean, false),
    ("ipv6.routes", check::any, false),
    ("ipv6.routes.external", check::any, false),
    ("limits.egress", check::any, false),
    ("limits.ingress", check::any, false),
    ("limits.max", check::any, false),
    ("limits.priority", check::uint32, false),
    ("maas.subnet.ipv4", check::any, false),
    ("maas.subnet.ipv6", check::any, false),
    ("mode", check::any, false),
    ("mtu", check::mtu, false),
    ("name", check::any, false),
    ("nested", check::any, false),
    ("network", check::any, false),
    ("nictype", check::any, false),
    ("parent", check::any, false),
    ("queue.tx.length", check::uint32, false),
    ("security.acls", check::any, false),
    ("security.acls.default.egress.action", check::any, false),
    ("security.acls.default.egress.logged", check::boolean, false),
    ("security.acls.default.ingress.action", check::any, false),
    (
        "security.acls.default.ingress.logged",
        check::boolean,
        false,
    ),
    ("security.ipv4_filtering", check::boolean, false),
    ("security.ipv6_filtering", check::boolean, false),
    ("security.mac_filtering", check::boolean, false),
    ("security.port_isolation", check::boolean, false),
    ("vlan", check::any, false),
    ("vlan.tagged", check::any, false),
];

const UNIX: Table = &[
    ("gid", check::uint32, false),
    ("major", check::uint32, false),
    ("minor", check::uint32, false),
    ("mode", check::octal_mode, false),
    ("path", check::any, false),
    ("required", check::boolean, false),
    ("source", check::any, false),
    ("uid", check::uint32, false),
];

const UNIX_HOTPLUG: Table = &[
    ("gid", check::uint32, false),
    ("mode", check::octal_mode, false),
    ("productid", check::any, false),
    ("required", check::boolean, false),
    ("uid", check::uint32, false),
    ("vendorid", check::any, false),
];

const USB: Table = &[
    ("busnum", check::uint32, false),
    ("devnum", check::uint32, false),
    ("gid", check::uint32, false),
    ("mode", check::octal_mode, false),
    ("productid", check::any, false),
    ("required", check::boolean, false),
    ("uid", check::uint32, false),
    ("vendorid", check::any, false),
];

const GPU: Table = &[
    ("gid", check::uint32, false),
    ("gputype", check::any, false),
    ("id", check::any, false),
    ("mdev", check::any, false),
    ("mig.ci", check::any, false),
    ("mig.gi", check::any, false),
    ("mig.uuid", check::any, false),
    ("mode", check::octal_mode, false),
    ("pci", check::any, false),
    ("productid", check::any, false),
    ("uid", check::uint32, false),
    ("vendorid", check::any, false),
];

const INFINIBAND: Table = &[
    ("hwaddr", check::any, false),
    ("mtu", check::mtu, false),
    ("name", check::any, false),
    ("nictype", check::any, true),
    ("parent", check::any, true),
];

const PROXY: Table = &[
    ("bind", check::any, false),
    ("connect", proxy_address, true),
    ("gid", check::uint32, false),
    ("listen", proxy_address, true),
    ("mode", check::octal_mode, false),
    ("nat", check::boolean, false),
    ("proxy_protocol", check::boolean, false),
    ("security.gid", check::uint32, false),
    ("security.uid", check::uint32, false),
    ("uid", check::uint32, false),
];

const TPM: Table = &[("path", check::any, false), ("pathrm", check::any, false)];

const PCI: Table = &[("address", check::any, true)];

/// The types there are.
fn table(kind: &str) -> Option<Table> {
    Some(match kind {
        "none" => &[],
        "disk" => DISK,
        "nic" => NIC,
        "unix-char" | "unix-block" => UNIX,
        "unix-hotplug" => UNIX_HOTPLUG,
        "usb" => USB,
        "gpu" => GPU,
        "infiniband" => INFINIBAND,
        "proxy" => PROXY,
        "tpm" => TPM,
        "pci" => PCI,
        _ => return None,
    })
}

/// Whether there are devices of this type.
pub(crate) fn is_type(kind: &str) -> bool {
    table(kind).is_some()
}

/// Kinds of network cards that need a parent on the host.
const WITH_PARENT: &[&str] = &["bridged", "macvlan", "sriov", "physical", "ipvlan"];

/// Kinds that need none.
const WITHOUT_PARENT: &[&str] = &["p2p", "routed"];

/// Whether a profile or an instance may have these devices.
///
/// # Errors
///
/// The reason in LXD's words; the caller knows the status.
pub(crate) fn validate(devices: &BTreeMap<String, Options>) -> Checked {
    let mut paths: Vec<&str> = Vec::new();
    for (name, options) in devices {
        check_name(name)?;
        let checked = device(options).map_err(|reason| match reason {
            Reason::Loading(text) => format!("Failed loading device {name:?}: {text}"),
            Reason::Plain(text) => text,
        });
        checked.map_err(|reason| failed(name, &reason))?;
        let is_disk = options.get("type").is_some_and(|kind| kind == "disk");
        let path = options
            .get("path")
            .filter(|path| is_disk && !path.is_empty());
        if let Some(path) = path {
            if paths.contains(&path.as_str()) {
                let reason = format!("More than one disk device uses the same path {path:?}");
                return Err(failed(name, &reason));
            }
            paths.push(path);
        }
    }
    Ok(())
}

fn failed(name: &str, reason: &str) -> String {
    format!("Device validation failed for {name:?}: {reason}")
}

/// Why a device is refused: found while it is loaded, or while its options are looked at.
enum Reason {
    Loading(String),
    Plain(String),
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

fn device(options: &Options) -> Result<(), Reason> {
    let get = |key: &str| {
        options
            .get(key)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    let Some(kind) = get("type") else {
        return Err(Reason::Loading("Missing device type in config".to_owned()));
    };
    let unsupported = || Reason::Loading("Unsupported device type".to_owned());
    let table = table(kind).ok_or_else(unsupported)?;
    match kind {
        "nic" => nic(get("nictype"), get("network"), get("parent"))?,
        "infiniband" if !matches!(get("nictype"), Some("physical" | "sriov")) => {
            return Err(unsupported());
        }
        _ => {}
    }
    check_options(table, options)?;
    match kind {
        "disk" => disk(get("path"), get("source"), get("pool"))?,
        "unix-char" | "unix-block" if get("path").is_none() && get("source").is_none() => {
            let text = "Unix device entry is missing the required \"source\" or \"path\" property";
            return Err(text.to_owned().into());
        }
        _ => {}
    }
    Ok(())
}

fn nic(kind: Option<&str>, network: Option<&str>, parent: Option<&str>) -> Result<(), Reason> {
    if let Some(network) = network {
        // No network is managed here.
        let text = format!("Failed to load network {network:?} for project \"default\"");
        return Err(Reason::Loading(format!("{text}: Network not found")));
    }
    match kind {
        Some(kind) if WITHOUT_PARENT.contains(&kind) => Ok(()),
        Some(kind) if WITH_PARENT.contains(&kind) && parent.is_some() => Ok(()),
        Some(kind) if WITH_PARENT.contains(&kind) => {
            Err("Invalid value for device option \"parent\": Required value"
                .to_owned()
                .into())
        }
        _ => Err(Reason::Loading("Unsupported device type".to_owned())),
    }
}

fn disk(path: Option<&str>, source: Option<&str>, pool: Option<&str>) -> Checked {
    match (path, source, pool) {
        (Some("/"), Some(_), _) => {
            Err("Root disk entry may not have a \"source\" property set".to_owned())
        }
        (Some("/"), None, None) => {
            Err("Root disk entry must have a \"pool\" property set".to_owned())
        }
        (Some("/"), None, Some(_)) | (Some(_), Some(_), _) => Ok(()),
        _ => {
            let text = "Disk entry is missing the required \"source\" or \"path\" property";
            Err(text.to_owned())
        }
    }
}

fn check_options(table: Table, options: &Options) -> Checked {
    let bad =
        |key: &str, reason: &str| format!("Invalid value for device option {key:?}: {reason}");
    for (key, check, is_needed) in table {
        match options.get(*key).filter(|value| !value.is_empty()) {
            Some(value) => check(value).map_err(|reason| bad(key, &reason))?,
            None if *is_needed => {
                // The check knows LXD's words for nothing at all.
                let reason = check("")
                    .err()
                    .unwrap_or_else(|| "Required value".to_owned());
                return Err(bad(key, &reason));
            }
            None => {}
        }
    }
    let is_known = |key: &str| {
        key == "type" || key.starts_with("user.") || table.iter().any(|(name, ..)| *name == key)
    };
    match options.keys().find(|key| !is_known(key)) {
        None => Ok(()),
        Some(key) => Err(format!("Invalid device option {key:?}")),
    }
}

fn check_name(name: &str) -> Checked {
    if name.len() > 64 {
        return Err("The maximum device name length is 64 characters".to_owned());
    }
    if name.is_empty() {
        return Err("Name must be 1-63 characters long".to_owned());
    }
    if name.starts_with('.') {
        return Err("Name must not start with \".\" character".to_owned());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-:_.".contains(c);
    if name.chars().all(fits) {
        return Ok(());
    }
    let text = "Name can only contain alphanumeric, forward slash, hyphen, colon, underscore \
                and full stop characters";
    Err(text.to_owned())
}

fn propagation(text: &str) -> Checked {
    let kinds = [
        "private",
        "shared",
        "slave",
        "unbindable",
        "rshared",
        "rslave",
        "runbindable",
        "rprivate",
    ];
    check::one_of(text, &kinds)
}

/// `tcp:ADDRESS:PORT`, `udp:…` or `unix:PATH`.
fn proxy_address(text: &str) -> Checked {
    let protocol = text.split(':').next().unwrap_or_default();
    if matches!(protocol, "tcp" | "udp" | "unix") {
        return Ok(());
    }
    Err(format!("Unknown protocol type {protocol:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(pairs: &[(&str, &str)]) -> Checked {
        let options = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        validate(&BTreeMap::from([("d".to_owned(), options.collect())]))
    }

    #[test]
    fn devices_are_refused_in_lxds_words() {
        let loading = "Failed loading device \"d\": ";
        let option = "Invalid value for device option ";
        let cases: [(&[(&str, &str)], String); 12] = [
            (&[], format!("{loading}Missing device type in config")),
            (
                &[("type", "alien")],
                format!("{loading}Unsupported device type"),
            ),
            (
                &[("type", "nic")],
                format!("{loading}Unsupported device type"),
            ),
            (
                &[("type", "nic"), ("nictype", "bridged")],
                format!("{option}\"parent\": Required value"),
            ),
            (
                &[("type", "nic"), ("nictype", "p2p"), ("hwaddr", "x")],
                format!(
                    "{option}\"hwaddr\": Invalid MAC address, must be 6 bytes of hex separated by colons"
                ),
            ),
            (
                &[("type", "nic"), ("network", "n")],
                format!(
                    "{loading}Failed to load network \"n\" for project \"default\": Network not found"
                ),
            ),
            (
                &[("type", "disk"), ("path", "/")],
                "Root disk entry must have a \"pool\" property set".to_owned(),
            ),
            (
                &[("type", "disk"), ("path", "/x")],
                "Disk entry is missing the required \"source\" or \"path\" property".to_owned(),
            ),
            (
                &[
                    ("type", "disk"),
                    ("path", "/x"),
                    ("source", "/y"),
                    ("bogus", "1"),
                ],
                "Invalid device option \"bogus\"".to_owned(),
            ),
            (
                &[
                    ("type", "disk"),
                    ("path", "/x"),
                    ("source", "/y"),
                    ("size", "x"),
                ],
                format!("{option}\"size\": Invalid value: x"),
            ),
            (
                &[("type", "unix-char")],
                "Unix device entry is missing the required \"source\" or \"path\" property"
                    .to_owned(),
            ),
            (
                &[("type", "proxy")],
                format!("{option}\"connect\": Unknown protocol type \"\""),
            ),
        ];
        for (pairs, reason) in cases {
            let said = format!("Device validation failed for \"d\": {reason}");
            assert_eq!(one(pairs).unwrap_err(), said);
        }
    }

    #[test]
    fn good_devices_are_taken() {
        let good: [&[(&str, &str)]; 5] = [
            &[("type", "disk"), ("path", "/"), ("pool", "nowhere")],
            &[
                ("type", "nic"),
                ("nictype", "bridged"),
                ("parent", "nowhere"),
            ],
            &[("type", "none")],
            &[("type", "gpu")],
            &[("type", "unix-char"), ("path", "/dev/x"), ("mode", "0660")],
        ];
        for pairs in good {
            one(pairs).unwrap();
        }
    }

    #[test]
    fn names_and_paths_are_checked() {
        let root = [("type", "disk"), ("path", "/"), ("pool", "p")];
        let root: Options = root
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let named = |names: &[&str]| {
            validate(
                &names
                    .iter()
                    .map(|name| ((*name).to_owned(), root.clone()))
                    .collect(),
            )
        };
        named(&["a/b"]).unwrap();
        assert_eq!(
            named(&[""]).unwrap_err(),
            "Name must be 1-63 characters long"
        );
        assert!(
            named(&["a b"])
                .unwrap_err()
                .starts_with("Name can only contain")
        );
        assert!(
            named(&[".a"])
                .unwrap_err()
                .starts_with("Name must not start with")
        );
        assert!(
            named(&[&"x".repeat(65)])
                .unwrap_err()
                .contains("maximum device name length")
        );
        let twice = named(&["a", "b"]).unwrap_err();
        assert!(
            twice.ends_with("More than one disk device uses the same path \"/\""),
            "{twice}"
        );
    }
}
