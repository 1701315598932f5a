//! All the SQL: one file for a group of tables, one constant for each statement.
//!
//! Functions take a [`Session`], either a reader's or the writer's transaction, so that a service
//! decides what belongs into one transaction. Absence is `None` or an empty list; the services
//! know which error it is.
//!
//! Deliberately absent: queries in loops over rows, SQL put together from text, and an
//! abstraction over databases. The statements keep to what `PostgreSQL` accepts too.

mod changes;
mod connect;
mod reserve;
mod row_numbers;
mod sql;

pub(crate) mod aliases;
pub(crate) mod blobs;
pub(crate) mod certificates;
pub(crate) mod images;
pub(crate) mod instances;
pub(crate) mod passes;
pub(crate) mod pools;
pub(crate) mod profiles;
pub(crate) mod projects;
pub(crate) mod settings;
pub(crate) mod snapshots;

pub(crate) use connect::{Db, Session, Transaction};
pub(crate) use sql::{constraint, is_full};

/// The rows' own number for a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProjectId(pub(crate) i64);

/// The rows' own number for an image of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ImageId(pub(crate) i64);

/// The rows' own number for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(pub(crate) i64);

#[cfg(test)]
mod tests;
