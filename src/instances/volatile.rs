//! What the daemon itself notes about an instance, beside what users set.

use super::{Instance, Instances, query};
use crate::{
    api::Timestamp,
    db::{self, Db},
    error::Result,
};

/// The trigger of templates that is still to be applied.
pub(crate) const APPLY_TEMPLATE: &str = "volatile.apply_template";

impl Instances {
    /// Sets keys of an instance's own configuration, or removes those without a value. Nothing
    /// else of it changes, and nothing is told.
    pub(crate) async fn note(
        &self,
        instance: &Instance,
        changes: &[(&str, Option<&str>)],
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let found = query::find(&mut transaction, instance.project(), instance.name()).await?;
        let mut row = found.row;
        for (key, value) in changes {
            match value {
                Some(value) => row.config.insert((*key).to_owned(), (*value).to_owned()),
                None => row.config.remove(*key),
            };
        }
        db::instances::update(&mut transaction, &row).await?;
        Db::commit(transaction).await
    }

    /// Notes that an instance was started.
    pub(crate) async fn note_started(&self, instance: &Instance) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let found = query::find(&mut transaction, instance.project(), instance.name()).await?;
        let mut row = found.row;
        row.last_used_at = Timestamp::from(self.clock.now()).to_string();
        db::instances::update(&mut transaction, &row).await?;
        Db::commit(transaction).await
    }
}
