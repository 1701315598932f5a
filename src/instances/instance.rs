//! An instance with its profiles, and what the two together come to.

use std::collections::BTreeMap;

use crate::{
    config::{self, expand},
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
        let (configs, given): (Vec<_>, Vec<_>) = profiles
            .iter()
            .map(|profile| (&profile.config, &profile.devices))
            .unzip();
        let config = expand::config(&configs, &row.config);
        let devices = expand::devices(&given, &row.devices);
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
