//! Snapshots of instances.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    InstanceId, Session,
    profiles::Devices,
    row_numbers,
    sql::{column, flag, json, statements, to_json},
};
use crate::error::Result;

/// A snapshot as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotRow {
    /// The row's number; not looked at by [`insert`].
    pub(crate) id: i64,
    /// Whose it is.
    pub(crate) instance: InstanceId,
    /// Its name, unique for its instance.
    pub(crate) name: String,
    /// Whether the instance was ephemeral.
    pub(crate) ephemeral: bool,
    /// Free text.
    pub(crate) description: String,
    /// The configuration the instance had of its own.
    pub(crate) config: BTreeMap<String, String>,
    /// The devices it had of its own.
    pub(crate) devices: Devices,
    /// When it was made.
    pub(crate) created_at: String,
    /// When it goes; the zero time for never.
    pub(crate) expires_at: String,
}

statements! {
    LIST: 1 = "
        SELECT id, instance_id, name, ephemeral, description, config, devices, created_at,
            expires_at
        FROM instance_snapshots
        WHERE instance_id = $1
        ORDER BY created_at, id";
    LIST_EVERYWHERE: 0 = "
        SELECT id, instance_id, name, ephemeral, description, config, devices, created_at,
            expires_at
        FROM instance_snapshots
        ORDER BY instance_id, created_at, id";
    FIND: 2 = "
        SELECT id, instance_id, name, ephemeral, description, config, devices, created_at,
            expires_at
        FROM instance_snapshots
        WHERE instance_id = $1 AND name = $2";
    INSERT: 9 = "
        INSERT INTO instance_snapshots (id, instance_id, name, ephemeral, description, config,
            devices, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    UPDATE: 3 = "
        UPDATE instance_snapshots
        SET expires_at = $2, description = $3
        WHERE id = $1";
    RENAME: 2 = "
        UPDATE instance_snapshots
        SET name = $2
        WHERE id = $1";
    DELETE: 1 = "
        DELETE FROM instance_snapshots
        WHERE id = $1";
}

fn read(row: &SqliteRow) -> Result<SnapshotRow> {
    Ok(SnapshotRow {
        id: column(row, 0)?,
        instance: InstanceId(column(row, 1)?),
        name: column(row, 2)?,
        ephemeral: flag(row, 3)?,
        description: column(row, 4)?,
        config: json(row, 5)?,
        devices: json(row, 6)?,
        created_at: column(row, 7)?,
        expires_at: column(row, 8)?,
    })
}

/// The snapshots of an instance, oldest first.
pub(crate) async fn list(session: &mut Session, instance: InstanceId) -> Result<Vec<SnapshotRow>> {
    LIST.all(session, [instance.into()], read).await
}

/// The snapshots of each instance, oldest first.
pub(crate) async fn list_everywhere(
    session: &mut Session,
) -> Result<BTreeMap<InstanceId, Vec<SnapshotRow>>> {
    let mut by_instance: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in LIST_EVERYWHERE.all(session, [], read).await? {
        by_instance.entry(row.instance).or_default().push(row);
    }
    Ok(by_instance)
}

/// An instance's snapshot of this name.
pub(crate) async fn find(
    session: &mut Session,
    instance: InstanceId,
    name: &str,
) -> Result<Option<SnapshotRow>> {
    FIND.optional(session, [instance.into(), name.into()], read)
        .await
}

/// Adds a snapshot. Returns the new row's number.
pub(crate) async fn insert(session: &mut Session, snapshot: &SnapshotRow) -> Result<i64> {
    let id = row_numbers::next(session, "snapshots").await?;
    let (config, devices) = (to_json(&snapshot.config)?, to_json(&snapshot.devices)?);
    let args = [
        id.into(),
        snapshot.instance.into(),
        (&snapshot.name).into(),
        snapshot.ephemeral.into(),
        (&snapshot.description).into(),
        (&config).into(),
        (&devices).into(),
        (&snapshot.created_at).into(),
        (&snapshot.expires_at).into(),
    ];
    INSERT.run(session, args).await?;
    Ok(id)
}

/// Sets when a snapshot goes, and its description.
pub(crate) async fn update(session: &mut Session, snapshot: &SnapshotRow) -> Result<()> {
    let args = [
        snapshot.id.into(),
        (&snapshot.expires_at).into(),
        (&snapshot.description).into(),
    ];
    UPDATE.run(session, args).await?;
    Ok(())
}

/// Gives a snapshot another name.
pub(crate) async fn rename(session: &mut Session, id: i64, name: &str) -> Result<()> {
    RENAME.run(session, [id.into(), name.into()]).await?;
    Ok(())
}

/// Removes a snapshot. Returns whether there was one.
pub(crate) async fn delete(session: &mut Session, id: i64) -> Result<bool> {
    Ok(DELETE.run(session, [id.into()]).await? > 0)
}
