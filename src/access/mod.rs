//! Who calls, what they may do, and in which project.

mod caller;
mod edit;
mod limits;
pub(crate) mod password;
mod projects;
mod restrictions;
mod scope;

pub(crate) use caller::{Access, Caller, Trust};
pub(crate) use edit::Edit;
pub(crate) use limits::{Population, Subject};
pub(crate) use projects::{ProjectChange, Projects};
pub(crate) use restrictions::confined_to;
pub(crate) use scope::Scope;
