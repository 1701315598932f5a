//! Rules for instances that no single key or device breaks alone.

use std::path::Path;

use super::{Instance, Instances};
use crate::{
    config::{self, expand::is_root},
    error::{Error, Result},
};

/// No profile twice.
///
/// # Errors
///
/// LXD's text.
pub(super) fn no_duplicates(names: &[String]) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    if names.iter().all(|name| seen.insert(name)) {
        return Ok(());
    }
    Err(Error::failed("Duplicate profile found in request"))
}

/// Whether the instance's own devices are good, and all of them together.
///
/// # Errors
///
/// The reason in LXD's words.
pub(super) fn devices(instance: &Instance) -> Result<(), String> {
    config::device::validate(&instance.row.devices)?;
    let roots = instance.devices.values().filter(|device| is_root(device));
    if roots.count() > 1 {
        let text = "Failed detecting root disk device: More than one root device found";
        return Err(text.to_owned());
    }
    config::device::validate(&instance.devices)
}

impl Instances {
    /// Whether what disks are to show of the host is there. A file system that does not answer
    /// holds up nobody else; so not while the database is written.
    ///
    /// # Errors
    ///
    /// LXD's text.
    pub(super) async fn check_sources(&self, instance: &Instance) -> Result<()> {
        let instance = instance.clone();
        self.tasks.run_blocking(move || sources(&instance)).await
    }
}

/// The same. Blocks.
pub(super) fn sources(instance: &Instance) -> Result<()> {
    for (name, device) in &instance.devices {
        let get = |key: &str| device.get(key).map(String::as_str);
        let needed = get("required").and_then(config::truth).unwrap_or(true);
        let is_hosts = get("type") == Some("disk") && get("pool").is_none() && needed;
        let Some(source) = get("source").filter(|source| is_hosts && source.starts_with('/'))
        else {
            continue;
        };
        if !Path::new(source).exists() {
            return Err(Error::failed(format!(
                "Failed add validation for device {name:?}: \
                 Missing source path {source:?} for disk {name:?}"
            )));
        }
    }
    Ok(())
}
