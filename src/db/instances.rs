//! Instances and the profiles they use.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    InstanceId, ProjectId, Session,
    profiles::{Devices, ProfileRow},
    row_numbers,
    sql::{column, flag, json, statements, to_json},
};
use crate::{
    error::{Error, Result},
    image::ImageType,
};

/// An instance as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct InstanceRow {
    /// The row's number; not looked at by [`insert`].
    pub(crate) id: InstanceId,
    /// The project it belongs to.
    pub(crate) project: ProjectId,
    /// That project's name; not written.
    pub(crate) project_name: String,
    /// The name of the storage pool its tree is in.
    pub(crate) pool: String,
    /// Its name, unique in its project.
    pub(crate) name: String,
    /// Container or virtual machine.
    pub(crate) kind: ImageType,
    /// LXD's canonical name of the architecture.
    pub(crate) architecture: String,
    /// Whether it goes when it stops.
    pub(crate) ephemeral: bool,
    /// Free text.
    pub(crate) description: String,
    /// Its own configuration keys.
    pub(crate) config: BTreeMap<String, String>,
    /// Its own devices.
    pub(crate) devices: Devices,
    /// When it was made.
    pub(crate) created_at: String,
    /// When it was last started; the epoch for never.
    pub(crate) last_used_at: String,
}

statements! {
    LIST: 1 = "
        SELECT instances.id, instances.project_id, projects.name, storage_pools.name,
            instances.name, instances.type, instances.architecture, instances.ephemeral,
            instances.description, instances.config, instances.devices, instances.created_at,
            instances.last_used_at
        FROM instances
        JOIN projects ON projects.id = instances.project_id
        JOIN storage_pools ON storage_pools.id = instances.storage_pool_id
        WHERE projects.name = $1
        ORDER BY instances.name";
    LIST_EVERYWHERE: 0 = "
        SELECT instances.id, instances.project_id, projects.name, storage_pools.name,
            instances.name, instances.type, instances.architecture, instances.ephemeral,
            instances.description, instances.config, instances.devices, instances.created_at,
            instances.last_used_at
        FROM instances
        JOIN projects ON projects.id = instances.project_id
        JOIN storage_pools ON storage_pools.id = instances.storage_pool_id
        ORDER BY projects.name, instances.name";
    FIND: 2 = "
        SELECT instances.id, instances.project_id, projects.name, storage_pools.name,
            instances.name, instances.type, instances.architecture, instances.ephemeral,
            instances.description, instances.config, instances.devices, instances.created_at,
            instances.last_used_at
        FROM instances
        JOIN projects ON projects.id = instances.project_id
        JOIN storage_pools ON storage_pools.id = instances.storage_pool_id
        WHERE projects.name = $1 AND instances.name = $2";
    INSERT: 12 = "
        INSERT INTO instances (id, project_id, storage_pool_id, name, type, architecture,
            ephemeral, description, config, devices, created_at, last_used_at)
        VALUES ($1, $2, (SELECT id FROM storage_pools WHERE name = $3), $4, $5, $6, $7, $8, $9,
            $10, $11, $12)";
    UPDATE: 7 = "
        UPDATE instances
        SET architecture = $2, ephemeral = $3, description = $4, config = $5, devices = $6,
            last_used_at = $7
        WHERE id = $1";
    MOVE: 4 = "
        UPDATE instances
        SET project_id = $2, name = $3,
            storage_pool_id = (SELECT id FROM storage_pools WHERE name = $4)
        WHERE id = $1";
    DELETE: 1 = "
        DELETE FROM instances
        WHERE id = $1";
    PROFILES: 1 = "
        SELECT instance_profiles.instance_id, profiles.id, profiles.name, profiles.description,
            profiles.config, profiles.devices
        FROM instance_profiles
        JOIN profiles ON profiles.id = instance_profiles.profile_id
        JOIN instances ON instances.id = instance_profiles.instance_id
        JOIN projects ON projects.id = instances.project_id
        WHERE projects.name = $1
        ORDER BY instance_profiles.instance_id, instance_profiles.position";
    PROFILES_EVERYWHERE: 0 = "
        SELECT instance_profiles.instance_id, profiles.id, profiles.name, profiles.description,
            profiles.config, profiles.devices
        FROM instance_profiles
        JOIN profiles ON profiles.id = instance_profiles.profile_id
        ORDER BY instance_profiles.instance_id, instance_profiles.position";
    PROFILES_OF: 1 = "
        SELECT instance_profiles.instance_id, profiles.id, profiles.name, profiles.description,
            profiles.config, profiles.devices
        FROM instance_profiles
        JOIN profiles ON profiles.id = instance_profiles.profile_id
        WHERE instance_profiles.instance_id = $1
        ORDER BY instance_profiles.position";
    DETACH_PROFILES: 1 = "
        DELETE FROM instance_profiles
        WHERE instance_id = $1";
    ATTACH_PROFILE: 3 = "
        INSERT INTO instance_profiles (instance_id, profile_id, position)
        VALUES ($1, $2, $3)";
    PROFILE_USERS: 0 = "
        SELECT instance_profiles.profile_id, projects.name, instances.name
        FROM instance_profiles
        JOIN instances ON instances.id = instance_profiles.instance_id
        JOIN projects ON projects.id = instances.project_id
        ORDER BY projects.name, instances.name";
}

fn read(row: &SqliteRow) -> Result<InstanceRow> {
    Ok(InstanceRow {
        id: InstanceId(column(row, 0)?),
        project: ProjectId(column(row, 1)?),
        project_name: column(row, 2)?,
        pool: column(row, 3)?,
        name: column(row, 4)?,
        kind: kind(row, 5)?,
        architecture: column(row, 6)?,
        ephemeral: flag(row, 7)?,
        description: column(row, 8)?,
        config: json(row, 9)?,
        devices: json(row, 10)?,
        created_at: column(row, 11)?,
        last_used_at: column(row, 12)?,
    })
}

/// A type, kept as LXD's name for it.
fn kind(row: &SqliteRow, index: usize) -> Result<ImageType> {
    let name: String = column(row, index)?;
    ImageType::from_name(&name).ok_or_else(|| {
        let cause = anyhow::anyhow!("{name:?} is no type of instances");
        Error::internal("Failed to read the database", cause)
    })
}

/// The instances of a project, by name.
pub(crate) async fn list(session: &mut Session, project: &str) -> Result<Vec<InstanceRow>> {
    LIST.all(session, [project.into()], read).await
}

/// The instances of all projects, by project and name.
pub(crate) async fn list_everywhere(session: &mut Session) -> Result<Vec<InstanceRow>> {
    LIST_EVERYWHERE.all(session, [], read).await
}

/// A project's instance of this name.
pub(crate) async fn find(
    session: &mut Session,
    project: &str,
    name: &str,
) -> Result<Option<InstanceRow>> {
    FIND.optional(session, [project.into(), name.into()], read)
        .await
}

/// Adds an instance, whose pool has to be there.
pub(crate) async fn insert(session: &mut Session, instance: &InstanceRow) -> Result<InstanceId> {
    let id = row_numbers::next(session, "instances").await?;
    let (config, devices) = (to_json(&instance.config)?, to_json(&instance.devices)?);
    let args = [
        id.into(),
        instance.project.into(),
        (&instance.pool).into(),
        (&instance.name).into(),
        instance.kind.name().into(),
        (&instance.architecture).into(),
        instance.ephemeral.into(),
        (&instance.description).into(),
        (&config).into(),
        (&devices).into(),
        (&instance.created_at).into(),
        (&instance.last_used_at).into(),
    ];
    INSERT.run(session, args).await?;
    Ok(InstanceId(id))
}

/// Replaces everything that an edit may change, of the instance with this `id`.
pub(crate) async fn update(session: &mut Session, instance: &InstanceRow) -> Result<()> {
    let (config, devices) = (to_json(&instance.config)?, to_json(&instance.devices)?);
    let args = [
        instance.id.into(),
        (&instance.architecture).into(),
        instance.ephemeral.into(),
        (&instance.description).into(),
        (&config).into(),
        (&devices).into(),
        (&instance.last_used_at).into(),
    ];
    UPDATE.run(session, args).await?;
    Ok(())
}

/// Gives the instance with this `id` the project, name and pool that `instance` says.
pub(crate) async fn relocate(session: &mut Session, instance: &InstanceRow) -> Result<()> {
    let args = [
        instance.id.into(),
        instance.project.into(),
        (&instance.name).into(),
        (&instance.pool).into(),
    ];
    MOVE.run(session, args).await?;
    Ok(())
}

/// Removes an instance with its snapshots. Returns whether there was one.
pub(crate) async fn delete(session: &mut Session, id: InstanceId) -> Result<bool> {
    Ok(DELETE.run(session, [id.into()]).await? > 0)
}

/// The profiles of instances, in the order in which they apply.
pub(crate) type ProfilesOf = BTreeMap<InstanceId, Vec<ProfileRow>>;

/// The profiles of each instance of a project.
pub(crate) async fn profiles(session: &mut Session, project: &str) -> Result<ProfilesOf> {
    let rows = PROFILES
        .all(session, [project.into()], read_profile)
        .await?;
    Ok(grouped(rows))
}

/// The profiles of each instance of every project.
pub(crate) async fn profiles_everywhere(session: &mut Session) -> Result<ProfilesOf> {
    let rows = PROFILES_EVERYWHERE.all(session, [], read_profile).await?;
    Ok(grouped(rows))
}

/// The profiles of one instance.
pub(crate) async fn profiles_of(
    session: &mut Session,
    instance: InstanceId,
) -> Result<Vec<ProfileRow>> {
    let rows = PROFILES_OF
        .all(session, [instance.into()], read_profile)
        .await?;
    Ok(rows.into_iter().map(|(_, profile)| profile).collect())
}

fn grouped(rows: Vec<(InstanceId, ProfileRow)>) -> ProfilesOf {
    let mut by_instance = ProfilesOf::new();
    for (instance, profile) in rows {
        by_instance.entry(instance).or_default().push(profile);
    }
    by_instance
}

fn read_profile(row: &SqliteRow) -> Result<(InstanceId, ProfileRow)> {
    let profile = ProfileRow {
        id: column(row, 1)?,
        name: column(row, 2)?,
        description: column(row, 3)?,
        config: json(row, 4)?,
        devices: json(row, 5)?,
    };
    Ok((InstanceId(column(row, 0)?), profile))
}

/// Replaces the profiles of an instance by these rows, in this order.
pub(crate) async fn set_profiles(
    session: &mut Session,
    instance: InstanceId,
    profiles: &[i64],
) -> Result<()> {
    DETACH_PROFILES.run(session, [instance.into()]).await?;
    for (position, profile) in (0_i64..).zip(profiles) {
        let args = [instance.into(), (*profile).into(), position.into()];
        ATTACH_PROFILE.run(session, args).await?;
    }
    Ok(())
}

/// For each profile in use, the project and name of every instance that uses it.
pub(crate) async fn profile_users(
    session: &mut Session,
) -> Result<BTreeMap<i64, Vec<(String, String)>>> {
    let read = |row: &SqliteRow| Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?));
    let mut users: BTreeMap<i64, Vec<(String, String)>> = BTreeMap::new();
    for (profile, project, name) in PROFILE_USERS.all(session, [], read).await? {
        users.entry(profile).or_default().push((project, name));
    }
    Ok(users)
}
