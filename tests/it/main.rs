//! The integration tests: one binary, a module for each behaviour.
//!
//! Every test boots the real daemon on a directory of its own (`support::Lximaged`), speaks the
//! protocol over real sockets, and ends with the invariants of `support::invariants`. They pass in
//! any order, in parallel, and without a network.
#![cfg(test)]
#![expect(
    clippy::string_slice,
    reason = "the texts are the tests' own, or a panic is the failure"
)]

mod support;

mod absent;
mod aliases;
mod at_once;
mod auto_update;
mod auto_update_sequence;
mod budget;
mod cache;
mod copies;
mod cors;
mod coverage;
mod crash;
mod curl;
mod decoding;
mod delete;
mod deltas;
mod disk_full;
mod docs;
mod edit;
mod events;
mod exec;
mod export;
mod faults;
mod flights;
mod formats;
mod hostile_archives;
mod hostile_compression;
mod hostile_entries;
mod hostile_http;
mod hostile_metadata;
mod hostile_names;
mod http2;
mod https;
mod import;
mod import_refused;
mod import_split;
mod import_squashfs;
mod instance_files;
mod instance_metadata;
mod instances_callers;
mod instances_change;
mod instances_copy;
mod instances_crash;
mod instances_create;
mod instances_limits;
mod instances_lists;
mod instances_lxc;
mod instances_races;
mod instances_refused;
mod instances_snapshots;
mod joining;
mod layering;
mod lifecycle;
mod lxc;
mod machine;
mod matrix;
mod modes;
mod operations;
mod pki;
mod pools;
mod profiles;
mod projects;
mod proxies;
mod publish;
mod publish_queue;
mod publish_refused;
mod pylxd;
mod refresh;
mod render_template;
mod restricted;
mod routing;
mod running;
mod secrets;
mod server;
mod server_certificate;
mod show;
mod streams;
mod streams_cache;
mod stress;
mod tasks;
mod templates;
mod trust;
mod untrusted;
mod uploads;
mod upstream_faults;
mod upstream_trust;
mod url_import;
