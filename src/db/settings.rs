//! Server settings: key and value as text.

use std::collections::BTreeMap;

use super::{
    Session,
    sql::{column, statements},
};
use crate::error::Result;

statements! {
    LIST: 0 = "
        SELECT key, value
        FROM settings
        ORDER BY key";
    SET: 2 = "
        INSERT INTO settings (key, value)
        VALUES ($1, $2)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    UNSET: 1 = "
        DELETE FROM settings
        WHERE key = $1";
}

/// Every setting that differs from its default.
pub(crate) async fn list(session: &mut Session) -> Result<BTreeMap<String, String>> {
    let rows = LIST
        .all(session, [], |row| Ok((column(row, 0)?, column(row, 1)?)))
        .await?;
    Ok(rows.into_iter().collect())
}

/// Stores a setting, or forgets it when `value` is `None`.
pub(crate) async fn set(session: &mut Session, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => SET.run(session, [key.into(), value.into()]).await?,
        None => UNSET.run(session, [key.into()]).await?,
    };
    Ok(())
}
