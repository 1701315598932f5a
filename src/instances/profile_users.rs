//! What a change of a profile means to the instances that use it.

use super::{Instance, change, check};
use crate::{
    access::{Population, Scope},
    config::{self, expand},
    db::{
        self, Session,
        profiles::{Devices, ProfileRow},
    },
    error::{Error, Result},
};

/// The instances that use a profile, of all projects.
pub(super) async fn of(session: &mut Session, profile: &ProfileRow) -> Result<Vec<Instance>> {
    let mut profiles = db::instances::profiles_everywhere(session).await?;
    let mut users = Vec::new();
    for row in db::instances::list_everywhere(session).await? {
        let used = profiles.remove(&row.id).unwrap_or_default();
        if used.iter().any(|known| known.id == profile.id) {
            users.push(Instance::new(row, used));
        }
    }
    Ok(users)
}

/// An instance's root disk does not go, nor get into another pool, behind its back.
///
/// # Errors
///
/// 500 with LXD's text.
pub(super) fn check_root(users: &[Instance], old: &ProfileRow, new: &ProfileRow) -> Result<()> {
    let Some((name, had)) = expand::root_disk(&old.devices) else {
        return Ok(());
    };
    let has = expand::root_disk(&new.devices).map(|(_, root)| root);
    if has.and_then(|root| root.get("pool")) == had.get("pool") {
        return Ok(());
    }
    if users.iter().any(|user| gets_root_from(user, old, name)) {
        let text = "At least one instance relies on this profile's root disk device";
        return Err(Error::failed(text));
    }
    Ok(())
}

/// Whether the device of this name comes from this profile.
fn gets_root_from(user: &Instance, profile: &ProfileRow, name: &str) -> bool {
    let has = |devices: &Devices| devices.contains_key(name);
    let mut later_first = user.profiles.iter().rev();
    let giver = later_first.find(|known| has(&known.devices));
    !has(&user.row.devices) && giver.is_some_and(|giver| giver.id == profile.id)
}

/// Whether the projects that use a profile allow what it is to be.
pub(super) async fn check_restrictions(
    session: &mut Session,
    users: &[Instance],
    scope: &Scope,
    new: &ProfileRow,
) -> Result<()> {
    let mut projects: Vec<&str> = users.iter().map(Instance::project).collect();
    projects.push(&scope.project.name);
    projects.sort_unstable();
    projects.dedup();
    for name in projects {
        let Some(project) = db::projects::find(session, name).await? else {
            continue;
        };
        let is_limited = project.config.keys().any(|key| key.starts_with("limits."));
        if is_limited || config::project::feature(&project.config, "restricted") {
            let population = Population::of(session, project).await?;
            population.allow_profile(new)?;
        }
    }
    Ok(())
}

/// Tells which instances do not take the change; it is made all the same. Blocks.
///
/// # Errors
///
/// 500 with LXD's text, one line for each.
pub(super) fn check_each(users: &[Instance], new: &ProfileRow) -> Result<()> {
    let mut refused = Vec::new();
    for user in users {
        let mut profiles = user.profiles.clone();
        for profile in &mut profiles {
            if profile.id == new.id {
                profile.clone_from(new);
            }
        }
        let changed = Instance::new(user.row.clone(), profiles);
        let taken = change::validate(user, &changed).and_then(|()| check::sources(&changed));
        if let Err(error) = taken {
            let (project, name) = (user.project(), user.name());
            refused.push(format!(
                " - Project: {project}, Instance: {name}: {error}\n"
            ));
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let text = "The following instances failed to update (profile change still saved):\n";
    Err(Error::failed(format!("{text}{}", refused.concat())))
}
