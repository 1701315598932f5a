//! Configuration keys of instances and profiles, with LXD's texts.
//!
//! A profile may have keys of containers and of virtual machines, an instance those of its own
//! type, and keys that mean this one instance: `image.*` and `volatile.*`.

use std::collections::BTreeMap;

use super::{
    check::{self, Check, Checked},
    volatile,
};
use crate::image::ImageType;

/// Keys that are taken exactly.
const KEYS: &[(&str, Check)] = &[
    ("agent.nic_config", check::boolean),
    ("boot.autostart", check::boolean),
    ("boot.autostart.delay", check::integer),
    ("boot.autostart.priority", check::integer),
    ("boot.host_shutdown_timeout", check::integer),
    ("boot.stop.priority", check::integer),
    ("cloud-init.network-config", yaml_mapping),
    ("cloud-init.user-data", check::any),
    ("cloud-init.vendor-data", check::any),
    ("cluster.evacuate", |text| {
        check::one_of(text, &["auto", "migrate", "live-migrate", "stop"])
    }),
    ("limits.cpu", cpus),
    ("limits.cpu.allowance", allowance),
    ("limits.cpu.priority", check::priority),
    ("limits.disk.priority", check::priority),
    ("limits.hugepages.1GB", check::size),
    ("limits.hugepages.1MB", check::size),
    ("limits.hugepages.2MB", check::size),
    ("limits.hugepages.64KB", check::size),
    ("limits.memory", memory),
    ("limits.memory.enforce", |text| {
        check::one_of(text, &["soft", "hard"])
    }),
    ("limits.memory.hugepages", check::boolean),
    ("limits.memory.swap", check::boolean),
    ("limits.memory.swap.priority", check::priority),
    ("limits.network.priority", check::priority),
    ("limits.processes", check::integer),
    ("linux.kernel_modules", check::any),
    ("migration.incremental.memory", check::boolean),
    ("migration.incremental.memory.goal", check::uint32),
    ("migration.incremental.memory.iterations", check::uint32),
    ("migration.stateful", check::boolean),
    ("nvidia.driver.capabilities", check::any),
    ("nvidia.require.cuda", check::any),
    ("nvidia.require.driver", check::any),
    ("nvidia.runtime", check::boolean),
    ("raw.apparmor", check::any),
    ("raw.idmap", check::any),
    ("raw.lxc", raw_lxc),
    ("raw.qemu", check::any),
    ("raw.qemu.conf", check::any),
    ("raw.seccomp", check::any),
    ("security.agent.metrics", check::boolean),
    ("security.devlxd", check::boolean),
    ("security.devlxd.images", check::boolean),
    ("security.idmap.base", check::uint32),
    ("security.idmap.isolated", check::boolean),
    ("security.idmap.size", check::uint32),
    ("security.nesting", check::boolean),
    ("security.privileged", check::boolean),
    ("security.protection.delete", check::boolean),
    ("security.protection.shift", check::boolean),
    ("security.secureboot", check::boolean),
    ("security.syscalls.allow", check::any),
    ("security.syscalls.blacklist", check::any),
    ("security.syscalls.blacklist_compat", check::boolean),
    ("security.syscalls.blacklist_default", check::boolean),
    ("security.syscalls.deny", check::any),
    ("security.syscalls.deny_compat", check::boolean),
    ("security.syscalls.deny_default", check::boolean),
    ("security.syscalls.intercept.bpf", check::boolean),
    ("security.syscalls.intercept.bpf.devices", check::boolean),
    ("security.syscalls.intercept.mknod", check::boolean),
    ("security.syscalls.intercept.mount", check::boolean),
    ("security.syscalls.intercept.mount.allowed", check::any),
    ("security.syscalls.intercept.mount.fuse", check::any),
    ("security.syscalls.intercept.mount.shift", check::boolean),
    (
        "security.syscalls.intercept.sched_setscheduler",
        check::boolean,
    ),
    ("security.syscalls.intercept.setxattr", check::boolean),
    ("security.syscalls.intercept.sysinfo", check::boolean),
    ("security.syscalls.whitelist", check::any),
    ("snapshots.expiry", check::expiry),
    ("snapshots.pattern", check::any),
    ("snapshots.schedule", check::schedule),
    ("snapshots.schedule.stopped", check::boolean),
];

/// Beginnings of keys that are free behind it; a name has to follow where that is said.
const FREE: &[(&str, bool)] = &[
    ("environment.", false),
    ("limits.kernel.", true),
    ("linux.sysctl.", false),
    ("nvidia.require.", false),
    ("user.", false),
];

/// Keys that only virtual machines have.
const OF_MACHINES: &[&str] = &[
    "agent.nic_config",
    "limits.memory.hugepages",
    "migration.stateful",
    "raw.qemu",
    "security.agent.metrics",
    "security.secureboot",
];

/// Keys, and beginnings of keys, that only containers have.
const OF_CONTAINERS: &[&str] = &[
    "limits.cpu.allowance",
    "limits.cpu.priority",
    "limits.hugepages.",
    "limits.kernel.",
    "limits.memory.enforce",
    "limits.memory.swap",
    "limits.processes",
    "linux.",
    "migration.incremental.memory",
    "nvidia.",
    "raw.idmap",
    "raw.lxc",
    "raw.seccomp",
    "security.devlxd.images",
    "security.idmap.",
    "security.nesting",
    "security.privileged",
    "security.protection.shift",
    "security.syscalls.",
];

/// Whether an instance of this type may have this configuration. Empty values are taken for
/// every known key.
///
/// # Errors
///
/// The reason in LXD's words; the caller knows the status.
pub(crate) fn validate_own(config: &BTreeMap<String, String>, kind: ImageType) -> Checked {
    for (key, value) in config {
        if key.starts_with("image.") {
            continue;
        }
        let check = if key.starts_with("volatile.") {
            volatile::find(key, kind)
        } else {
            find(key).filter(|_| is_of(key, kind))
        };
        let check = check.ok_or_else(|| format!("Unknown configuration key: {key}"))?;
        if !value.is_empty() {
            check(value)?;
        }
    }
    check_exclusive(config)
}

fn is_of(key: &str, kind: ImageType) -> bool {
    let is_other = |keys: &[&str]| keys.iter().any(|begin| key.starts_with(begin));
    match kind {
        ImageType::Container => !is_other(OF_MACHINES),
        ImageType::VirtualMachine => !is_other(OF_CONTAINERS),
    }
}

/// Whether a profile may have this configuration. Empty values are taken for every known key.
///
/// # Errors
///
/// The reason in LXD's words; the caller knows the status.
pub(crate) fn validate(config: &BTreeMap<String, String>) -> Checked {
    for (key, value) in config {
        if key.starts_with("image.") {
            return Err("Image keys can only be set on instances".to_owned());
        }
        if key.starts_with("volatile.") {
            return Err("Volatile keys can only be set on instances".to_owned());
        }
        let check = find(key).ok_or_else(|| format!("Unknown configuration key: {key}"))?;
        if !value.is_empty() {
            check(value)?;
        }
    }
    check_exclusive(config)
}

fn check_exclusive(config: &BTreeMap<String, String>) -> Checked {
    let allows = config
        .get("security.syscalls.allow")
        .is_some_and(|value| !value.is_empty());
    if allows
        && config
            .keys()
            .any(|key| key.starts_with("security.syscalls.deny"))
    {
        let text = "security.syscalls.allow is mutually exclusive with security.syscalls.deny*";
        return Err(text.to_owned());
    }
    Ok(())
}

fn find(key: &str) -> Option<Check> {
    let is_free = FREE.iter().any(|(begin, needs_name)| {
        key.strip_prefix(begin)
            .is_some_and(|name| !needs_name || !name.is_empty())
    });
    let exact = KEYS
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, check)| *check);
    exact.or_else(|| is_free.then_some(check::any as Check))
}

/// The longest list of processors.
const MAX_CPUS_BYTES: usize = 4096;

/// A number of processors, or which ones.
fn cpus(text: &str) -> Checked {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_item = |item: &str| {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        is_number(first) && is_number(last)
    };
    if text.len() <= MAX_CPUS_BYTES && text.split(',').all(is_item) {
        return Ok(());
    }
    Err("Invalid CPU limit syntax".to_owned())
}

/// A part of the time there is, or a time in each period.
fn allowance(text: &str) -> Checked {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_time = |part: &str| part.strip_suffix("ms").is_some_and(is_number);
    let fits = match text.split_once('/') {
        Some((time, period)) => is_time(time) && is_time(period),
        None => text.strip_suffix('%').is_some_and(is_number),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("Invalid allowance: {text}"))
    }
}

fn memory(text: &str) -> Checked {
    if text == "0" {
        return Err("Memory limit can't be 0".to_owned());
    }
    check::size_or_percent(text)
}

/// Lines of liblxc's configuration, without those that LXD keeps to itself.
fn raw_lxc(text: &str) -> Checked {
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, _)) = line.split_once('=') else {
            return Err(format!("Invalid raw.lxc line: {line}"));
        };
        let key = key.trim().to_lowercase();
        if matches!(key.as_str(), "lxc.logfile" | "lxc.log.file") {
            return Err("Setting lxc.logfile is not allowed".to_owned());
        }
        if matches!(key.as_str(), "lxc.syslog" | "lxc.log.syslog") {
            return Err("Setting lxc.log.syslog is not allowed".to_owned());
        }
        let of_interface = key.contains(".ipv4.") || key.contains(".ipv6.");
        if key.starts_with("lxc.net.") && !of_interface {
            let text = "Only interface-specific ipv4/ipv6 lxc.net. keys are allowed";
            return Err(text.to_owned());
        }
    }
    Ok(())
}

/// A document that is a mapping at its top.
fn yaml_mapping(text: &str) -> Checked {
    let value = serde_yaml::from_str::<serde_yaml::Value>(text);
    match value.map_err(|error| format!("yaml: {error}"))? {
        serde_yaml::Value::Mapping(_) | serde_yaml::Value::Null => Ok(()),
        serde_yaml::Value::Sequence(_) => Err(
            "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into struct {}".to_owned(),
        ),
        _ => {
            let shown = text.trim();
            let reason = format!("line 1: cannot unmarshal !!str `{shown}` into struct {{}}");
            Err(format!("yaml: unmarshal errors:\n  {reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Checked {
        validate(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn unknown_keys_are_refused() {
        for key in [
            "bogus",
            "User.x",
            "limits.bogus",
            "limits.kernel.",
            "cloud-init.bogus",
            "",
        ] {
            assert_eq!(
                one(key, "x").unwrap_err(),
                format!("Unknown configuration key: {key}")
            );
        }
        assert_eq!(
            one("image.os", "x").unwrap_err(),
            "Image keys can only be set on instances"
        );
        assert!(one("volatile.x", "x").is_err());
    }

    #[test]
    fn values_are_checked_in_lxds_words() {
        let cases = [
            ("boot.autostart", "z", "Invalid value for a boolean \"z\""),
            ("limits.cpu", "1.5", "Invalid CPU limit syntax"),
            ("limits.cpu.allowance", "10", "Invalid allowance: 10"),
            (
                "limits.cpu.priority",
                "11",
                "Invalid value for a limit \"11\". Must be between 0 and 10",
            ),
            ("limits.memory", "lots", "Invalid value: lots"),
            ("limits.memory", "0", "Memory limit can't be 0"),
            (
                "limits.memory.enforce",
                "x",
                "Invalid value \"x\" (not one of [soft hard])",
            ),
            ("snapshots.expiry", "x", "Invalid expiry expression"),
            ("raw.lxc", "x", "Invalid raw.lxc line: x"),
            (
                "raw.lxc",
                "lxc.log.file=x",
                "Setting lxc.logfile is not allowed",
            ),
            (
                "cloud-init.network-config",
                "x",
                "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `x` into struct {}",
            ),
        ];
        for (key, value, reason) in cases {
            assert_eq!(one(key, value).unwrap_err(), reason);
        }
    }

    #[test]
    fn instances_have_the_keys_of_their_type_and_keys_of_their_own() {
        let own = |key: &str, kind| {
            let config = BTreeMap::from([(key.to_owned(), "true".to_owned())]);
            validate_own(&config, kind)
        };
        let (container, machine) = (ImageType::Container, ImageType::VirtualMachine);
        for key in ["user.x", "image.", "boot.autostart", "volatile.base_image"] {
            own(key, container).unwrap();
            own(key, machine).unwrap();
        }
        for (key, has, has_not) in [
            ("security.nesting", container, machine),
            ("security.secureboot", machine, container),
            ("volatile.idmap.base", container, machine),
        ] {
            own(key, has).unwrap();
            let reason = own(key, has_not).unwrap_err();
            assert_eq!(reason, format!("Unknown configuration key: {key}"));
        }
        for (key, reason) in [
            ("volatile.foo", "Unknown configuration key: volatile.foo"),
            ("volatile.uuid", "Invalid UUID"),
        ] {
            assert_eq!(own(key, container).unwrap_err(), reason);
        }
    }

    #[test]
    fn good_values_and_empty_ones_are_taken() {
        let cases = [
            ("user.", "x"),
            ("environment.PATH", "/"),
            ("limits.kernel.nofile", "x"),
            ("limits.cpu", "0-3,5"),
            ("limits.cpu.allowance", "10ms/100ms"),
            ("limits.memory", "101%"),
            ("security.privileged", ""),
            ("snapshots.schedule", "@daily"),
            ("raw.lxc", "lxc.apparmor.profile=x\n# y"),
            ("cloud-init.network-config", "version: 2"),
        ];
        for (key, value) in cases {
            one(key, value).unwrap_or_else(|reason| panic!("{key}: {reason}"));
        }
    }
}
