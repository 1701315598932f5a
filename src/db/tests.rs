//! Every statement is prepared against the real schema, and takes what its type says.

use sqlx::{AssertSqlSafe, Either, Executor, Statement};

use super::{
    Db, aliases, blobs, certificates, connect, images, instances, passes, pools, profiles,
    projects, row_numbers, settings, snapshots,
};

async fn fresh() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("test.db")).await.unwrap();
    (dir, db)
}

#[tokio::test]
async fn every_statement_prepares_and_has_the_parameters_it_declares() {
    let (_dir, db) = fresh().await;
    let mut session = db.write().await.unwrap();
    let files = [
        connect::STATEMENTS,
        settings::STATEMENTS,
        row_numbers::STATEMENTS,
        certificates::STATEMENTS,
        projects::STATEMENTS,
        pools::STATEMENTS,
        profiles::STATEMENTS,
        blobs::STATEMENTS,
        images::STATEMENTS,
        passes::STATEMENTS,
        aliases::STATEMENTS,
        instances::STATEMENTS,
        snapshots::STATEMENTS,
    ];
    for (name, declared, text) in files.iter().copied().flatten() {
        let statement = session
            .prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(*text)))
            .await;
        let statement = statement.unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(Either::Right(count)) = statement.parameters() else {
            panic!("{name}")
        };
        assert_eq!(count, *declared, "{name}");
    }
}

#[tokio::test]
async fn a_database_from_a_newer_version_is_refused_and_left_as_it_is() {
    let (dir, db) = fresh().await;
    let path = dir.path().join("test.db");
    let mut transaction = db.write().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (999, 'later', 1, x'00', 0)",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    Db::commit(transaction).await.unwrap();
    db.close().await;
    let before = std::fs::read(&path).unwrap();
    let error = Db::open(&path).await.unwrap_err();
    assert!(error.message().contains("newer version"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_uniqueness_that_would_be_broken_is_told_by_its_columns() {
    let (_dir, db) = fresh().await;
    let mut session = db.write().await.unwrap();
    let config = std::collections::BTreeMap::new();
    projects::insert(&mut session, "p", "", &config)
        .await
        .unwrap();
    let error = projects::insert(&mut session, "p", "", &config)
        .await
        .unwrap_err();
    assert_eq!(super::constraint(&error), Some("projects.name"));
}

#[tokio::test]
async fn the_number_of_a_row_that_is_gone_is_not_given_again() {
    let (_dir, db) = fresh().await;
    let mut session = db.write().await.unwrap();
    let config = std::collections::BTreeMap::new();
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        let id = projects::insert(&mut session, name, "", &config)
            .await
            .unwrap();
        projects::delete(&mut session, id).await.unwrap();
        made.push(id);
    }
    made.dedup();
    assert_eq!(made.len(), 3);
}
