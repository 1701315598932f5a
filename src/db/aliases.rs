//! Aliases of images.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    ImageId, ProjectId, Session,
    sql::{column, flag, statements},
};
use crate::error::Result;

/// An alias as it is stored, with what clients see of its image.
#[derive(Debug, Clone)]
pub(crate) struct AliasRow {
    /// The row's number.
    pub(crate) id: i64,
    /// Its name, unique in its project.
    pub(crate) name: String,
    /// Free text.
    pub(crate) description: String,
    /// Fingerprint of the image it names.
    pub(crate) target: String,
    /// Type of that image.
    pub(crate) kind: String,
    /// Whether that image is public.
    pub(crate) public: bool,
}

statements! {
    LIST: 1 = "
        SELECT aliases.id, aliases.name, aliases.description, images.fingerprint, images.type,
            images.public
        FROM aliases
        JOIN images ON images.id = aliases.image_id
        WHERE aliases.project_id = $1
        ORDER BY aliases.name";
    FIND: 2 = "
        SELECT aliases.id, aliases.name, aliases.description, images.fingerprint, images.type,
            images.public
        FROM aliases
        JOIN images ON images.id = aliases.image_id
        WHERE aliases.project_id = $1 AND aliases.name = $2";
    BY_IMAGE: 1 = "
        SELECT image_id, name, description
        FROM aliases
        WHERE project_id = $1
        ORDER BY image_id, name";
    OF_IMAGE: 1 = "
        SELECT image_id, name, description
        FROM aliases
        WHERE image_id = $1
        ORDER BY name";
    INSERT: 4 = "
        INSERT INTO aliases (project_id, name, image_id, description)
        VALUES ($1, $2, $3, $4)";
    UPDATE: 3 = "
        UPDATE aliases
        SET image_id = $2, description = $3
        WHERE id = $1";
    RENAME: 2 = "
        UPDATE aliases
        SET name = $2
        WHERE id = $1";
    MOVE: 2 = "
        UPDATE aliases
        SET image_id = $2
        WHERE image_id = $1";
    DELETE: 1 = "
        DELETE FROM aliases
        WHERE id = $1";
}

fn read(row: &SqliteRow) -> Result<AliasRow> {
    Ok(AliasRow {
        id: column(row, 0)?,
        name: column(row, 1)?,
        description: column(row, 2)?,
        target: column(row, 3)?,
        kind: column(row, 4)?,
        public: flag(row, 5)?,
    })
}

/// Name and description, as an image shows its aliases.
pub(crate) type Named = (String, String);

fn read_named(row: &SqliteRow) -> Result<(ImageId, Named)> {
    Ok((ImageId(column(row, 0)?), (column(row, 1)?, column(row, 2)?)))
}

/// The aliases of a project, by name.
pub(crate) async fn list(session: &mut Session, project: ProjectId) -> Result<Vec<AliasRow>> {
    LIST.all(session, [project.into()], read).await
}

/// A project's alias of this name.
pub(crate) async fn find(
    session: &mut Session,
    project: ProjectId,
    name: &str,
) -> Result<Option<AliasRow>> {
    FIND.optional(session, [project.into(), name.into()], read)
        .await
}

/// The aliases of a project, by the image they name.
pub(crate) async fn by_image(
    session: &mut Session,
    project: ProjectId,
) -> Result<BTreeMap<ImageId, Vec<Named>>> {
    let mut by_image: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (image, named) in BY_IMAGE.all(session, [project.into()], read_named).await? {
        by_image.entry(image).or_default().push(named);
    }
    Ok(by_image)
}

/// The aliases of one image.
pub(crate) async fn of_image(session: &mut Session, image: ImageId) -> Result<Vec<Named>> {
    let rows = OF_IMAGE.all(session, [image.into()], read_named).await?;
    Ok(rows.into_iter().map(|(_, named)| named).collect())
}

/// Adds an alias.
pub(crate) async fn insert(
    session: &mut Session,
    project: ProjectId,
    (name, description): (&str, &str),
    image: ImageId,
) -> Result<()> {
    let args = [
        project.into(),
        name.into(),
        image.into(),
        description.into(),
    ];
    INSERT.run(session, args).await?;
    Ok(())
}

/// Points an alias at an image and replaces its description.
pub(crate) async fn update(
    session: &mut Session,
    id: i64,
    image: ImageId,
    description: &str,
) -> Result<()> {
    UPDATE
        .run(session, [id.into(), image.into(), description.into()])
        .await?;
    Ok(())
}

/// Gives an alias another name.
pub(crate) async fn rename(session: &mut Session, id: i64, name: &str) -> Result<()> {
    RENAME.run(session, [id.into(), name.into()]).await?;
    Ok(())
}

/// Makes all names of one image names of another.
pub(crate) async fn move_all(session: &mut Session, from: ImageId, to: ImageId) -> Result<()> {
    MOVE.run(session, [from.into(), to.into()]).await?;
    Ok(())
}

/// Removes an alias.
pub(crate) async fn delete(session: &mut Session, id: i64) -> Result<()> {
    DELETE.run(session, [id.into()]).await?;
    Ok(())
}
