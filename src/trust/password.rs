//! The password with which a client may add itself.

use scrypt::Params;
use subtle::ConstantTimeEq;

use super::Certificates;
use crate::error::{Error, Result};

/// Length of the salt before the hash.
const SALT_BYTES: usize = 32;

impl Certificates {
    /// Whether this is the password.
    pub(super) async fn is_password(&self, given: &str) -> Result<bool> {
        let settings = self.settings.current();
        let Some(kept) = settings.get("core.trust_password").cloned() else {
            return Ok(false);
        };
        let given = given.to_owned();
        let _one_at_a_time = self.checking_password.lock().await;
        self.tasks.run_blocking(move || check(&kept, &given)).await
    }
}

/// Compares with what settings keep: hexadecimal digits of a salt and its scrypt hash.
fn check(kept: &str, given: &str) -> Result<bool> {
    let unusable = |error| Error::internal("The trust password cannot be checked", error);
    let bytes = hex::decode(kept).map_err(|error| unusable(anyhow::Error::new(error)))?;
    let Some((salt, hash)) = bytes.split_at_checked(SALT_BYTES) else {
        return Ok(false);
    };
    let parameters = Params::new(14, 8, 1).map_err(|error| unusable(anyhow::Error::new(error)))?;
    let mut computed = [0_u8; 64];
    scrypt::scrypt(given.as_bytes(), salt, &parameters, &mut computed)
        .map_err(|error| unusable(anyhow::Error::new(error)))?;
    Ok(hash.ct_eq(&computed).into())
}
