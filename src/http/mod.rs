//! HTTP: listeners, routes, and the handlers behind them.

pub(crate) mod files;
pub(crate) mod multipart;
