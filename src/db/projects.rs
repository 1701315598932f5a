//! Projects.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    ProjectId, Session, row_numbers,
    sql::{column, json, statements, to_json},
};
use crate::error::Result;

/// A project as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct ProjectRow {
    /// The row's number.
    pub(crate) id: ProjectId,
    /// Its name, unique.
    pub(crate) name: String,
    /// Free text.
    pub(crate) description: String,
    /// Its configuration keys.
    pub(crate) config: BTreeMap<String, String>,
}

statements! {
    LIST: 0 = "
        SELECT id, name, description, config
        FROM projects
        ORDER BY name";
    FIND: 1 = "
        SELECT id, name, description, config
        FROM projects
        WHERE name = $1";
    INSERT: 4 = "
        INSERT INTO projects (name, description, config, id)
        VALUES ($1, $2, $3, $4)";
    UPDATE: 3 = "
        UPDATE projects
        SET description = $2, config = $3
        WHERE id = $1";
    RENAME: 2 = "
        UPDATE projects
        SET name = $2
        WHERE id = $1";
    DELETE: 1 = "
        DELETE FROM projects
        WHERE id = $1";
    IMAGES: 0 = "
        SELECT project_id, fingerprint, cached
        FROM images
        ORDER BY project_id, fingerprint";
    PROFILES: 0 = "
        SELECT project_id, name
        FROM profiles
        ORDER BY project_id, name";
    INSTANCES: 0 = "
        SELECT project_id, name
        FROM instances
        ORDER BY project_id, name";
}

fn read(row: &SqliteRow) -> Result<ProjectRow> {
    Ok(ProjectRow {
        id: ProjectId(column(row, 0)?),
        name: column(row, 1)?,
        description: column(row, 2)?,
        config: json(row, 3)?,
    })
}

/// Every project, by name.
pub(crate) async fn list(session: &mut Session) -> Result<Vec<ProjectRow>> {
    LIST.all(session, [], read).await
}

/// The project of this name.
pub(crate) async fn find(session: &mut Session, name: &str) -> Result<Option<ProjectRow>> {
    FIND.optional(session, [name.into()], read).await
}

/// Adds a project.
pub(crate) async fn insert(
    session: &mut Session,
    name: &str,
    description: &str,
    config: &BTreeMap<String, String>,
) -> Result<ProjectId> {
    let config = to_json(config)?;
    let id = row_numbers::next(session, "projects").await?;
    let args = [name.into(), description.into(), (&config).into(), id.into()];
    INSERT.run(session, args).await?;
    Ok(ProjectId(id))
}

/// Replaces a project's description and configuration.
pub(crate) async fn update(
    session: &mut Session,
    id: ProjectId,
    description: &str,
    config: &BTreeMap<String, String>,
) -> Result<()> {
    let config = to_json(config)?;
    UPDATE
        .run(session, [id.into(), description.into(), (&config).into()])
        .await?;
    Ok(())
}

/// Gives a project another name.
pub(crate) async fn rename(session: &mut Session, id: ProjectId, name: &str) -> Result<()> {
    RENAME.run(session, [id.into(), name.into()]).await?;
    Ok(())
}

/// Removes a project; its profiles and aliases go with it.
pub(crate) async fn delete(session: &mut Session, id: ProjectId) -> Result<()> {
    DELETE.run(session, [id.into()]).await?;
    Ok(())
}

/// What a project holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// Fingerprints of its images, and whether each is only cached.
    pub(crate) images: Vec<(String, bool)>,
    /// Names of its profiles.
    pub(crate) profiles: Vec<String>,
    /// Names of its instances.
    pub(crate) instances: Vec<String>,
}

/// What each project holds, in three queries for all of them.
pub(crate) async fn contents(session: &mut Session) -> Result<BTreeMap<ProjectId, Contents>> {
    let mut contents: BTreeMap<ProjectId, Contents> = BTreeMap::new();
    let images = IMAGES.all(session, [], |row| {
        Ok((
            ProjectId(column(row, 0)?),
            column(row, 1)?,
            column::<i64>(row, 2)? != 0,
        ))
    });
    for (project, fingerprint, cached) in images.await? {
        contents
            .entry(project)
            .or_default()
            .images
            .push((fingerprint, cached));
    }
    let profiles = PROFILES.all(session, [], |row| {
        Ok((ProjectId(column(row, 0)?), column(row, 1)?))
    });
    for (project, name) in profiles.await? {
        contents.entry(project).or_default().profiles.push(name);
    }
    let instances = INSTANCES.all(session, [], |row| {
        Ok((ProjectId(column(row, 0)?), column(row, 1)?))
    });
    for (project, name) in instances.await? {
        contents.entry(project).or_default().instances.push(name);
    }
    Ok(contents)
}
