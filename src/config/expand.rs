//! What an instance's own configuration and devices come to with those of its profiles.

use std::collections::BTreeMap;

/// Configuration keys and values.
type Config = BTreeMap<String, String>;

/// Devices by name, each with its options.
type Devices = BTreeMap<String, Config>;

/// Keys that mean the one instance that has them, and never come from a profile.
const OWN_KEYS: &[&str] = &["image.", "volatile."];

/// The configuration of profiles, later ones over earlier ones, and the instance's own over it.
pub(crate) fn config(profiles: &[&Config], own: &Config) -> Config {
    let is_own = |key: &str| OWN_KEYS.iter().any(|begin| key.starts_with(begin));
    let mut expanded = Config::new();
    for profile in profiles {
        let general = profile.iter().filter(|(key, _)| !is_own(key));
        expanded.extend(general.map(|(key, value)| (key.clone(), value.clone())));
    }
    expanded.extend(own.clone());
    expanded
}

/// The devices of profiles, later ones over earlier ones, and the instance's own over them. A
/// device is replaced as a whole.
pub(crate) fn devices(profiles: &[&Devices], own: &Devices) -> Devices {
    let mut expanded = Devices::new();
    for profile in profiles {
        expanded.extend((*profile).clone());
    }
    expanded.extend(own.clone());
    expanded
}

/// The name and options of the disk at `/`.
pub(crate) fn root_disk(devices: &Devices) -> Option<(&str, &Config)> {
    let found = devices.iter().find(|(_, options)| is_root(options));
    found.map(|(name, options)| (name.as_str(), options))
}

/// Whether a device is the disk at `/`.
pub(crate) fn is_root(options: &Config) -> bool {
    let is = |key: &str, value: &str| options.get(key).is_some_and(|text| text == value);
    is("type", "disk") && is("path", "/") && !options.contains_key("source")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Config {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    fn named(device: Config) -> Devices {
        Devices::from([("root".to_owned(), device)])
    }

    #[test]
    fn later_profiles_win_and_the_instance_over_all() {
        let first = map(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let second = map(&[("b", "2"), ("c", "2"), ("volatile.x", "2")]);
        let expanded = config(&[&first, &second], &map(&[("c", "3")]));
        assert_eq!(expanded, map(&[("a", "1"), ("b", "2"), ("c", "3")]));
    }

    #[test]
    fn a_device_is_replaced_as_a_whole() {
        let first = named(map(&[("pool", "one")]));
        let second = named(map(&[("size", "1GiB")]));
        let expanded = devices(&[&first, &second], &Devices::new());
        assert_eq!(expanded["root"], map(&[("size", "1GiB")]));
    }

    #[test]
    fn the_root_disk_is_the_one_at_the_root_without_a_source() {
        let root = named(map(&[("type", "disk"), ("path", "/"), ("pool", "p")]));
        assert_eq!(root_disk(&root).unwrap().0, "root");
        let other = named(map(&[("type", "disk"), ("path", "/"), ("source", "/x")]));
        assert!(root_disk(&other).is_none());
    }
}
