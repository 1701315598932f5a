//! Profiles and their devices.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    ProjectId, Session,
    sql::{column, json, statements, to_json},
};
use crate::error::Result;

/// Devices by name, each with its options.
pub(crate) type Devices = BTreeMap<String, BTreeMap<String, String>>;

/// A profile as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct ProfileRow {
    /// The row's number.
    pub(crate) id: i64,
    /// Its name, unique in its project.
    pub(crate) name: String,
    /// Free text.
    pub(crate) description: String,
    /// Its configuration keys.
    pub(crate) config: BTreeMap<String, String>,
    /// Its devices.
    pub(crate) devices: Devices,
}

statements! {
    LIST: 1 = "
        SELECT id, name, description, config, devices
        FROM profiles
        WHERE project_id = $1
        ORDER BY name";
    FIND: 2 = "
        SELECT id, name, description, config, devices
        FROM profiles
        WHERE project_id = $1 AND name = $2";
    INSERT: 5 = "
        INSERT INTO profiles (project_id, name, description, config, devices)
        VALUES ($1, $2, $3, $4, $5)
        RETURNING id";
    UPDATE: 4 = "
        UPDATE profiles
        SET description = $2, config = $3, devices = $4
        WHERE id = $1";
    RENAME: 2 = "
        UPDATE profiles
        SET name = $2
        WHERE id = $1";
    DELETE: 1 = "
        DELETE FROM profiles
        WHERE id = $1";
    ALL_DEVICES: 0 = "
        SELECT projects.name, profiles.name, profiles.devices
        FROM profiles
        JOIN projects ON projects.id = profiles.project_id
        ORDER BY projects.name, profiles.name";
}

fn read(row: &SqliteRow) -> Result<ProfileRow> {
    Ok(ProfileRow {
        id: column(row, 0)?,
        name: column(row, 1)?,
        description: column(row, 2)?,
        config: json(row, 3)?,
        devices: json(row, 4)?,
    })
}

/// The profiles of a project, by name.
pub(crate) async fn list(session: &mut Session, project: ProjectId) -> Result<Vec<ProfileRow>> {
    LIST.all(session, [project.into()], read).await
}

/// A project's profile of this name.
pub(crate) async fn find(
    session: &mut Session,
    project: ProjectId,
    name: &str,
) -> Result<Option<ProfileRow>> {
    FIND.optional(session, [project.into(), name.into()], read)
        .await
}

/// Adds a profile; the `id` in `profile` is not looked at. Returns the new row's number.
pub(crate) async fn insert(
    session: &mut Session,
    project: ProjectId,
    profile: &ProfileRow,
) -> Result<i64> {
    let (config, devices) = (to_json(&profile.config)?, to_json(&profile.devices)?);
    let args = [
        project.into(),
        (&profile.name).into(),
        (&profile.description).into(),
        (&config).into(),
        (&devices).into(),
    ];
    INSERT.one(session, args, |row| column(row, 0)).await
}

/// Replaces everything but the name of the profile with this `id`.
pub(crate) async fn update(session: &mut Session, profile: &ProfileRow) -> Result<()> {
    let (config, devices) = (to_json(&profile.config)?, to_json(&profile.devices)?);
    let args = [
        profile.id.into(),
        (&profile.description).into(),
        (&config).into(),
        (&devices).into(),
    ];
    UPDATE.run(session, args).await?;
    Ok(())
}

/// Gives a profile another name.
pub(crate) async fn rename(session: &mut Session, id: i64, name: &str) -> Result<()> {
    RENAME.run(session, [id.into(), name.into()]).await?;
    Ok(())
}

/// Removes a profile; images that refer to it lose the entry.
pub(crate) async fn delete(session: &mut Session, id: i64) -> Result<()> {
    DELETE.run(session, [id.into()]).await?;
    Ok(())
}

/// Every profile's project, name and devices, for finding out who uses a pool.
pub(crate) async fn all_devices(session: &mut Session) -> Result<Vec<(String, String, Devices)>> {
    ALL_DEVICES
        .all(session, [], |row| {
            Ok((column(row, 0)?, column(row, 1)?, json(row, 2)?))
        })
        .await
}
