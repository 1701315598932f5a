//! The password with which a client may add itself.

use super::Certificates;
use crate::{access::password, error::Result};

impl Certificates {
    /// Whether this is the password.
    pub(super) async fn is_password(&self, given: &str) -> Result<bool> {
        let settings = self.settings.current();
        let Some(kept) = settings.get("core.trust_password").cloned() else {
            return Ok(false);
        };
        let given = given.to_owned();
        let _one_at_a_time = self.checking_password.lock().await;
        let check = move || password::is_password(&kept, &given);
        self.tasks.run_blocking(check).await
    }
}
