//! Numbers for new rows, none of which is given twice.

use super::{
    Session,
    sql::{column, statements},
};
use crate::error::Result;

statements! {
    NEXT: 1 = "
        UPDATE row_numbers
        SET last = last + 1
        WHERE kind = $1
        RETURNING last";
}

/// The number for a new row of this kind: `images`, `projects`, `instances` or `snapshots`.
pub(super) async fn next(session: &mut Session, kind: &str) -> Result<i64> {
    NEXT.one(session, [kind.into()], |row| column(row, 0)).await
}
