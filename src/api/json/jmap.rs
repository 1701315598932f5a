//! A body of which one first has to know which keys it has.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    cursor::Kind,
    decode::{Decode, Decoder},
    types::decode_entries,
    value::Json,
};
use crate::error::{Error, Result};

/// The members of an object, whatever they are (LXD: `shared.Jmap`).
///
/// Its keys are exact, unlike those of request structs.
#[derive(Debug, Default)]
pub(crate) struct Jmap(BTreeMap<String, Json>);

impl Jmap {
    /// Whether the body has this key, be it with `null`.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// What the body has under this key.
    pub(crate) fn find(&self, key: &str) -> Option<&Json> {
        self.0.get(key)
    }

    /// The string under this key.
    ///
    /// # Errors
    ///
    /// 400 when there is none, or something else (`null` too).
    pub(crate) fn get_string(&self, key: &str) -> Result<&str> {
        self.get(key)?.as_str().ok_or_else(|| not_a("string", key))
    }

    fn get(&self, key: &str) -> Result<&Json> {
        self.find(key)
            .ok_or_else(|| Error::bad_request(format!("Response was missing `{key}`")))
    }
}

fn not_a(what: &str, key: &str) -> Error {
    Error::bad_request(format!("`{key}` was not a {what}"))
}

impl Decode for Jmap {
    fn go_type() -> Cow<'static, str> {
        "shared.Jmap".into()
    }

    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        match from.kind() {
            Kind::Null => from.skip(),
            Kind::Object => return decode_entries(&mut self.0, from),
            _ => from.mismatch::<Self>(),
        }
        Ok(())
    }
}
