//! Operations and events.
