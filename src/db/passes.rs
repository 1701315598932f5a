//! When jobs last did their work.

use super::{
    Session,
    sql::{column, statements},
};
use crate::error::Result;

statements! {
    FIND: 1 = "
        SELECT ended_at
        FROM passes
        WHERE name = $1";
    SET: 2 = "
        INSERT INTO passes (name, ended_at)
        VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET ended_at = excluded.ended_at";
}

/// When a job last did its work, if it ever has.
pub(crate) async fn find(session: &mut Session, name: &str) -> Result<Option<String>> {
    FIND.optional(session, [name.into()], |row| column(row, 0))
        .await
}

/// A job has done its work.
pub(crate) async fn set(session: &mut Session, name: &str, ended_at: &str) -> Result<()> {
    SET.run(session, [name.into(), ended_at.into()]).await?;
    Ok(())
}
