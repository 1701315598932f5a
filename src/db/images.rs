//! Images of projects, their sources and profiles.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;

use super::{
    ImageId, ProjectId, Session, row_numbers,
    sql::{Arg, column, fingerprint, flag, statements},
};
use crate::{error::Result, image::Fingerprint};

/// An image of a project as it is stored. Times are RFC 3339 text with the zone they came with;
/// `properties` is a JSON object with sorted keys.
#[derive(Debug, Clone)]
pub(crate) struct ImageRow {
    /// The row's number; not looked at by [`insert`].
    pub(crate) id: ImageId,
    /// SHA-256 of its files.
    pub(crate) fingerprint: Fingerprint,
    /// `container` or `virtual-machine`.
    pub(crate) kind: String,
    /// The name its file had where it came from.
    pub(crate) filename: String,
    /// LXD's canonical name of the architecture.
    pub(crate) architecture: String,
    /// Length of all its files.
    pub(crate) size_bytes: i64,
    /// Whether everybody sees it.
    pub(crate) public: bool,
    /// Whether it is to be kept up to date from its source.
    pub(crate) auto_update: bool,
    /// Whether it is here only because an instance needed it.
    pub(crate) cached: bool,
    /// A JSON object of strings.
    pub(crate) properties: String,
    /// When it was made, by its metadata.
    pub(crate) created_at: String,
    /// When it is out of date; epoch or zero time for never.
    pub(crate) expires_at: String,
    /// When it came into this project.
    pub(crate) uploaded_at: String,
    /// When an instance was last made from it; zero time for never.
    pub(crate) last_used_at: String,
}

/// Where an image was downloaded from.
#[derive(Debug, Clone)]
pub(crate) struct SourceRow {
    /// Base URL.
    pub(crate) server: String,
    /// `lxd` or `simplestreams`.
    pub(crate) protocol: String,
    /// Pinned certificate (PEM), or empty.
    pub(crate) certificate: String,
    /// What was asked for.
    pub(crate) alias: String,
    /// Whether it was named by somebody who may not have this server reach every address.
    pub(crate) restricted: bool,
    /// Whether that was an alias, rather than the beginning of a fingerprint.
    pub(crate) by_alias: bool,
    /// The properties that the server said the image has: a JSON object of strings, or empty when
    /// that is not known.
    pub(crate) properties: String,
    /// When the server said it is out of date; empty when that is not known.
    pub(crate) expires_at: String,
}

statements! {
    LIST: 1 = "
        SELECT id, fingerprint, type, filename, architecture, size, public, auto_update, cached,
            properties, created_at, expires_at, uploaded_at, last_used_at
        FROM images
        WHERE project_id = $1
        ORDER BY fingerprint";
    FIND: 2 = "
        SELECT id, fingerprint, type, filename, architecture, size, public, auto_update, cached,
            properties, created_at, expires_at, uploaded_at, last_used_at
        FROM images
        WHERE project_id = $1 AND fingerprint = $2";
    WITH_PREFIX: 5 = "
        SELECT id, fingerprint, type, filename, architecture, size, public, auto_update, cached,
            properties, created_at, expires_at, uploaded_at, last_used_at
        FROM images
        WHERE project_id = $1 AND fingerprint >= $2 AND fingerprint < $3 AND public >= $5
        ORDER BY fingerprint
        LIMIT $4";
    TOTAL_BYTES: 1 = "
        SELECT CAST(COALESCE(SUM(size), 0) AS INTEGER)
        FROM images
        WHERE project_id = $1";
    FINGERPRINTS: 2 = "
        SELECT fingerprint
        FROM images
        WHERE project_id = $1 AND public >= $2
        ORDER BY fingerprint";
    INSERT: 15 = "
        INSERT INTO images (project_id, fingerprint, type, filename, architecture, size, public,
            auto_update, cached, properties, created_at, expires_at, uploaded_at, last_used_at, id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    UPDATE: 7 = "
        UPDATE images
        SET public = $2, auto_update = $3, properties = $4, expires_at = $5, filename = $6,
            cached = $7
        WHERE id = $1";
    SET_LAST_USED: 3 = "
        UPDATE images
        SET last_used_at = $3
        WHERE project_id = $1 AND fingerprint = $2";
    DELETE: 2 = "
        DELETE FROM images
        WHERE project_id = $1 AND fingerprint = $2";
    SOURCES: 1 = "
        SELECT image_sources.image_id, image_sources.server, image_sources.protocol,
            image_sources.certificate, image_sources.alias, image_sources.restricted,
            image_sources.by_alias, image_sources.properties, image_sources.expires_at
        FROM image_sources
        JOIN images ON images.id = image_sources.image_id
        WHERE images.project_id = $1";
    SOURCE: 1 = "
        SELECT image_id, server, protocol, certificate, alias, restricted, by_alias, properties,
            expires_at
        FROM image_sources
        WHERE image_id = $1";
    INSERT_SOURCE: 9 = "
        INSERT INTO image_sources (image_id, server, protocol, certificate, alias, restricted,
            by_alias, properties, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    COMES_FROM: 4 = "
        SELECT image_sources.image_id
        FROM image_sources
        JOIN images ON images.id = image_sources.image_id
        WHERE images.fingerprint = $1 AND image_sources.server = $2
            AND image_sources.protocol = $3 AND image_sources.certificate = $4
        LIMIT 1";
    FROM_SOURCE: 5 = "
        SELECT images.id, fingerprint, type, filename, architecture, size, public, auto_update,
            cached, images.properties, created_at, images.expires_at, uploaded_at, last_used_at,
            project_id, image_id, server, protocol, certificate, alias, restricted, by_alias,
            image_sources.properties, image_sources.expires_at
        FROM image_sources
        JOIN images ON images.id = image_sources.image_id
        WHERE server = $1 AND protocol = $2 AND certificate = $3 AND alias = $4 AND type = $5
        ORDER BY images.id";
    CACHED: 0 = "
        SELECT id, fingerprint, type, filename, architecture, size, public, auto_update, cached,
            properties, created_at, expires_at, uploaded_at, last_used_at, project_id
        FROM images
        WHERE cached = 1
        ORDER BY project_id, fingerprint";
    UPDATED: 0 = "
        SELECT images.id, fingerprint, type, filename, architecture, size, public, auto_update,
            cached, images.properties, created_at, images.expires_at, uploaded_at, last_used_at,
            project_id, image_id, server, protocol, certificate, alias, restricted, by_alias,
            image_sources.properties, image_sources.expires_at
        FROM image_sources
        JOIN images ON images.id = image_sources.image_id
        WHERE auto_update = 1
        ORDER BY project_id, fingerprint";
    LAST_SEEN: 0 = "
        SELECT MAX(MAX(uploaded_at), MAX(last_used_at))
        FROM images";
    MOVE_PROFILES: 2 = "
        UPDATE image_profiles
        SET image_id = $2
        WHERE image_id = $1";
    DETACH_ALL_PROFILES: 1 = "
        DELETE FROM image_profiles
        WHERE image_id = $1";
    PROFILES: 2 = "
        SELECT image_profiles.image_id, profiles.name
        FROM image_profiles
        JOIN profiles ON profiles.id = image_profiles.profile_id
        JOIN images ON images.id = image_profiles.image_id
        WHERE images.project_id = $1 AND profiles.project_id = $2
        ORDER BY image_profiles.image_id, image_profiles.position";
    PROFILES_OF: 2 = "
        SELECT image_profiles.image_id, profiles.name
        FROM image_profiles
        JOIN profiles ON profiles.id = image_profiles.profile_id
        WHERE image_profiles.image_id = $1 AND profiles.project_id = $2
        ORDER BY image_profiles.position";
    DETACH_PROFILES: 2 = "
        DELETE FROM image_profiles
        WHERE image_id = $1
        AND profile_id IN (SELECT id FROM profiles WHERE project_id = $2)";
    ATTACH_PROFILE: 3 = "
        INSERT INTO image_profiles (image_id, profile_id, position)
        VALUES ($1, $2, $3)";
}

fn read(row: &SqliteRow) -> Result<ImageRow> {
    Ok(ImageRow {
        id: ImageId(column(row, 0)?),
        fingerprint: fingerprint(row, 1)?,
        kind: column(row, 2)?,
        filename: column(row, 3)?,
        architecture: column(row, 4)?,
        size_bytes: column(row, 5)?,
        public: flag(row, 6)?,
        auto_update: flag(row, 7)?,
        cached: flag(row, 8)?,
        properties: column(row, 9)?,
        created_at: column(row, 10)?,
        expires_at: column(row, 11)?,
        uploaded_at: column(row, 12)?,
        last_used_at: column(row, 13)?,
    })
}

/// A source whose columns begin with the `first`.
fn read_source(row: &SqliteRow, first: usize) -> Result<(ImageId, SourceRow)> {
    let source = SourceRow {
        server: column(row, first + 1)?,
        protocol: column(row, first + 2)?,
        certificate: column(row, first + 3)?,
        alias: column(row, first + 4)?,
        restricted: flag(row, first + 5)?,
        by_alias: flag(row, first + 6)?,
        properties: column(row, first + 7)?,
        expires_at: column(row, first + 8)?,
    };
    Ok((ImageId(column(row, first)?), source))
}

/// The images of a project, by fingerprint.
pub(crate) async fn list(session: &mut Session, project: ProjectId) -> Result<Vec<ImageRow>> {
    LIST.all(session, [project.into()], read).await
}

/// The fingerprints of a project's images, or only of its public ones, in order.
pub(crate) async fn fingerprints(
    session: &mut Session,
    project: ProjectId,
    only_public: bool,
) -> Result<Vec<String>> {
    let args = [project.into(), only_public.into()];
    FINGERPRINTS.all(session, args, |row| column(row, 0)).await
}

/// The bytes of all images of a project.
pub(crate) async fn total_bytes(session: &mut Session, project: ProjectId) -> Result<u64> {
    let read = |row: &SqliteRow| column::<i64>(row, 0);
    let total = TOTAL_BYTES
        .optional(session, [project.into()], read)
        .await?;
    Ok(total.unwrap_or_default().unsigned_abs())
}

/// A project's image with this fingerprint.
pub(crate) async fn find(
    session: &mut Session,
    project: ProjectId,
    fingerprint: &Fingerprint,
) -> Result<Option<ImageRow>> {
    FIND.optional(session, [project.into(), fingerprint.into()], read)
        .await
}

/// The first `limit` images whose fingerprints lie in `from..before`, or only public ones.
pub(crate) async fn in_range(
    session: &mut Session,
    project: ProjectId,
    (from, before): (&str, &str),
    limit: i64,
    only_public: bool,
) -> Result<Vec<ImageRow>> {
    let args = [
        project.into(),
        from.into(),
        before.into(),
        limit.into(),
        only_public.into(),
    ];
    WITH_PREFIX.all(session, args, read).await
}

/// Adds an image; its files have to be recorded already.
pub(crate) async fn insert(
    session: &mut Session,
    project: ProjectId,
    image: &ImageRow,
) -> Result<ImageId> {
    let id = row_numbers::next(session, "images").await?;
    let args = [
        project.into(),
        (&image.fingerprint).into(),
        (&image.kind).into(),
        (&image.filename).into(),
        (&image.architecture).into(),
        image.size_bytes.into(),
        image.public.into(),
        image.auto_update.into(),
        image.cached.into(),
        (&image.properties).into(),
        (&image.created_at).into(),
        (&image.expires_at).into(),
        (&image.uploaded_at).into(),
        (&image.last_used_at).into(),
        id.into(),
    ];
    INSERT.run(session, args).await?;
    Ok(ImageId(id))
}

/// Replaces what may change: `public`, `auto_update`, `properties`, `expires_at`, `filename` and
/// `cached`.
pub(crate) async fn update(session: &mut Session, image: &ImageRow) -> Result<()> {
    let args = [
        image.id.into(),
        image.public.into(),
        image.auto_update.into(),
        (&image.properties).into(),
        (&image.expires_at).into(),
        (&image.filename).into(),
        image.cached.into(),
    ];
    UPDATE.run(session, args).await?;
    Ok(())
}

/// Sets when an instance was last made from an image. Returns whether there is such an image.
pub(crate) async fn set_last_used(
    session: &mut Session,
    project: ProjectId,
    fingerprint: &Fingerprint,
    when: &str,
) -> Result<bool> {
    let args = [project.into(), fingerprint.into(), when.into()];
    Ok(SET_LAST_USED.run(session, args).await? > 0)
}

/// Removes an image; its aliases, source and profile list go with it. Numbers of rows are used
/// again, so it is named by what it is.
pub(crate) async fn delete(
    session: &mut Session,
    project: ProjectId,
    fingerprint: &Fingerprint,
) -> Result<bool> {
    let args = [project.into(), fingerprint.into()];
    Ok(DELETE.run(session, args).await? > 0)
}

/// The sources of a project's images.
pub(crate) async fn sources(
    session: &mut Session,
    project: ProjectId,
) -> Result<BTreeMap<ImageId, SourceRow>> {
    Ok(SOURCES
        .all(session, [project.into()], |row| read_source(row, 0))
        .await?
        .into_iter()
        .collect())
}

/// The source of one image.
pub(crate) async fn source(session: &mut Session, image: ImageId) -> Result<Option<SourceRow>> {
    Ok(SOURCE
        .optional(session, [image.into()], |row| read_source(row, 0))
        .await?
        .map(|(_, source)| source))
}

/// Records where an image was downloaded from.
pub(crate) async fn insert_source(
    session: &mut Session,
    image: ImageId,
    source: &SourceRow,
) -> Result<()> {
    let args = [
        image.into(),
        (&source.server).into(),
        (&source.protocol).into(),
        (&source.certificate).into(),
        (&source.alias).into(),
        source.restricted.into(),
        source.by_alias.into(),
        (&source.properties).into(),
        (&source.expires_at).into(),
    ];
    INSERT_SOURCE.run(session, args).await?;
    Ok(())
}

/// Whether an image with this fingerprint, of any project, came from this server.
pub(crate) async fn comes_from(
    session: &mut Session,
    fingerprint: &Fingerprint,
    (server, protocol, certificate): (&str, &str, &str),
) -> Result<bool> {
    let args = [
        fingerprint.into(),
        server.into(),
        protocol.into(),
        certificate.into(),
    ];
    let found = COMES_FROM.optional(session, args, |row| column::<i64>(row, 0));
    Ok(found.await?.is_some())
}

/// An image that came from a certain place.
#[derive(Debug, Clone)]
pub(crate) struct Sourced {
    /// The image.
    pub(crate) image: ImageRow,
    /// Whose it is.
    pub(crate) project: ProjectId,
    /// Where it came from.
    pub(crate) source: SourceRow,
}

/// The images of one type, of all projects, that were asked for as `alias` at this server.
pub(crate) async fn from_source(
    session: &mut Session,
    (server, protocol, certificate): (&str, &str, &str),
    alias: &str,
    kind: &str,
) -> Result<Vec<Sourced>> {
    let args = [
        server.into(),
        protocol.into(),
        certificate.into(),
        alias.into(),
        kind.into(),
    ];
    FROM_SOURCE.all(session, args, read_sourced).await
}

/// The images of all projects that are to be kept up to date and have a source.
pub(crate) async fn updated(session: &mut Session) -> Result<Vec<Sourced>> {
    UPDATED.all(session, [], read_sourced).await
}

fn read_sourced(row: &SqliteRow) -> Result<Sourced> {
    Ok(Sourced {
        image: read(row)?,
        project: ProjectId(column(row, 14)?),
        source: read_source(row, 15)?.1,
    })
}

/// The images of all projects that are only cached.
pub(crate) async fn cached(session: &mut Session) -> Result<Vec<(ProjectId, ImageRow)>> {
    let read = |row: &SqliteRow| Ok((ProjectId(column(row, 14)?), read(row)?));
    CACHED.all(session, [], read).await
}

/// When an image last came in or was used.
pub(crate) async fn last_seen(session: &mut Session) -> Result<Option<String>> {
    LAST_SEEN.one(session, [], |row| column(row, 0)).await
}

/// Gives the profiles of one image to another, which loses its own.
pub(crate) async fn move_profiles(session: &mut Session, from: ImageId, to: ImageId) -> Result<()> {
    DETACH_ALL_PROFILES.run(session, [to.into()]).await?;
    MOVE_PROFILES.run(session, [from.into(), to.into()]).await?;
    Ok(())
}

/// For each image of `images_of`, the names of its profiles that belong to `profiles_of`, in
/// their order.
pub(crate) async fn profiles(
    session: &mut Session,
    images_of: ProjectId,
    profiles_of: ProjectId,
) -> Result<BTreeMap<ImageId, Vec<String>>> {
    let args = [images_of.into(), profiles_of.into()];
    let rows = PROFILES.all(session, args, read_profile).await?;
    let mut by_image: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (image, name) in rows {
        by_image.entry(image).or_default().push(name);
    }
    Ok(by_image)
}

/// The names of one image's profiles that belong to `profiles_of`, in their order.
pub(crate) async fn profiles_of(
    session: &mut Session,
    image: ImageId,
    profiles_of: ProjectId,
) -> Result<Vec<String>> {
    let rows = PROFILES_OF
        .all(session, [image.into(), profiles_of.into()], read_profile)
        .await?;
    Ok(rows.into_iter().map(|(_, name)| name).collect())
}

fn read_profile(row: &SqliteRow) -> Result<(ImageId, String)> {
    Ok((ImageId(column(row, 0)?), column(row, 1)?))
}

/// Replaces the profiles of an image that belong to a project by these, in this order.
pub(crate) async fn set_profiles(
    session: &mut Session,
    image: ImageId,
    profiles_of: ProjectId,
    profiles: &[i64],
) -> Result<()> {
    DETACH_PROFILES
        .run(session, [image.into(), profiles_of.into()])
        .await?;
    for (position, profile) in (0..).zip(profiles) {
        ATTACH_PROFILE
            .run(
                session,
                [image.into(), (*profile).into(), Arg::from(position)],
            )
            .await?;
    }
    Ok(())
}
