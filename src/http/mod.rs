//! HTTP: listeners, routes, and the handlers behind them.
