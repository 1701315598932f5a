//! The order of a start: what the image requires, the files, the templates, the container.

use super::{
    Instance, Instances, Status,
    requirements::{self, Host},
    spec,
    state::not_implemented,
    trees::{self, map_as_noted, wanted_map},
};
use crate::{
    access::confined_to,
    db,
    error::{Context, Error, Result},
    pool::{Pool, TreeName},
    runtime::Running,
};

impl Instances {
    /// Starts an instance whose lock is held. Fails with nothing left running or mounted.
    pub(super) async fn start_held(&self, instance: &Instance) -> Result<()> {
        if self.status(instance) != Status::Stopped {
            return Err(Error::failed("The instance is already running"));
        }
        requirements::check(instance, Host::this())?;
        if !instance.is_container() {
            let text = "Starting virtual machines is not supported on this server";
            return Err(not_implemented(text));
        }
        let instance = self.note_hwaddrs(instance).await?;
        let (pool, tree) = self.tree(&instance).await?;
        let started = self.start_on(&instance, &pool, &tree).await;
        if started.is_err() {
            let released = self.tasks.run_blocking(move || pool.release(&tree)).await;
            if let Err(error) = released {
                tracing::warn!(%error, instance.name = instance.name(), "its files stay mounted");
            }
        }
        let running = started?;
        self.watch(running);
        self.note_running(&instance).await
    }

    async fn start_on(&self, instance: &Instance, pool: &Pool, tree: &TreeName) -> Result<Running> {
        let map = wanted_map(instance.row.kind, &instance.config);
        let (mounting, name) = (pool.clone(), tree.clone());
        let rootfs = self.tasks.run_blocking(move || {
            if mounting.map(&name)? != map {
                mounting
                    .remap(&name, map)
                    .context("Failed to change owners")?;
            }
            mounting.keep_mounted(&name)
        });
        let rootfs = rootfs.await?;
        self.apply_templates(instance, pool, tree).await?;
        let project = db::projects::find(&mut *self.db.read().await?, instance.project()).await?;
        let project = project.ok_or_else(|| Error::not_found("Project not found"))?;
        let (instance, name) = (instance.clone(), tree.qualified().to_owned());
        // Paths that the instance names may be slow to look at.
        let make = move || {
            let confine = |source: &str| confined_to(&project, source);
            spec::of(&instance, &name, (rootfs, map), &confine)
        };
        let spec = self.tasks.run_blocking(make).await?;
        self.runtime.start(spec).await
    }

    /// Interfaces keep the address that their first start gives them.
    async fn note_hwaddrs(&self, instance: &Instance) -> Result<Instance> {
        let mut noted = Vec::new();
        for (device, options) in &instance.devices {
            let key = format!("volatile.{device}.hwaddr");
            let is_nic = options.get("type").is_some_and(|kind| kind == "nic");
            let has_one = options.contains_key("hwaddr") || instance.get(&key).is_some();
            if is_nic && !has_one {
                noted.push((key, new_hwaddr()?));
            }
        }
        if noted.is_empty() {
            return Ok(instance.clone());
        }
        let changes: Vec<_> = noted
            .iter()
            .map(|(key, value)| (key.as_str(), Some(value.as_str())))
            .collect();
        self.note(instance, &changes).await?;
        self.find(instance.project(), instance.name()).await
    }

    async fn note_running(&self, instance: &Instance) -> Result<()> {
        let map = map_as_noted(wanted_map(instance.row.kind, &instance.config));
        let changes = [
            ("volatile.last_state.power", Some("RUNNING")),
            ("volatile.last_state.idmap", Some(map.as_str())),
            ("volatile.idmap.current", Some(map.as_str())),
            ("volatile.idmap.next", Some(map.as_str())),
            ("volatile.idmap.base", Some("0")),
        ];
        self.note(instance, &changes).await?;
        self.note_started(instance).await
    }

    /// The instance that this container is of.
    pub(super) async fn instance_of(&self, running: &Running) -> Result<Option<Instance>> {
        let all = self.list(None).await?.into_iter();
        let mut containers = all.filter(Instance::is_container);
        Ok(containers.find(|instance| {
            trees::name(instance).is_ok_and(|tree| tree.qualified() == running.name())
        }))
    }
}

/// An address of the range that LXD gives, too.
fn new_hwaddr() -> Result<String> {
    let mut bytes = [0_u8; 3];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("No random numbers to be had", error))?;
    let [a, b, c] = bytes;
    Ok(format!("00:16:3e:{a:02x}:{b:02x}:{c:02x}"))
}
