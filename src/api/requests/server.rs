//! The server itself.

use std::collections::BTreeMap;

use crate::api::json::{Json, go_struct};

go_struct! {
    /// `PUT` and `PATCH /1.0`.
    pub(crate) struct api.ServerPut {
        /// The settings. LXD takes any JSON here and refuses what is no string later, by key.
        config: BTreeMap<String, Json>,
    }
}
