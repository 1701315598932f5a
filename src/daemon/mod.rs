//! Assembly: from the command line's options to a daemon that serves, and to its orderly end.
//!
//! [`run`] reads top to bottom: lock, certificate, database, services, recovery, listeners, ready,
//! signals, drain. Nothing else in the daemon sees all of it.

mod app;
mod certificate;
mod facts;
mod lifecycle;
mod lock;
mod logging;
mod remote;
mod schedule;
mod socket;

pub(crate) use app::{Options, run};
