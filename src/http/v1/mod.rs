//! The handlers of API version 1.0, one file for each resource.

pub(super) mod aliases;
pub(super) mod events;
pub(super) mod images;
pub(super) mod operations;
pub(super) mod profiles;
pub(super) mod projects;
pub(super) mod server;
pub(super) mod storage;
pub(super) mod upload;

use super::{answer::Answer, call::Call};
use crate::api::url::escape;

/// `/1.0/KIND/NAME`, with the name as one segment.
fn url(kind: &str, name: &str) -> String {
    format!("/1.0/{kind}/{}", escape(name))
}
