//! An instance with its profiles, and what the two together come to.

use std::collections::BTreeMap;

use crate::{
    config,
    db::{
        instances::InstanceRow,
        profiles::{Devices, ProfileRow},
        snapshots::SnapshotRow,
    },
    image::ImageType,
};

/// Configuration keys and values.
pub(crate) type Config = BTreeMap<String, String>;

/// An instance as the services work with it.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// What is stored of it.
    pub(crate) row: InstanceRow,
    /// Its profiles, in the order in which they apply.
    pub(crate) profiles: Vec<ProfileRow>,
    /// Its configuration over that of its profiles: what counts.
    pub(crate) config: Config,
    /// Its devices over those of its profiles: what counts.
    pub(crate) devices: Devices,
}

impl Instance {
    /// An instance with these profiles.
    pub(crate) fn new(row: InstanceRow, profiles: Vec<ProfileRow>) -> Self {
        let config = expanded_config(&profiles, &row.config);
        let devices = expanded_devices(&profiles, &row.devices);
        Self {
            row,
            profiles,
            config,
            devices,
        }
    }

    /// The instance as it was when a snapshot was made of it.
    // LXD: the profiles are those of today.
    pub(crate) fn at(&self, snapshot: &SnapshotRow) -> Self {
        let row = InstanceRow {
            ephemeral: snapshot.ephemeral,
            description: snapshot.description.clone(),
            config: snapshot.config.clone(),
            devices: snapshot.devices.clone(),
            created_at: snapshot.created_at.clone(),
            ..self.row.clone()
        };
        Self::new(row, self.profiles.clone())
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.row.name
    }

    /// The name of its project.
    pub(crate) fn project(&self) -> &str {
        &self.row.project_name
    }

    /// Whether it is a container.
    pub(crate) fn is_container(&self) -> bool {
        self.row.kind == ImageType::Container
    }

    /// What a key is set to, by itself or by a profile.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    /// Whether a key is set to yes.
    pub(crate) fn has_flag(&self, key: &str) -> bool {
        config::project::feature(&self.config, key)
    }

    /// Names of its profiles.
    pub(crate) fn profile_names(&self) -> Vec<String> {
        self.profiles
            .iter()
            .map(|profile| profile.name.clone())
            .collect()
    }
}

/// Keys that mean the one instance that has them, and never come from a profile.
const OWN_KEYS: &[&str] = &["image.", "volatile."];

/// The configuration of profiles, later ones over earlier ones, and the instance's own over it.
pub(crate) fn expanded_config(profiles: &[ProfileRow], own: &Config) -> Config {
    let mut expanded = Config::new();
    for profile in profiles {
        let general = profile.config.iter();
        let general =
            general.filter(|(key, _)| !OWN_KEYS.iter().any(|begin| key.starts_with(begin)));
        expanded.extend(general.map(|(key, value)| (key.clone(), value.clone())));
    }
    expanded.extend(own.clone());
    expanded
}

/// The devices of profiles, later ones over earlier ones, and the instance's own over them. A
/// device is replaced as a whole.
pub(crate) fn expanded_devices(profiles: &[ProfileRow], own: &Devices) -> Devices {
    let mut expanded = Devices::new();
    for profile in profiles {
        expanded.extend(profile.devices.clone());
    }
    expanded.extend(own.clone());
    expanded
}

/// The name and options of the disk at `/`.
pub(crate) fn root_disk(devices: &Devices) -> Option<(&str, &Config)> {
    let is_root = |options: &&Config| {
        let is = |key: &str, value: &str| options.get(key).is_some_and(|text| text == value);
        is("type", "disk") && is("path", "/") && !options.contains_key("source")
    };
    devices
        .iter()
        .find(|(_, options)| is_root(options))
        .map(|(name, options)| (name.as_str(), options))
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

    fn profile(config: &[(&str, &str)], device: &[(&str, &str)]) -> ProfileRow {
        ProfileRow {
            id: 0,
            name: String::new(),
            description: String::new(),
            config: map(config),
            devices: Devices::from([("root".to_owned(), map(device))]),
        }
    }

    #[test]
    fn later_profiles_win_and_the_instance_over_all() {
        let profiles = [
            profile(&[("a", "1"), ("b", "1"), ("c", "1")], &[("pool", "one")]),
            profile(&[("b", "2"), ("c", "2")], &[("size", "1GiB")]),
        ];
        let expanded = expanded_config(&profiles, &map(&[("c", "3")]));
        assert_eq!(expanded, map(&[("a", "1"), ("b", "2"), ("c", "3")]));
        let devices = expanded_devices(&profiles, &Devices::new());
        assert_eq!(devices["root"], map(&[("size", "1GiB")]));
    }

    #[test]
    fn the_root_disk_is_the_one_at_the_root_without_a_source() {
        let disk = |pairs: &[(&str, &str)]| Devices::from([("d".to_owned(), map(pairs))]);
        let root = disk(&[("type", "disk"), ("path", "/"), ("pool", "p")]);
        assert_eq!(root_disk(&root).unwrap().0, "d");
        let other = disk(&[("type", "disk"), ("path", "/"), ("source", "/x")]);
        assert!(root_disk(&other).is_none());
    }
}
