//! An instance that is to be: what it would be like, and whether it may be.

use std::collections::BTreeSet;

use super::{Config, Instance, check};
use crate::{
    access::Scope,
    api::Timestamp,
    config,
    db::{
        self, InstanceId, Session,
        instances::InstanceRow,
        pools,
        profiles::{self, Devices, ProfileRow},
    },
    error::{Context, Error, Result},
    image::{ImageType, host_architectures},
};

/// What a new instance is to be.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Its name.
    pub(super) name: String,
    /// Container or virtual machine.
    pub(super) kind: ImageType,
    /// LXD's canonical name of the architecture.
    pub(super) architecture: String,
    /// Whether it goes when it stops.
    pub(super) ephemeral: bool,
    /// Free text.
    pub(super) description: String,
    /// Its own configuration.
    pub(super) config: Config,
    /// Its own devices.
    pub(super) devices: Devices,
    /// Names of its profiles.
    pub(super) profiles: Vec<String>,
}

impl Draft {
    /// The instance this would become, checked in every way but against the project's limits, and
    /// for what is to be there on the host.
    ///
    /// # Errors
    ///
    /// LXD's text, as an operation tells it.
    pub(super) async fn instance(
        self,
        session: &mut Session,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Instance> {
        self.check_alone()?;
        let found = named_profiles(session, scope, &self.profiles).await?;
        let project = &scope.project;
        if db::instances::find(session, &project.name, &self.name)
            .await?
            .is_some()
        {
            return Err(already_exists());
        }
        let row = InstanceRow {
            id: InstanceId(0),
            project: project.id,
            project_name: project.name.clone(),
            pool: String::new(),
            name: self.name,
            kind: self.kind,
            architecture: self.architecture,
            ephemeral: self.ephemeral,
            description: self.description,
            config: self.config,
            devices: self.devices,
            created_at: now.to_string(),
            last_used_at: "1970-01-01T00:00:00Z".to_owned(),
        };
        let mut instance = Instance::new(row, found);
        let initialised = initialise(session, &mut instance).await;
        initialised.context("Failed initialising instance")?;
        Ok(instance)
    }

    /// What can be said of it without looking at anything else.
    fn check_alone(&self) -> Result<()> {
        if !host_architectures().contains(&self.architecture.as_str()) {
            let text = "Requested architecture isn't supported by this host";
            return Err(Error::failed(text));
        }
        check::no_duplicates(&self.profiles)?;
        config::instance::validate_own(&self.config, self.kind).map_err(Error::failed)?;
        let mut kinds = self
            .devices
            .values()
            .filter_map(|device| device.get("type"));
        match kinds.find(|kind| !config::device::is_type(kind)) {
            Some(kind) => Err(Error::failed(format!("Invalid device type {kind}"))),
            None => Ok(()),
        }
    }
}

/// Finds the pool of the root disk, and whether the devices fit together.
async fn initialise(session: &mut Session, instance: &mut Instance) -> Result<()> {
    check::devices(instance)
        .map_err(|reason| Error::failed(format!("Invalid devices: {reason}")))?;
    let Some((_, root)) = config::expand::root_disk(&instance.devices) else {
        let text = "Failed getting root disk: No root device could be found";
        return Err(Error::failed(text));
    };
    let pool = root.get("pool").cloned().unwrap_or_default();
    if pools::find(session, &pool).await?.is_none() {
        let text = "Failed loading storage pool: Storage pool not found";
        return Err(Error::failed(text));
    }
    instance.row.pool = pool;
    Ok(())
}

/// The rows of the named profiles of a project, in the order of their names here.
///
/// # Errors
///
/// 500 with LXD's text for one that is not there.
pub(super) async fn named_profiles(
    session: &mut Session,
    scope: &Scope,
    names: &[String],
) -> Result<Vec<ProfileRow>> {
    let mut known = profiles::list(session, scope.profiles).await?;
    let mut found = Vec::new();
    for name in names {
        let Some(index) = known.iter().position(|profile| profile.name == *name) else {
            let text = format!("Requested profile {name:?} doesn't exist");
            return Err(Error::failed(text));
        };
        found.push(known.swap_remove(index));
    }
    Ok(found)
}

/// Whether all of these profiles are there; one that is named twice is for the operation to
/// refuse.
pub(super) async fn check_profiles(
    session: &mut Session,
    scope: &Scope,
    names: &[String],
) -> Result<()> {
    let once: BTreeSet<_> = names.iter().cloned().collect();
    let once: Vec<_> = once.into_iter().collect();
    named_profiles(session, scope, &once).await.map(drop)
}

/// LXD's answer for a name that is taken.
pub(super) fn already_exists() -> Error {
    let text = "Add instance info to the database: This \"instances\" entry already exists";
    Error::failed(text)
}
