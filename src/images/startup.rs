//! What the store does before anybody may use it.

use super::Images;
use crate::{
    db::{Db, blobs},
    error::Result,
    image::Fingerprint,
};

impl Images {
    /// Makes files and rows agree after whatever ended the daemon last time, and says what was
    /// found.
    pub(crate) async fn recover(&self) -> Result<()> {
        let mut session = self.db.read().await?;
        let known = blobs::list(&mut session).await?.into_iter().collect();
        let removed = blobs::removed(&mut session).await?;
        drop(session);

        let (store, marked) = (self.store.clone(), removed.clone());
        let swept = self
            .tasks
            .run_blocking(move || store.sweep(&known, &marked))
            .await?;
        if swept.unfinished > 0 {
            tracing::info!(count = swept.unfinished, "removed unfinished uploads");
        }
        for name in &swept.quarantined {
            tracing::warn!(%name, "an image file without a row was moved to the quarantine");
        }
        for fingerprint in &swept.damaged {
            tracing::warn!(image.fingerprint = %fingerprint, "image files are missing or cut short");
        }
        self.forget_removed(&removed).await
    }

    async fn forget_removed(&self, removed: &[Fingerprint]) -> Result<()> {
        if removed.is_empty() {
            return Ok(());
        }
        let mut transaction = self.db.write().await?;
        for fingerprint in removed {
            blobs::unmark_removed(&mut transaction, fingerprint).await?;
        }
        Db::commit(transaction).await
    }
}
