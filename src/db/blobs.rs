//! Which image files there are, and which are to be unlinked.

use super::{
    Session,
    sql::{column, fingerprint, statements},
};
use crate::{
    error::Result,
    image::{Fingerprint, Layout},
};

statements! {
    FIND: 1 = "
        SELECT size, rootfs_size
        FROM blobs
        WHERE fingerprint = $1";
    LIST: 0 = "
        SELECT fingerprint, size, rootfs_size
        FROM blobs
        ORDER BY fingerprint";
    INSERT: 3 = "
        INSERT INTO blobs (fingerprint, size, rootfs_size)
        VALUES ($1, $2, $3)";
    DELETE_UNUSED: 1 = "
        DELETE FROM blobs
        WHERE fingerprint = $1
        AND NOT EXISTS (SELECT 1 FROM images WHERE images.fingerprint = blobs.fingerprint)";
    MARK_REMOVED: 1 = "
        INSERT INTO removed_blobs (fingerprint)
        VALUES ($1)
        ON CONFLICT (fingerprint) DO NOTHING";
    REMOVED: 0 = "
        SELECT fingerprint
        FROM removed_blobs
        ORDER BY fingerprint";
    UNMARK_REMOVED: 1 = "
        DELETE FROM removed_blobs
        WHERE fingerprint = $1";
}

/// What the files of a fingerprint are, if the store has them.
pub(crate) async fn find(
    session: &mut Session,
    fingerprint: &Fingerprint,
) -> Result<Option<Layout>> {
    FIND.optional(session, [fingerprint.into()], |row| {
        Ok(Layout::from_sizes(column(row, 0)?, column(row, 1)?))
    })
    .await
}

/// Every fingerprint that has files.
pub(crate) async fn list(session: &mut Session) -> Result<Vec<(Fingerprint, Layout)>> {
    LIST.all(session, [], |row| {
        Ok((
            fingerprint(row, 0)?,
            Layout::from_sizes(column(row, 1)?, column(row, 2)?),
        ))
    })
    .await
}

/// Records files that were just made durable.
pub(crate) async fn insert(
    session: &mut Session,
    fingerprint: &Fingerprint,
    layout: &Layout,
) -> Result<()> {
    let args = [
        fingerprint.into(),
        layout.image_size_bytes().into(),
        layout.rootfs_size_bytes().into(),
    ];
    INSERT.run(session, args).await?;
    UNMARK_REMOVED.run(session, [fingerprint.into()]).await?;
    Ok(())
}

/// Forgets the files when no image refers to them any more, and marks them for unlinking.
/// Returns whether that was so.
pub(crate) async fn release(session: &mut Session, fingerprint: &Fingerprint) -> Result<bool> {
    if DELETE_UNUSED.run(session, [fingerprint.into()]).await? == 0 {
        return Ok(false);
    }
    MARK_REMOVED.run(session, [fingerprint.into()]).await?;
    Ok(true)
}

/// Files that still have to be unlinked.
pub(crate) async fn removed(session: &mut Session) -> Result<Vec<Fingerprint>> {
    REMOVED.all(session, [], |row| fingerprint(row, 0)).await
}

/// The files are gone.
pub(crate) async fn unmark_removed(session: &mut Session, fingerprint: &Fingerprint) -> Result<()> {
    UNMARK_REMOVED.run(session, [fingerprint.into()]).await?;
    Ok(())
}
