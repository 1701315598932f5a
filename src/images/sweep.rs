//! What was left lying in the store while the daemon ran, and files that are not as they were.

use super::Images;
use crate::{
    api::objects::Metadata,
    db::blobs,
    error::Result,
    image::{Fingerprint, Layout},
    operations::Operation,
};

impl Images {
    /// Unlinks files that are marked as removed and could not be unlinked then, and finds files
    /// that are missing or cut short.
    ///
    /// # Errors
    ///
    /// When files still cannot be unlinked.
    pub(crate) async fn sweep(&self, operation: Operation) -> Result<()> {
        operation.allow_cancel();
        let marked = blobs::removed(&mut *self.db.read().await?).await?;
        let mut unlinked = 0;
        for fingerprint in &marked {
            let held = self.store.lock(fingerprint).await;
            unlinked += usize::from(self.unlink_unused(held).await?);
        }
        let known = blobs::list(&mut *self.db.read().await?).await?;
        let mut damaged = Vec::new();
        for (fingerprint, layout) in known {
            if operation.is_cancelled() || self.tasks.stopping().is_cancelled() {
                break;
            }
            if self.is_damaged(&fingerprint, layout).await? {
                tracing::warn!(image.fingerprint = %fingerprint, "image files are missing or cut short");
                damaged.push(fingerprint.to_string());
            }
        }
        operation.set_metadata(Metadata::from_iter([
            ("unlinked".to_owned(), unlinked.into()),
            ("damaged".to_owned(), damaged.into()),
        ]));
        Ok(())
    }

    /// Whether the files of a fingerprint are not what they should be.
    async fn is_damaged(&self, fingerprint: &Fingerprint, layout: Layout) -> Result<bool> {
        let (store, of) = (self.store.clone(), fingerprint.clone());
        let is_whole = self
            .tasks
            .run_blocking(move || Ok(store.is_whole(&of, layout)))
            .await?;
        if is_whole {
            return Ok(false);
        }
        // Somebody may be removing them.
        let _held = self.store.lock(fingerprint).await;
        let known = blobs::find(&mut *self.db.read().await?, fingerprint).await?;
        let (store, of) = (self.store.clone(), fingerprint.clone());
        let Some(layout) = known else {
            return Ok(false);
        };
        let is_whole = self
            .tasks
            .run_blocking(move || Ok(store.is_whole(&of, layout)))
            .await?;
        Ok(!is_whole)
    }
}
