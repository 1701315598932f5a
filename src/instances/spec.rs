//! What an instance's configuration and devices mean for a container.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use super::{Config, Instance, state::not_implemented};
use crate::{
    config::{parse_size, truth},
    error::{Error, Result},
    pool::idmap::IdMap,
    runtime::{Bind, Ids, Limits, Nic, NicKind, Spec, Syscalls},
};

/// Keys that a start acts on; beginnings of them end in a dot.
const ACTED_ON: &[&str] = &[
    "boot.autostart",
    "boot.autostart.delay",
    "boot.autostart.priority",
    "environment.",
    "image.",
    "limits.cpu",
    "limits.memory",
    "limits.processes",
    "raw.lxc",
    "raw.seccomp",
    "security.nesting",
    "security.privileged",
    "security.protection.delete",
    "security.syscalls.allow",
    "security.syscalls.blacklist",
    "security.syscalls.blacklist_default",
    "security.syscalls.deny",
    "security.syscalls.deny_default",
    "security.syscalls.whitelist",
    "snapshots.expiry",
    "snapshots.pattern",
    "user.",
    "volatile.",
];

/// Where the kernel tells which processors there are.
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// What `instance` is to be started as, with its root file system at `rootfs`, whose owners
/// follow `map`.
///
/// # Errors
///
/// When a device needs something of the host that is not there, or a value cannot be had.
pub(super) fn of(
    instance: &Instance,
    name: &str,
    (rootfs, map): (PathBuf, IdMap),
    confine: &Confine<'_>,
) -> Result<Spec> {
    if instance.has_flag("security.idmap.isolated") {
        // Not having it would be worse than not running.
        let text = "Isolated id maps are not supported on this server";
        return Err(not_implemented(text));
    }
    tell_what_is_ignored(instance);
    let (mut binds, mut nics) = (Vec::new(), Vec::new());
    for (device, options) in &instance.devices {
        match options.get("type").map(String::as_str) {
            Some("disk") => binds.extend(bind(device, options, confine)?),
            Some("nic") => nics.extend(nic(instance, device, options)?),
            Some("none") => {}
            kind => tracing::warn!(
                instance.name = instance.name(),
                device,
                kind = kind.unwrap_or_default(),
                "devices of this type are not acted on"
            ),
        }
    }
    Ok(Spec {
        name: name.to_owned(),
        hostname: instance.name().to_owned(),
        architecture: instance.row.architecture.clone(),
        rootfs,
        ids: (!map.is_identity()).then(|| Ids {
            base: map.root(),
            size: map.size(),
        }),
        has_nesting: instance.has_flag("security.nesting"),
        syscalls: syscalls(instance),
        limits: limits(name, &instance.config)?,
        environment: environment(&instance.config),
        binds,
        nics,
        raw: instance.get("raw.lxc").unwrap_or_default().to_owned(),
    })
}

fn syscalls(instance: &Instance) -> Syscalls {
    let get = |key: &str, older: &str| {
        let value = instance.get(key).or_else(|| instance.get(older));
        value.unwrap_or_default().to_owned()
    };
    let default = get(
        "security.syscalls.deny_default",
        "security.syscalls.blacklist_default",
    );
    Syscalls {
        raw: instance.get("raw.seccomp").unwrap_or_default().to_owned(),
        allowed: get("security.syscalls.allow", "security.syscalls.whitelist"),
        denied: get("security.syscalls.deny", "security.syscalls.blacklist"),
        has_no_default: truth(&default) == Some(false),
    }
}

/// The variables that an instance's configuration sets.
pub(super) fn environment(config: &Config) -> Vec<(String, String)> {
    let variables = config.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix("environment.")?;
        Some((name.to_owned(), value.clone()))
    });
    variables.collect()
}

/// The limits that an instance's configuration sets.
///
/// `name` is that of its container: which processors it gets, when it says how many, depends on
/// it, so that not all containers share the first ones.
pub(super) fn limits(name: &str, config: &Config) -> Result<Limits> {
    let set = |key: &str| config.get(key).filter(|value| !value.is_empty());
    Ok(Limits {
        cpus: set("limits.cpu").map(|text| cpus(name, text)).transpose()?,
        memory_bytes: set("limits.memory").map(|text| memory(text)).transpose()?,
        processes: set("limits.processes")
            .map(|text| {
                text.parse()
                    .ok()
                    .ok_or_else(|| bad("limits.processes", text))
            })
            .transpose()?,
    })
}

fn bad(key: &str, value: &str) -> Error {
    Error::failed(format!("Invalid value for {key:?}: {value}"))
}

/// The processors that `limits.cpu` means: those it names, or so many of those there are.
// LXD spreads them by load, and anew whenever a container starts or ends.
fn cpus(name: &str, text: &str) -> Result<Vec<u32>> {
    let Ok(number) = text.parse::<usize>() else {
        let named = ranges(text).ok_or_else(|| bad("limits.cpu", text))?;
        return Ok(named.into_iter().collect());
    };
    let online = std::fs::read_to_string(ONLINE).unwrap_or_else(|_| "0".to_owned());
    let online = ranges(online.trim()).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let count = u64::try_from(online.len()).unwrap_or(1).max(1);
    let first = usize::try_from(hasher.finish() % count).unwrap_or_default();
    let number = number.clamp(1, online.len().max(1));
    let chosen: BTreeSet<_> = online.iter().cycle().skip(first).take(number).collect();
    Ok(chosen.into_iter().copied().collect())
}

/// The numbers in a text like `0-2,5`.
fn ranges(text: &str) -> Option<BTreeSet<u32>> {
    /// More processors than any machine has.
    const MAX: u32 = 8192;
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        numbers.extend(first.min(MAX)..=last.min(MAX));
    }
    Some(numbers)
}

/// Bytes, from a size or a part of what the machine has.
fn memory(text: &str) -> Result<u64> {
    let wrong = || bad("limits.memory", text);
    if let Some(percent) = text.strip_suffix('%') {
        let percent: u64 = percent.parse().ok().ok_or_else(wrong)?;
        let information = std::fs::read_to_string("/proc/meminfo")?;
        let total = information
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = total.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let kib = kib.ok_or_else(wrong)?;
        return Ok((kib.saturating_mul(1024) / 100).saturating_mul(percent));
    }
    let bytes = parse_size(text).ok_or_else(wrong)?;
    u64::try_from(bytes).ok().ok_or_else(wrong)
}

/// The directory that a host path must not leave.
type Confine<'c> = dyn Fn(&str) -> Result<Option<PathBuf>> + 'c;

/// A host path that a disk brings in; the root disk and volumes of pools bring none.
fn bind(device: &str, options: &Config, confine: &Confine<'_>) -> Result<Option<Bind>> {
    let set = |key: &str| options.get(key).filter(|value| !value.is_empty());
    let (Some(source), Some(path)) = (set("source"), set("path")) else {
        return Ok(None);
    };
    if path == "/" {
        return Ok(None);
    }
    let is = |key: &str, default: bool| set(key).map_or(default, |text| truth(text) == Some(true));
    let refused =
        |reason: String| Error::failed(format!("Failed to start device {device:?}: {reason}"));
    if set("pool").is_some() {
        return Err(refused("Storage volumes are not supported".to_owned()));
    }
    let below = confine(source).map_err(|error| refused(error.message().to_owned()))?;
    let found = std::fs::metadata(source);
    let is_required = is("required", true);
    let Ok(found) = found else {
        if is_required {
            let text = format!("Missing source path {source:?} for disk {device:?}");
            return Err(refused(text));
        }
        return Ok(None);
    };
    if !Path::new(source).is_absolute() {
        return Err(refused(format!("Source path {source:?} must be absolute")));
    }
    Ok(Some(Bind {
        source: PathBuf::from(source),
        below,
        target: PathBuf::from(path),
        is_directory: found.is_dir(),
        is_read_only: is("readonly", false),
        is_recursive: is("recursive", false),
        is_optional: !is_required,
        propagation: set("propagation").cloned(),
    }))
}

/// An interface, if it is of a kind that a start acts on.
fn nic(instance: &Instance, device: &str, options: &Config) -> Result<Option<Nic>> {
    let set = |key: &str| options.get(key).filter(|value| !value.is_empty()).cloned();
    let noted = |end: &str| {
        instance
            .get(&format!("volatile.{device}.{end}"))
            .map(str::to_owned)
    };
    let kind = match options.get("nictype").map(String::as_str) {
        Some("bridged") => {
            let parent = set("parent").unwrap_or_default();
            let is_there = !parent.contains('/')
                && Path::new("/sys/class/net")
                    .join(&parent)
                    .join("bridge")
                    .is_dir();
            if !is_there {
                return Err(Error::failed(format!(
                    "Failed to start device {device:?}: Parent device {parent:?} doesn't exist"
                )));
            }
            NicKind::Bridged(parent)
        }
        Some("p2p") => NicKind::PointToPoint,
        kind => {
            tracing::warn!(
                instance.name = instance.name(),
                device,
                kind = kind.unwrap_or("network"),
                "interfaces of this kind are not acted on"
            );
            return Ok(None);
        }
    };
    Ok(Some(Nic {
        kind,
        name: set("name")
            .or_else(|| noted("name"))
            .or_else(|| Some(device.to_owned())),
        host_name: set("host_name"),
        hwaddr: set("hwaddr").or_else(|| noted("hwaddr")),
        mtu: set("mtu").and_then(|text| text.parse().ok()),
    }))
}

fn tell_what_is_ignored(instance: &Instance) {
    let is_known = |key: &str| {
        ACTED_ON
            .iter()
            .any(|known| *known == key || known.ends_with('.') && key.starts_with(known))
    };
    let ignored = instance.config.keys().filter(|key| !is_known(key));
    let ignored: Vec<_> = ignored.map(String::as_str).collect();
    if !ignored.is_empty() {
        let keys = ignored.join(", ");
        tracing::warn!(
            instance.name = instance.name(),
            keys,
            "keys that a start does not act on"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn limits_are_understood() {
        let set = config(&[
            ("limits.cpu", "0-1,3"),
            ("limits.memory", "64MiB"),
            ("limits.processes", "100"),
        ]);
        let limits = limits("c", &set).unwrap();
        assert_eq!(limits.cpus, Some(vec![0, 1, 3]));
        assert_eq!(limits.memory_bytes, Some(64 * 1024 * 1024));
        assert_eq!(limits.processes, Some(100));
        assert_eq!(super::limits("c", &config(&[])).unwrap(), Limits::default());
    }

    #[test]
    fn a_number_of_processors_is_so_many_of_those_there_are() {
        let one = limits("c", &config(&[("limits.cpu", "1")])).unwrap();
        assert_eq!(one.cpus.unwrap().len(), 1);
        let half = limits("c", &config(&[("limits.memory", "50%")])).unwrap();
        assert!(half.memory_bytes.unwrap() > 0);
    }

    #[test]
    fn disks_without_a_source_are_nothing_to_mount() {
        let root = config(&[("type", "disk"), ("path", "/"), ("pool", "p")]);
        assert!(bind("root", &root, &|_| Ok(None)).unwrap().is_none());
        let missing = config(&[
            ("type", "disk"),
            ("path", "/x"),
            ("source", "/no/such/path"),
        ]);
        assert!(
            bind("d", &missing, &|_| Ok(None))
                .unwrap_err()
                .message()
                .contains("Missing source path")
        );
        let optional = config(&[
            ("type", "disk"),
            ("path", "/x"),
            ("source", "/no/such/path"),
            ("required", "false"),
        ]);
        assert!(bind("d", &optional, &|_| Ok(None)).unwrap().is_none());
    }
}
