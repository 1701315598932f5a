//! Storage pools.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    Session,
    sql::{column, json, statements, to_json},
};
use crate::error::Result;

/// A storage pool as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct PoolRow {
    /// Its name, unique.
    pub(crate) name: String,
    /// What keeps it: `dir`.
    pub(crate) driver: String,
    /// Free text.
    pub(crate) description: String,
    /// Its configuration keys.
    pub(crate) config: BTreeMap<String, String>,
}

statements! {
    LIST: 0 = "
        SELECT name, driver, description, config
        FROM storage_pools
        ORDER BY name";
    FIND: 1 = "
        SELECT name, driver, description, config
        FROM storage_pools
        WHERE name = $1";
    INSERT: 4 = "
        INSERT INTO storage_pools (name, driver, description, config)
        VALUES ($1, $2, $3, $4)";
    UPDATE: 3 = "
        UPDATE storage_pools
        SET description = $2, config = $3
        WHERE name = $1";
    DELETE: 1 = "
        DELETE FROM storage_pools
        WHERE name = $1";
}

fn read(row: &SqliteRow) -> Result<PoolRow> {
    Ok(PoolRow {
        name: column(row, 0)?,
        driver: column(row, 1)?,
        description: column(row, 2)?,
        config: json(row, 3)?,
    })
}

/// Every pool, by name.
pub(crate) async fn list(session: &mut Session) -> Result<Vec<PoolRow>> {
    LIST.all(session, [], read).await
}

/// The pool of this name.
pub(crate) async fn find(session: &mut Session, name: &str) -> Result<Option<PoolRow>> {
    FIND.optional(session, [name.into()], read).await
}

/// Adds a pool.
pub(crate) async fn insert(session: &mut Session, pool: &PoolRow) -> Result<()> {
    let config = to_json(&pool.config)?;
    let args = [
        (&pool.name).into(),
        (&pool.driver).into(),
        (&pool.description).into(),
        (&config).into(),
    ];
    INSERT.run(session, args).await?;
    Ok(())
}

/// Replaces a pool's description and configuration.
pub(crate) async fn update(session: &mut Session, pool: &PoolRow) -> Result<()> {
    let config = to_json(&pool.config)?;
    let args = [
        (&pool.name).into(),
        (&pool.description).into(),
        (&config).into(),
    ];
    UPDATE.run(session, args).await?;
    Ok(())
}

/// Removes a pool.
pub(crate) async fn delete(session: &mut Session, name: &str) -> Result<()> {
    DELETE.run(session, [name.into()]).await?;
    Ok(())
}
