//! Who calls, what they may do, and in which project.

mod caller;
mod edit;
pub(crate) mod password;
mod projects;
mod scope;

pub(crate) use caller::{Access, Caller, Trust};
pub(crate) use edit::Edit;
pub(crate) use projects::{ProjectChange, Projects};
pub(crate) use scope::Scope;
