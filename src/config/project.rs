//! Project settings: one table, with LXD's texts.

use std::collections::BTreeMap;

use super::check::{self, Check, Checked};
use crate::error::{Error, Result};

/// Configuration of a project.
type Config = BTreeMap<String, String>;

/// What a project can have of its own.
const FEATURES: &[&str] = &[
    "features.images",
    "features.networks",
    "features.profiles",
    "features.storage.volumes",
];

/// Every key and its check.
const KEYS: &[(&str, Check)] = &[
    ("backups.compression_algorithm", check::compression),
    ("features.images", check::boolean),
    ("features.networks", check::boolean),
    ("features.profiles", check::boolean),
    ("features.storage.volumes", check::boolean),
    ("images.auto_update_cached", check::boolean),
    ("images.auto_update_interval", check::integer),
    ("images.compression_algorithm", check::compression),
    ("images.default_architecture", check::architecture),
    ("images.remote_cache_expiry", check::integer),
    ("limits.containers", check::uint32),
    ("limits.cpu", check::uint32),
    ("limits.disk", check::size),
    ("limits.instances", check::uint32),
    ("limits.memory", check::size),
    ("limits.networks", check::uint32),
    ("limits.processes", check::uint32),
    ("limits.virtual-machines", check::uint32),
    ("restricted", check::boolean),
    ("restricted.backups", block_allow),
    ("restricted.cluster.groups", check::any),
    ("restricted.cluster.target", block_allow),
    ("restricted.containers.interception", |text| {
        check::one_of(text, &["allow", "block", "full"])
    }),
    ("restricted.containers.lowlevel", block_allow),
    ("restricted.containers.nesting", block_allow),
    ("restricted.containers.privilege", |text| {
        check::one_of(text, &["allow", "unprivileged", "isolated"])
    }),
    ("restricted.devices.disk", block_allow_managed),
    ("restricted.devices.disk.paths", check::absolute_paths),
    ("restricted.devices.gpu", block_allow),
    ("restricted.devices.infiniband", block_allow),
    ("restricted.devices.nic", block_allow_managed),
    ("restricted.devices.pci", block_allow),
    ("restricted.devices.proxy", block_allow),
    ("restricted.devices.unix-block", block_allow),
    ("restricted.devices.unix-char", block_allow),
    ("restricted.devices.unix-hotplug", block_allow),
    ("restricted.devices.usb", block_allow),
    ("restricted.idmap.gid", check::ranges),
    ("restricted.idmap.uid", check::ranges),
    // Newer servers have it: URL prefixes of where images may come from.
    ("restricted.images.servers", check::any),
    ("restricted.networks.access", check::any),
    ("restricted.networks.subnets", check::any),
    ("restricted.networks.uplinks", check::any),
    ("restricted.networks.zones", check::any),
    ("restricted.snapshots", block_allow),
    ("restricted.virtual-machines.lowlevel", block_allow),
];

fn block_allow(text: &str) -> Checked {
    check::one_of(text, &["block", "allow"])
}

fn block_allow_managed(text: &str) -> Checked {
    check::one_of(text, &["block", "allow", "managed"])
}

/// Whether a project has something of its own; what is not set is not.
pub(crate) fn feature(config: &Config, key: &str) -> bool {
    config
        .get(key)
        .is_some_and(|value| check::truth(value) == Some(true))
}

/// The configuration of the project `default`.
pub(crate) fn default_project_config() -> Config {
    FEATURES
        .iter()
        .map(|key| ((*key).to_owned(), "true".to_owned()))
        .collect()
}

/// What a new project gets when its maker does not say otherwise.
pub(crate) fn with_new_project_defaults(mut config: Config) -> Config {
    for key in FEATURES.iter().filter(|key| **key != "features.networks") {
        config
            .entry((*key).to_owned())
            .or_insert_with(|| "true".to_owned());
    }
    config
}

/// Whether all keys are known and their values good.
pub(crate) fn validate(config: &Config) -> Result<()> {
    for (key, value) in config {
        if key.starts_with("user.") {
            continue;
        }
        let text = format!("Invalid project configuration key {key:?}");
        let Some((_, check)) = KEYS.iter().find(|(name, _)| name == key) else {
            return Err(Error::bad_request(text));
        };
        // LXD: of all keys, only the algorithms mind being empty.
        if value.is_empty() && !key.ends_with(".compression_algorithm") {
            continue;
        }
        check(value).map_err(|reason| Error::bad_request(format!("{text} value: {reason}")))?;
    }
    if feature(config, "restricted") && !feature(config, "features.profiles") {
        let text = "Projects without their own profiles cannot be restricted";
        return Err(Error::bad_request(text));
    }
    Ok(())
}

/// Refuses to change what the project `default` or a project in use has of its own.
pub(crate) fn check_features(name: &str, old: &Config, new: &Config, is_empty: bool) -> Result<()> {
    for key in FEATURES {
        let (had, has) = (feature(old, key), feature(new, key));
        if had == has {
            continue;
        }
        if name == "default" {
            let text = "You can't change the features of the default project";
            return Err(Error::bad_request(text));
        }
        if !is_empty {
            let verb = if has { "enabled" } else { "disabled" };
            return Err(Error::bad_request(format!(
                "Project feature {key:?} cannot be {verb} on non-empty projects"
            )));
        }
    }
    Ok(())
}

/// How much of a resource a project may use, in bytes or pieces; `None` for no limit.
pub(crate) fn limit(config: &Config, resource: &str) -> Option<i64> {
    let value = config.get(&format!("limits.{resource}"))?;
    check::parse_size(value)
}

/// How much of a resource an instance's configuration says it may use; `None` for what is no
/// amount of it.
pub(crate) fn amount(resource: &str, value: &str) -> Option<u64> {
    match resource {
        "disk" | "memory" => check::parse_size(value)?.try_into().ok(),
        _ => value.parse().ok(),
    }
}

/// Whether instances of a project may have snapshots.
pub(crate) fn allows_snapshots(config: &Config) -> bool {
    let is_open = config
        .get("restricted.snapshots")
        .is_some_and(|value| value == "allow");
    is_open || !feature(config, "restricted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn refusal(key: &str, value: &str) -> String {
        validate(&config(&[(key, value)]))
            .unwrap_err()
            .message()
            .to_owned()
    }

    #[test]
    fn keys_and_values_are_checked_in_lxds_words() {
        for key in [
            "nothing",
            "features.networks.zones",
            "limits.disk.pool.x",
            "User.x",
            "",
        ] {
            let text = format!("Invalid project configuration key {key:?}");
            assert_eq!(refusal(key, "1"), text);
        }
        let begins = |key: &str| format!("Invalid project configuration key {key:?} value: ");
        let cases = [
            (
                "features.images",
                "perhaps",
                "Invalid value for a boolean \"perhaps\"",
            ),
            (
                "images.remote_cache_expiry",
                "x",
                "Invalid value for an integer \"x\"",
            ),
            (
                "images.compression_algorithm",
                "lz4",
                "Invalid compression algorithm \"lz4\"",
            ),
            (
                "images.compression_algorithm",
                "",
                "No compression algorithm specified",
            ),
            ("limits.disk", "10 GiB", "Invalid value: 10 GiB"),
            (
                "restricted.backups",
                "x",
                "Invalid value \"x\" (not one of [block allow])",
            ),
        ];
        for (key, value, reason) in cases {
            assert_eq!(refusal(key, value), begins(key) + reason);
        }
        validate(&config(&[
            ("user.", "x"),
            ("limits.disk", ""),
            ("restricted", "yes"),
            ("features.profiles", "true"),
        ]))
        .unwrap();
    }

    #[test]
    fn features_stay_while_a_project_is_in_use() {
        let (old, none) = (default_project_config(), config(&[]));
        let error = check_features("default", &old, &none, true).unwrap_err();
        assert_eq!(
            error.message(),
            "You can't change the features of the default project"
        );
        let error = check_features("p", &old, &none, false).unwrap_err();
        let text = "Project feature \"features.images\" cannot be disabled on non-empty projects";
        assert_eq!(error.message(), text);
        check_features("p", &old, &none, true).unwrap();
    }

    #[test]
    fn limits_are_read_as_numbers() {
        let config = config(&[("limits.disk", "1MiB"), ("limits.cpu", "")]);
        assert_eq!(limit(&config, "disk"), Some(1 << 20));
        assert_eq!(
            (limit(&config, "cpu"), limit(&config, "memory")),
            (None, None)
        );
    }
}
