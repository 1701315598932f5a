//! Secrets: what opens a thing to whoever knows it.

use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

/// 32 random bytes as hexadecimal digits.
pub(crate) fn new_secret() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("No random numbers to be had", error))?;
    Ok(hex::encode(bytes))
}

/// Compares secrets in a time that tells nothing about where they differ.
pub(crate) fn same_secret(known: &str, given: &str) -> bool {
    known.as_bytes().ct_eq(given.as_bytes()).into()
}
