//! Passwords as they are kept.
// LXD: hexadecimal digits of 32 bytes of salt and 64 bytes of scrypt with N=2^14, r=8, p=1.

use scrypt::Params;
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

/// Length of the salt before the hash.
const SALT_BYTES: usize = 32;

/// Length of the hash.
const HASH_BYTES: usize = 64;

/// What is kept of a password, another text each time. It takes a tenth of a second.
///
/// # Errors
///
/// When no random numbers are to be had.
pub(crate) fn hash(password: &str) -> Result<String> {
    let mut salt = [0_u8; SALT_BYTES];
    getrandom::fill(&mut salt)
        .map_err(|error| Error::internal("No random numbers to be had", error))?;
    let hash = derive(password, &salt)?;
    Ok(hex::encode([&salt[..], &hash].concat()))
}

/// Whether this is the password of which `kept` is kept. It takes as long as [`hash`].
///
/// # Errors
///
/// When `kept` is nothing of the kind.
pub(crate) fn is_password(kept: &str, given: &str) -> Result<bool> {
    let unusable = |error| Error::internal("The password that is kept is none", error);
    let bytes = hex::decode(kept).map_err(unusable)?;
    let Some((salt, hash)) = bytes.split_at_checked(SALT_BYTES) else {
        return Ok(false);
    };
    Ok(hash.ct_eq(&derive(given, salt)?).into())
}

fn derive(password: &str, salt: &[u8]) -> Result<[u8; HASH_BYTES]> {
    let parameters = Params::new(14, 8, 1)
        .map_err(|error| Error::internal("Failed to hash the password", error))?;
    let mut hash = [0_u8; HASH_BYTES];
    scrypt::scrypt(password.as_bytes(), salt, &parameters, &mut hash)
        .map_err(|error| Error::internal("Failed to hash the password", error))?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_salt_and_hash_and_never_twice_the_same() {
        let (one, two) = (hash("sekrit").unwrap(), hash("sekrit").unwrap());
        assert_eq!(one.len(), 2 * (SALT_BYTES + HASH_BYTES));
        assert_ne!(one, two);
        assert!(!one.contains(&hex::encode("sekrit")));
        assert!(is_password(&one, "sekrit").unwrap());
        assert!(!is_password(&one, "Sekrit").unwrap());
    }

    #[test]
    fn what_is_no_hash_is_no_password() {
        assert!(is_password("no digits", "").is_err());
        assert!(!is_password("", "").unwrap());
        assert!(!is_password(&"00".repeat(SALT_BYTES), "").unwrap());
    }
}
