//! Who calls, what they may do, and in which project.

mod caller;
mod projects;
mod scope;

pub(crate) use caller::{Access, Caller};
pub(crate) use projects::{ProjectChange, Projects};
pub(crate) use scope::Scope;
