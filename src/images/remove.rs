//! Deleting images: the row first, then the files.

use super::{Event, Images};
use crate::{
    access::Scope,
    api::objects::{OperationObject, Requestor},
    db::{self, Db, blobs, images::ImageRow},
    error::Result,
    image::Fingerprint,
    operations::Spec,
    store::Held,
};

use super::query::{self, Visibility};

impl Images {
    /// Begins the operation that deletes an image.
    ///
    /// # Errors
    ///
    /// 404 when there is none, before an operation is made.
    pub(crate) async fn delete(
        &self,
        scope: Scope,
        reference: &str,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let row = self.find_row(&scope, Visibility::All, reference).await?;
        let mut spec = Spec::image(
            "Deleting image",
            &scope.project.name,
            row.fingerprint.as_str(),
        );
        spec.requestor = Some(requestor.clone());
        let this = self.clone();
        Ok(self.operations.task(spec, move |_| async move {
            this.delete_now(&scope, &row, Some(&requestor)).await
        }))
    }

    /// Deletes the images of a project that are only cached, when it has no others: then they are
    /// not what keeps it from being removed.
    ///
    /// # Errors
    ///
    /// When an image cannot be deleted. A project that is not there has none.
    pub(crate) async fn forget_cached(&self, project: &str, requestor: &Requestor) -> Result<()> {
        let Ok(scope) = self.scope(project).await else {
            return Ok(());
        };
        if scope.images != scope.project.id {
            return Ok(());
        }
        let rows = db::images::list(&mut *self.db.read().await?, scope.images).await?;
        if !rows.iter().all(|row| row.cached) {
            return Ok(());
        }
        for row in &rows {
            let only_cached = |row: &ImageRow| row.cached;
            self.delete_if(&scope, row, Some(requestor), only_cached)
                .await?;
        }
        Ok(())
    }

    /// Deletes an image of a project, and its files when no other project has it.
    async fn delete_now(
        &self,
        scope: &Scope,
        row: &ImageRow,
        requestor: Option<&Requestor>,
    ) -> Result<()> {
        self.delete_if(scope, row, requestor, |_| true).await
    }

    /// The same, if the image is still one that is to go at the moment when it would: it may have
    /// been used, or asked for by name, since it was looked at.
    ///
    /// # Errors
    ///
    /// 404 when it is not.
    pub(super) async fn delete_if(
        &self,
        scope: &Scope,
        row: &ImageRow,
        requestor: Option<&Requestor>,
        is_to_go: impl Fn(&ImageRow) -> bool + Send + Sync,
    ) -> Result<()> {
        let fingerprint = row.fingerprint.clone();
        let held = self.store.lock(&fingerprint).await;
        let forgotten = match self.forget(scope, &fingerprint, &is_to_go).await {
            Err(error) if db::is_full(&error) => {
                self.db.reserve().spend();
                self.forget(scope, &fingerprint, &is_to_go).await
            }
            forgotten => forgotten,
        };
        if forgotten? {
            self.clear_away(held).await;
            self.db.reserve().fill();
        }
        // LXD: nothing is told when another project keeps the image; listeners of this one are
        // told here, because for them it is gone.
        let path = format!("/1.0/images/{fingerprint}");
        self.tell(&Event {
            action: "image-deleted",
            path: &path,
            scope,
            requestor,
            details: &[],
        });
        Ok(())
    }

    /// Takes the row away. Returns whether it was the last one for its files.
    async fn forget(
        &self,
        scope: &Scope,
        fingerprint: &Fingerprint,
        is_to_go: &(impl Fn(&ImageRow) -> bool + Send + Sync),
    ) -> Result<bool> {
        let mut transaction = self.db.write().await?;
        scope.check(&mut transaction).await?;
        let row = db::images::find(&mut transaction, scope.images, fingerprint).await?;
        row.filter(is_to_go).ok_or_else(query::not_found)?;
        db::images::delete(&mut transaction, scope.images, fingerprint).await?;
        let was_last = blobs::release(&mut transaction, fingerprint).await?;
        Db::commit(transaction).await?;
        Ok(was_last)
    }

    /// Unlinks the files of a fingerprint whose row has just gone, while nobody else can come to
    /// them. When that fails, the mark in the database makes the next sweep do it.
    pub(super) async fn clear_away(&self, held: Held) {
        if let Err(error) = self.unlink_unused(held).await {
            tracing::warn!(%error, "image files are left to the next sweep");
        }
    }

    /// Unlinks the files of a fingerprint, if no row names them. Returns whether that was so.
    ///
    /// # Errors
    ///
    /// When they cannot be unlinked; they stay marked then.
    pub(super) async fn unlink_unused(&self, held: Held) -> Result<bool> {
        let known = blobs::find(&mut *self.db.read().await?, held.fingerprint()).await?;
        if known.is_some() {
            return Ok(false);
        }
        let store = self.store.clone();
        let unlink = move || store.remove(&held).map(|()| held);
        let held = self.tasks.run_blocking(unlink).await?;
        let mut transaction = self.db.write().await?;
        blobs::unmark_removed(&mut transaction, held.fingerprint()).await?;
        Db::commit(transaction).await?;
        Ok(true)
    }
}
