//! A statement knows how many values it takes, and the compiler holds callers to it: SQLite
//! itself turns a forgotten value into NULL without a word.

use sqlx::{
    AssertSqlSafe, Row, SqliteConnection,
    query::Query,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};

use crate::{
    error::{Error, Result},
    image::Fingerprint,
};

/// A statement with `N` parameters, `$1` to `$N`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sql<const N: usize>(pub(super) &'static str);

/// A value for a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg<'q> {
    Text(&'q str),
    Int(i64),
    Null,
}

impl<'q> From<&'q str> for Arg<'q> {
    fn from(value: &'q str) -> Self {
        Self::Text(value)
    }
}

impl<'q> From<&'q String> for Arg<'q> {
    fn from(value: &'q String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Arg<'_> {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<super::ProjectId> for Arg<'_> {
    fn from(value: super::ProjectId) -> Self {
        Self::Int(value.0)
    }
}

impl From<super::ImageId> for Arg<'_> {
    fn from(value: super::ImageId) -> Self {
        Self::Int(value.0)
    }
}

impl From<super::InstanceId> for Arg<'_> {
    fn from(value: super::InstanceId) -> Self {
        Self::Int(value.0)
    }
}

impl<'q> From<&'q Fingerprint> for Arg<'q> {
    fn from(value: &'q Fingerprint) -> Self {
        Self::Text(value.as_str())
    }
}

impl<T: Into<Self>> From<Option<T>> for Arg<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<const N: usize> Sql<N> {
    fn bound(self, args: [Arg<'_>; N]) -> Query<'_, Sqlite, SqliteArguments> {
        args.into_iter()
            .fold(sqlx::query(AssertSqlSafe(self.0)), |query, arg| match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Int(number) => query.bind(number),
                Arg::Null => query.bind(None::<i64>),
            })
    }

    /// Runs it; returns how many rows it touched.
    pub(super) async fn run(
        self,
        session: &mut SqliteConnection,
        args: [Arg<'_>; N],
    ) -> Result<u64> {
        let done = self.bound(args).execute(session).await.map_err(failure)?;
        Ok(done.rows_affected())
    }

    /// Every row, each made into a `T`.
    pub(super) async fn all<T>(
        self,
        session: &mut SqliteConnection,
        args: [Arg<'_>; N],
        read: impl Fn(&SqliteRow) -> Result<T> + Send,
    ) -> Result<Vec<T>> {
        let rows = self.bound(args).fetch_all(session).await.map_err(failure)?;
        rows.iter().map(read).collect()
    }

    /// The row, if there is one.
    pub(super) async fn optional<T>(
        self,
        session: &mut SqliteConnection,
        args: [Arg<'_>; N],
        read: impl Fn(&SqliteRow) -> Result<T> + Send,
    ) -> Result<Option<T>> {
        let row = self
            .bound(args)
            .fetch_optional(session)
            .await
            .map_err(failure)?;
        row.as_ref().map(read).transpose()
    }

    /// The one row that a statement with `RETURNING` or an aggregate always has.
    pub(super) async fn one<T>(
        self,
        session: &mut SqliteConnection,
        args: [Arg<'_>; N],
        read: impl Fn(&SqliteRow) -> Result<T> + Send,
    ) -> Result<T> {
        let row = self.bound(args).fetch_one(session).await.map_err(failure)?;
        read(&row)
    }
}

/// The value in a column, counted from 0 in the statement's column list.
pub(super) fn column<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(index).map_err(failure)
}

/// A fingerprint, kept as its digits.
pub(super) fn fingerprint(row: &SqliteRow, index: usize) -> Result<Fingerprint> {
    let text: String = column(row, index)?;
    let parsed = text.parse();
    parsed
        .map_err(|error| Error::internal("Failed to read the database", anyhow::Error::new(error)))
}

/// A flag, kept as 0 or 1.
pub(super) fn flag(row: &SqliteRow, index: usize) -> Result<bool> {
    Ok(column::<i64>(row, index)? != 0)
}

/// A column that holds what this program wrote as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, index: usize) -> Result<T> {
    serde_json::from_str(column(row, index)?)
        .map_err(|error| Error::internal("Failed to read the database", error))
}

/// The text that [`json`] reads back.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::internal("Failed to write the database", error))
}

/// What the client reads when the database fails; the cause goes to the log.
pub(super) fn failure(error: sqlx::Error) -> Error {
    let text = if says_full(&error) {
        "Failed to write the database: No space left on device"
    } else {
        "Database error"
    };
    Error::internal(text, error)
}

/// Whether the database could not be written for want of space.
pub(crate) fn is_full(error: &Error) -> bool {
    error
        .cause()
        .and_then(|cause| cause.downcast_ref())
        .is_some_and(says_full)
}

/// SQLite tells a full disk as such, or, when it cannot make its log longer, as an I/O error.
fn says_full(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|e| e.message().contains("is full") || e.message().contains("disk I/O"))
}

/// The `table.column, …` of the uniqueness that a statement would have broken, as SQLite names it.
pub(crate) fn constraint(error: &Error) -> Option<&str> {
    let cause = error.cause()?.downcast_ref::<sqlx::Error>()?;
    let cause = cause.as_database_error()?;
    cause.is_unique_violation().then(|| {
        cause
            .message()
            .rsplit("failed: ")
            .next()
            .unwrap_or_default()
    })
}

/// Declares the statements of a file, and a list of them for the test that prepares each.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $count:literal = $text:expr;)+) => {
        $($(#[$doc])* const $name: $crate::db::sql::Sql<$count> = $crate::db::sql::Sql($text);)+

        /// Every statement of this file: name, parameters, text.
        #[cfg(test)]
        pub(in crate::db) const STATEMENTS: &[(&str, usize, &str)] =
            &[$((stringify!($name), $count, $text)),+];
    };
}
pub(super) use statements;
