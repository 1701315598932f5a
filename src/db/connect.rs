//! Opening the database: one writer, a few readers, migrations at start.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    pool::PoolConnection,
    sqlite::{
        Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    },
};

use super::{
    changes::Changes,
    reserve::Reserve,
    sql::{failure, statements},
};
use crate::error::{Error, Result};

/// What every query function takes: a reader's connection or the writer's transaction.
pub(crate) type Session = SqliteConnection;

/// The writer's transaction. Dropped without [`Db::commit`], it leaves nothing.
///
/// Its connection is closed then rather than used again: after some failures, such as a full
/// disk, SQLite has rolled back by itself, and what a connection believes is not to be trusted.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// Taken by the commit.
    connection: Option<PoolConnection<Sqlite>>,
    changes: Changes,
}

impl Deref for Transaction {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.connection
            .as_ref()
            .expect("the connection is there until the commit takes it")
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Session {
        self.connection
            .as_mut()
            .expect("the connection is there until the commit takes it")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

/// How many requests read at the same time; more wait for a connection.
const READERS: u32 = 8;

/// How long a request waits for a connection before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many rows a query may be ahead of its reader: with few, long lists pass most of their time
/// switching between the two.
const ROW_BUFFER: usize = 4096;

/// The schema, oldest first. A released migration never changes.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "image store",
        include_str!("../../migrations/0001_image_store.sql"),
    ),
    (
        2,
        "certificates",
        include_str!("../../migrations/0002_certificates.sql"),
    ),
    (
        3,
        "row numbers",
        include_str!("../../migrations/0003_row_numbers.sql"),
    ),
    (
        4,
        "update sources",
        include_str!("../../migrations/0004_update_sources.sql"),
    ),
    (
        5,
        "instances",
        include_str!("../../migrations/0005_instances.sql"),
    ),
    (
        6,
        "passes",
        include_str!("../../migrations/0006_passes.sql"),
    ),
];

statements! {
    BEGIN: 0 = "BEGIN IMMEDIATE";
    COMMIT: 0 = "COMMIT";
    VERSION: 0 = "
        SELECT MAX(version)
        FROM _sqlx_migrations";
}

/// The embedded database. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    readers: SqlitePool,
    writer: SqlitePool,
    reserve: Reserve,
    changes: Changes,
}

impl Db {
    /// Opens the database file at `path`, making it when there is none, and brings its schema
    /// up to date.
    ///
    /// # Errors
    ///
    /// A database that a newer version of the daemon wrote is refused and left as it is.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        if path.exists() {
            refuse_newer(path).await?;
        }
        let options = options(path).create_if_missing(true);
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(failure)?;
        migrator().run(&writer).await.map_err(|error| {
            Error::internal(
                format!("Failed to bring {} up to date", path.display()),
                error,
            )
        })?;
        let readers = pool(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(failure)?;
        let reserve = Reserve::beside(path);
        reserve.fill();
        Ok(Self {
            readers,
            writer,
            reserve,
            changes: Changes::beside(path),
        })
    }

    /// A connection for reading. It sees one state of the database per statement.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Sqlite>> {
        self.readers.acquire().await.map_err(failure)
    }

    /// Begins the one transaction that may write at a time. Keep it short: nothing is awaited in
    /// it but SQL.
    pub(crate) async fn write(&self) -> Result<Transaction> {
        let mut connection = self.writer.acquire().await.map_err(failure)?;
        // A transaction that began as a reader could fail when it first writes.
        BEGIN.run(&mut connection, []).await?;
        Ok(Transaction {
            connection: Some(connection),
            changes: self.changes.clone(),
        })
    }

    /// Makes a transaction durable.
    ///
    /// # Errors
    ///
    /// When it certainly is not, or may not be.
    pub(crate) async fn commit(mut transaction: Transaction) -> Result<()> {
        let committed = COMMIT.run(&mut transaction, []).await;
        transaction.changes.count();
        committed?;
        transaction.connection = None;
        Ok(())
    }

    /// The state of the database: other numbers after each change, by whomever.
    pub(crate) fn version(&self) -> (u64, u64) {
        self.changes.version()
    }

    /// Tells the daemon that has this database open that another process changed it.
    pub(crate) fn tell_others(&self) -> Result<()> {
        self.changes.tell_others()
    }

    /// Space kept back for deletions while the disk is full.
    pub(crate) fn reserve(&self) -> &Reserve {
        &self.reserve
    }

    /// Waits for what is under way and closes the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // What was answered as done survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .row_buffer_size(ROW_BUFFER)
        .disable_statement_logging()
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn migrator() -> Migrator {
    Migrator::with_migrations(
        MIGRATIONS
            .iter()
            .map(|&(version, name, text)| {
                let kind = MigrationType::Simple;
                Migration::new(
                    version,
                    name.into(),
                    kind,
                    sqlx::SqlStr::from_static(text),
                    false,
                )
            })
            .collect(),
    )
}

/// Looks at the schema version without writing a byte.
async fn refuse_newer(path: &Path) -> Result<()> {
    use sqlx::Connection;
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut session = options.connect().await.map_err(failure)?;
    let version = VERSION.one(&mut session, [], |row| {
        super::sql::column::<Option<i64>>(row, 0)
    });
    // No such table: the file is new or the first migration was cut off.
    let version = version.await.ok().flatten().unwrap_or(0);
    session.close().await.map_err(failure)?;
    let known = MIGRATIONS.last().map_or(0, |&(version, ..)| version);
    if version > known {
        return Err(Error::failed(format!(
            "The database {} has schema version {version}, this lximaged knows {known}: \
             it was written by a newer version",
            path.display()
        )));
    }
    Ok(())
}
