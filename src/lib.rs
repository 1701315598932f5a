//! lximaged: an image daemon that speaks LXD's REST API to unmodified LXD clients.
//!
//! It keeps images as content-addressed files plus rows in an embedded database, and serves
//! them over a Unix socket and HTTPS. Behaviour follows LXD 5.0.2; every intended difference is
//! listed in `docs/compatibility.md`.
//!
//! # The map
//!
//! A module imports only from layers below its own; `tests/it/layering.rs` holds the code to it.
//!
//! | layer | rooms | what they are |
//! |---|---|---|
//! | L0 | `error` `clock` `config` `api` `image` `template` | values and rules: no runtime, no sockets, no SQL |
//! | L1 | `tasks` `db` `store` `pool` `runtime` | one outside thing each: spawned work, the database, image files, instance trees, containers |
//! | L2 | `operations` `access` `settings` `images` `instances` `jobs` | what lximaged does; knows no HTTP |
//! | L3 | `http` | parse, call, render |
//! | L4 | `daemon` `cli` | assembly; the only place that sees everything |
//!
//! Start reading at `images::admit`, the one door through which an image comes into being, and
//! at `http::routes`, the one table of everything the daemon answers.

mod access;
mod api;
mod cli;
mod clock;
mod config;
mod daemon;
mod db;
mod error;
mod http;
mod image;
mod images;
mod instances;
mod jobs;
mod multipart;
mod operations;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "instances are what trees are for")
)]
mod pool;
mod remote;
mod runtime;
mod settings;
mod store;
mod tasks;
mod template;
mod trust;

/// Runs what the command line names. Returns the process's exit status.
pub fn main() -> std::process::ExitCode {
    cli::main()
}

/// Everything the daemon answers: method, path pattern, and who may use it. For tests and for the
/// documentation.
pub fn route_table() -> Vec<(&'static str, &'static str, &'static str)> {
    http::ROUTES
        .iter()
        .map(|route| (route.method, route.path, route.access.name()))
        .collect()
}
