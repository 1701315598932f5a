//! What a project may have: how many instances, and how much of a resource all of them together.

use super::restrictions;
use crate::{
    config::{self, expand},
    db::{
        self, Session,
        instances::InstanceRow,
        profiles::{self, Devices, ProfileRow},
        projects::ProjectRow,
    },
    error::{Context, Error, Result},
    image::ImageType,
};

/// Configuration keys and values.
type Config = std::collections::BTreeMap<String, String>;

/// An instance as limits and restrictions look at it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its name.
    pub(crate) name: String,
    /// Container or virtual machine.
    pub(crate) kind: ImageType,
    /// Its own configuration.
    pub(crate) own_config: Config,
    /// Its own devices.
    pub(crate) own_devices: Devices,
    /// Its profiles, in their order.
    pub(crate) profiles: Vec<ProfileRow>,
}

impl Subject {
    fn of_row(row: InstanceRow, profiles: Vec<ProfileRow>) -> Self {
        Self {
            name: row.name,
            kind: row.kind,
            own_config: row.config,
            own_devices: row.devices,
            profiles,
        }
    }

    fn config(&self) -> Config {
        let profiles: Vec<_> = self
            .profiles
            .iter()
            .map(|profile| &profile.config)
            .collect();
        expand::config(&profiles, &self.own_config)
    }

    fn devices(&self) -> Devices {
        let profiles: Vec<_> = self
            .profiles
            .iter()
            .map(|profile| &profile.devices)
            .collect();
        expand::devices(&profiles, &self.own_devices)
    }
}

/// What is in a project, as its limits count it.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    project: ProjectRow,
    instances: Vec<Subject>,
    profiles: Vec<ProfileRow>,
    image_bytes: u64,
}

impl Population {
    /// Everything that is in a project now.
    pub(crate) async fn of(session: &mut Session, project: ProjectRow) -> Result<Self> {
        let mut used = db::instances::profiles(session, &project.name).await?;
        let rows = db::instances::list(session, &project.name).await?;
        let instances = rows.into_iter().map(|row| {
            let profiles = used.remove(&row.id).unwrap_or_default();
            Subject::of_row(row, profiles)
        });
        Ok(Self {
            instances: instances.collect(),
            profiles: profiles::list(session, project.id).await?,
            image_bytes: db::images::total_bytes(session, project.id).await?,
            project,
        })
    }

    /// Whether one more instance may be.
    ///
    /// # Errors
    ///
    /// 500 with LXD's text.
    pub(crate) fn allow_creation(mut self, new: Subject) -> Result<()> {
        let project = &self.project.name;
        if self.is_full("instances", self.instances.len()) {
            return Err(Error::failed(format!(
                "Reached maximum number of instances in project {project:?}"
            )));
        }
        if self.is_full(limit_of(new.kind), self.count(new.kind)) {
            let kind = new.kind.name();
            return Err(Error::failed(format!(
                "Reached maximum number of instances of type {kind:?} in project {project:?}"
            )));
        }
        self.instances.push(new);
        self.check()
            .context("Failed checking if instance creation allowed")
    }

    /// Whether an instance may become another.
    ///
    /// # Errors
    ///
    /// 500 with LXD's text.
    pub(crate) fn allow_update(mut self, changed: Subject) -> Result<()> {
        self.instances.retain(|known| known.name != changed.name);
        self.instances.push(changed);
        self.check()
            .context("Failed checking if instance update allowed")
    }

    /// Whether a profile may become another.
    ///
    /// # Errors
    ///
    /// 500 with LXD's text.
    pub(crate) fn allow_profile(mut self, changed: &ProfileRow) -> Result<()> {
        let used = self
            .instances
            .iter_mut()
            .flat_map(|known| &mut known.profiles);
        for profile in self.profiles.iter_mut().chain(used) {
            if profile.id == changed.id {
                profile.clone_from(changed);
            }
        }
        self.check()
            .context("Failed checking if profile update allowed")
    }

    /// Whether the project may have these limits, with what is in it.
    ///
    /// # Errors
    ///
    /// 500 with LXD's text.
    pub(crate) fn allow_limits(mut self, new: &Config) -> Result<()> {
        let old = std::mem::replace(&mut self.project.config, new.clone());
        let is_changed = |key: &str| old.get(key) != new.get(key);
        let project = self.project.name.clone();
        let total = self.instances.len();
        if is_changed("limits.instances") && self.is_over("instances", total) {
            return Err(Error::failed(format!(
                "Can't change limits.instances in project {project:?}: \"limits.instances\" is \
                 too low: there currently are {total} total instances in project {project:?}"
            )));
        }
        for kind in [ImageType::Container, ImageType::VirtualMachine] {
            let (name, count) = (limit_of(kind), self.count(kind));
            let key = format!("limits.{name}");
            if is_changed(&key) && self.is_over(name, count) {
                let kind = kind.name();
                return Err(Error::failed(format!(
                    "Can't change {key:?} in project {project:?}: {key:?} is too low: there \
                     currently are {count} instances of type {kind} in project {project:?}"
                )));
            }
        }
        let changed = AGGREGATES
            .iter()
            .filter(|name| is_changed(&format!("limits.{name}")));
        changed
            .copied()
            .try_for_each(|name| self.check_aggregate(name))
    }

    /// How much of a resource is spoken for; what cannot be counted counts as nothing.
    pub(crate) fn usage(&self, resource: &str) -> u64 {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        match resource {
            "instances" => count(self.instances.len()),
            "containers" => count(self.count(ImageType::Container)),
            "virtual-machines" => count(self.count(ImageType::VirtualMachine)),
            name if AGGREGATES.contains(&name) => {
                let own = self.instances.iter();
                let own = own.filter_map(|instance| self.share(instance, name).ok());
                own.fold(self.bytes_of_images(name), u64::saturating_add)
            }
            _ => 0,
        }
    }

    fn count(&self, kind: ImageType) -> usize {
        self.instances
            .iter()
            .filter(|known| known.kind == kind)
            .count()
    }

    /// Whether there are as many as there may be.
    fn is_full(&self, resource: &str, count: usize) -> bool {
        self.limit(resource).is_some_and(|limit| count >= limit)
    }

    /// Whether there are more than there may be.
    fn is_over(&self, resource: &str, count: usize) -> bool {
        self.limit(resource).is_some_and(|limit| count > limit)
    }

    fn limit(&self, resource: &str) -> Option<usize> {
        let limit = config::project::limit(&self.project.config, resource)?;
        usize::try_from(limit).ok()
    }

    fn check(&self) -> Result<()> {
        for name in AGGREGATES {
            let checked = self.check_aggregate(name);
            checked.map_err(|error| {
                if error.message().starts_with("Reached") {
                    return error;
                }
                error.context("Failed getting usage of project entities")
            })?;
        }
        let is_restricted = config::project::feature(&self.project.config, "restricted");
        if !is_restricted {
            return Ok(());
        }
        for instance in &self.instances {
            let of = restrictions::Of {
                project: &self.project,
                label: instance.kind.name(),
                name: &instance.name,
                kind: Some(instance.kind),
            };
            of.check(&instance.own_config, &instance.own_devices)?;
        }
        let used = self.instances.iter().flat_map(|known| &known.profiles);
        for profile in self.profiles.iter().chain(used) {
            let of = restrictions::Of {
                project: &self.project,
                label: "",
                name: &profile.name,
                kind: None,
            };
            of.check(&profile.config, &profile.devices)?;
        }
        Ok(())
    }

    /// Whether all instances together stay below a limit of the project.
    fn check_aggregate(&self, name: &str) -> Result<()> {
        let (project, key) = (&self.project, format!("limits.{name}"));
        let Some(limit) = config::project::limit(&project.config, name) else {
            return Ok(());
        };
        // LXD: images have a budget of their own, up to the same limit.
        let mut total = 0_u64;
        for instance in &self.instances {
            total = total.saturating_add(self.share(instance, name)?);
        }
        if total > limit.unsigned_abs() {
            let (value, project) = (project.config.get(&key), &project.name);
            let value = value.map(String::as_str).unwrap_or_default();
            return Err(Error::failed(format!(
                "Reached maximum aggregate value {value:?} for {key:?} in project {project:?}"
            )));
        }
        Ok(())
    }

    fn bytes_of_images(&self, name: &str) -> u64 {
        match name {
            "disk" => self.image_bytes,
            _ => 0,
        }
    }

    /// How much of a resource one instance may take.
    fn share(&self, instance: &Subject, name: &str) -> Result<u64> {
        let (who, project, key) = (&instance.name, &self.project.name, format!("limits.{name}"));
        let value = if name == "disk" {
            let devices = instance.devices();
            let size = expand::root_disk(&devices).and_then(|(_, root)| root.get("size").cloned());
            size.ok_or_else(|| {
                Error::failed(format!(
                    "Instance {who:?} in project {project:?} has no \"size\" config set on the \
                     root device either directly or via a profile"
                ))
            })?
        } else {
            let value = instance.config().remove(&key);
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                Error::failed(format!(
                    "Instance {who:?} in project {project:?} has no {key:?} config, either \
                     directly or via a profile"
                ))
            })?
        };
        let parsed = config::project::amount(name, &value);
        parsed.ok_or_else(|| {
            Error::failed(format!(
                "Failed parsing {key:?} for instance {who:?} in project {project:?}"
            ))
        })
    }
}

/// Resources of which a project may limit the sum.
const AGGREGATES: &[&str] = &["cpu", "disk", "memory", "processes"];

/// The resource that instances of a type are.
fn limit_of(kind: ImageType) -> &'static str {
    match kind {
        ImageType::Container => "containers",
        ImageType::VirtualMachine => "virtual-machines",
    }
}
