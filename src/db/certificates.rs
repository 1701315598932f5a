//! Certificates of clients.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    Session,
    sql::{column, flag, statements},
};
use crate::error::Result;

/// A certificate as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct CertificateRow {
    /// The row's number; 0 for one that is not stored yet.
    pub(crate) id: i64,
    /// SHA-256 of its DER, unique.
    pub(crate) fingerprint: String,
    /// `client`, `server` or `metrics`.
    pub(crate) kind: String,
    /// What it is called.
    pub(crate) name: String,
    /// PEM.
    pub(crate) certificate: String,
    /// Whether it may use its projects only.
    pub(crate) restricted: bool,
    /// The names of its projects, in order.
    pub(crate) projects: Vec<String>,
}

statements! {
    LIST: 0 = "
        SELECT id, fingerprint, type, name, certificate, restricted
        FROM certificates
        ORDER BY fingerprint";
    PROJECTS: 0 = "
        SELECT certificate_projects.certificate_id, projects.name
        FROM certificate_projects
        JOIN projects ON projects.id = certificate_projects.project_id
        ORDER BY projects.name";
    INSERT: 5 = "
        INSERT INTO certificates (fingerprint, type, name, certificate, restricted)
        VALUES ($1, $2, $3, $4, $5)
        RETURNING id";
    UPDATE: 6 = "
        UPDATE certificates
        SET fingerprint = $2, type = $3, name = $4, certificate = $5, restricted = $6
        WHERE id = $1";
    DELETE: 1 = "
        DELETE FROM certificates
        WHERE id = $1";
    FORGET_PROJECTS: 1 = "
        DELETE FROM certificate_projects
        WHERE certificate_id = $1";
    ADD_PROJECT: 2 = "
        INSERT INTO certificate_projects (certificate_id, project_id)
        SELECT $1, id
        FROM projects
        WHERE name = $2";
}

fn read(row: &SqliteRow) -> Result<CertificateRow> {
    Ok(CertificateRow {
        id: column(row, 0)?,
        fingerprint: column(row, 1)?,
        kind: column(row, 2)?,
        name: column(row, 3)?,
        certificate: column(row, 4)?,
        restricted: flag(row, 5)?,
        projects: Vec::new(),
    })
}

/// Every certificate, by fingerprint.
pub(crate) async fn list(session: &mut Session) -> Result<Vec<CertificateRow>> {
    let mut rows = LIST.all(session, [], read).await?;
    let pair = |row: &SqliteRow| Ok((column::<i64>(row, 0)?, column::<String>(row, 1)?));
    let mut projects: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (certificate, project) in PROJECTS.all(session, [], pair).await? {
        projects.entry(certificate).or_default().push(project);
    }
    for row in &mut rows {
        row.projects = projects.remove(&row.id).unwrap_or_default();
    }
    Ok(rows)
}

/// Adds a certificate. Returns the name of a project that there is not, if it has one such.
pub(crate) async fn insert(session: &mut Session, row: &CertificateRow) -> Result<Option<String>> {
    let args = [
        (&row.fingerprint).into(),
        (&row.kind).into(),
        (&row.name).into(),
        (&row.certificate).into(),
        row.restricted.into(),
    ];
    let id = INSERT.one(session, args, |row| column(row, 0)).await?;
    set_projects(session, id, &row.projects).await
}

/// Changes a certificate. Returns the name of a project that there is not, if it has one such.
pub(crate) async fn update(session: &mut Session, row: &CertificateRow) -> Result<Option<String>> {
    let args = [
        row.id.into(),
        (&row.fingerprint).into(),
        (&row.kind).into(),
        (&row.name).into(),
        (&row.certificate).into(),
        row.restricted.into(),
    ];
    UPDATE.run(session, args).await?;
    FORGET_PROJECTS.run(session, [row.id.into()]).await?;
    set_projects(session, row.id, &row.projects).await
}

/// Removes a certificate.
pub(crate) async fn delete(session: &mut Session, id: i64) -> Result<()> {
    DELETE.run(session, [id.into()]).await?;
    Ok(())
}

async fn set_projects(
    session: &mut Session,
    id: i64,
    projects: &[String],
) -> Result<Option<String>> {
    for project in projects {
        let added = ADD_PROJECT
            .run(session, [id.into(), project.into()])
            .await?;
        if added == 0 {
            return Ok(Some(project.clone()));
        }
    }
    Ok(None)
}
