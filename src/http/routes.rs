//! Everything the daemon answers: one row for each method of each path.
//!
//! The router is made from this table, and so are the checks that every route is documented, has
//! an access rule, and is tested.

use std::pin::Pin;

use super::{answer::Answer, call::Call, v1};
use crate::{
    access::Access::{self, Admin, Anyone, Project, Trusted},
    error::Result,
};

/// What a handler is.
pub(crate) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;

/// One row of the table.
pub(crate) struct Route {
    /// `GET`, `POST`, …
    pub(crate) method: &'static str,
    /// The path, with `{name}` for a segment and `{*name}` for the rest.
    pub(crate) path: &'static str,
    /// Who may use it.
    pub(crate) access: Access,
    /// What answers.
    pub(crate) handler: Handler,
    /// Whether the answer lasts until the database changes: it depends on nothing else but the
    /// caller's view and the target.
    pub(crate) lasting: bool,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:ident $($handler:ident)::+ $($lasting:ident)?;)+) => {
        /// The table.
        pub(crate) const ROUTES: &[Route] = &[$(
            Route {
                method: stringify!($method),
                path: $path,
                access: $access,
                handler: |call| Box::pin($($handler)::+(call)),
                lasting: !stringify!($($lasting)?).is_empty(),
            },
        )+];
    };
}

routes! {
    GET "/" Anyone v1::server::versions;
    HEAD "/" Anyone v1::server::versions;
    GET "/1.0" Anyone v1::server::get;
    PUT "/1.0" Admin v1::server::put;
    PATCH "/1.0" Admin v1::server::patch;
    GET "/1.0/events" Trusted v1::events::listen;

    GET "/1.0/images" Anyone v1::images::list lasting;
    POST "/1.0/images" Anyone v1::upload::post;
    GET "/1.0/images/{fingerprint}" Anyone v1::images::get lasting;
    PUT "/1.0/images/{fingerprint}" Project v1::images::put;
    PATCH "/1.0/images/{fingerprint}" Project v1::images::patch;
    DELETE "/1.0/images/{fingerprint}" Project v1::images::delete;
    GET "/1.0/images/{fingerprint}/export" Anyone v1::images::export;
    HEAD "/1.0/images/{fingerprint}/export" Anyone v1::images::export;
    POST "/1.0/images/{fingerprint}/export" Project v1::images::push;
    POST "/1.0/images/{fingerprint}/refresh" Project v1::images::refresh;
    POST "/1.0/images/{fingerprint}/secret" Project v1::images::secret;

    GET "/1.0/images/aliases" Project v1::aliases::list lasting;
    POST "/1.0/images/aliases" Project v1::aliases::create;
    GET "/1.0/images/aliases/" Anyone v1::aliases::get lasting;
    GET "/1.0/images/aliases/{*name}" Anyone v1::aliases::get lasting;
    PUT "/1.0/images/aliases/{*name}" Project v1::aliases::put;
    PATCH "/1.0/images/aliases/{*name}" Project v1::aliases::patch;
    POST "/1.0/images/aliases/{*name}" Project v1::aliases::rename;
    DELETE "/1.0/images/aliases/{*name}" Project v1::aliases::delete;

    GET "/1.0/operations" Trusted v1::operations::list;
    GET "/1.0/operations/{id}" Trusted v1::operations::get;
    DELETE "/1.0/operations/{id}" Trusted v1::operations::delete;
    GET "/1.0/operations/{id}/wait" Anyone v1::operations::wait;
    GET "/1.0/operations/{id}/websocket" Anyone v1::operations::websocket;

    GET "/1.0/projects" Trusted v1::projects::list lasting;
    POST "/1.0/projects" Admin v1::projects::create;
    GET "/1.0/projects/{name}" Trusted v1::projects::get lasting;
    PUT "/1.0/projects/{name}" Admin v1::projects::put;
    PATCH "/1.0/projects/{name}" Admin v1::projects::patch;
    POST "/1.0/projects/{name}" Admin v1::projects::rename;
    DELETE "/1.0/projects/{name}" Admin v1::projects::delete;
    GET "/1.0/projects/{name}/state" Trusted v1::projects::state;

    GET "/1.0/profiles" Project v1::profiles::list lasting;
    POST "/1.0/profiles" Project v1::profiles::create;
    GET "/1.0/profiles/{name}" Project v1::profiles::get lasting;
    PUT "/1.0/profiles/{name}" Project v1::profiles::put;
    PATCH "/1.0/profiles/{name}" Project v1::profiles::patch;
    POST "/1.0/profiles/{name}" Project v1::profiles::rename;
    DELETE "/1.0/profiles/{name}" Project v1::profiles::delete;

    GET "/1.0/storage-pools" Trusted v1::storage::list lasting;
    POST "/1.0/storage-pools" Admin v1::storage::create;
    GET "/1.0/storage-pools/{name}" Trusted v1::storage::get lasting;
    PUT "/1.0/storage-pools/{name}" Admin v1::storage::put;
    PATCH "/1.0/storage-pools/{name}" Admin v1::storage::patch;
    DELETE "/1.0/storage-pools/{name}" Admin v1::storage::delete;
    GET "/1.0/storage-pools/{name}/resources" Trusted v1::storage::resources;
    GET "/1.0/storage-pools/{name}/volumes" Project v1::volumes::list;
    POST "/1.0/storage-pools/{name}/volumes" Project v1::volumes::create;
    GET "/1.0/storage-pools/{name}/volumes/{type}" Project v1::volumes::list_kind;
    POST "/1.0/storage-pools/{name}/volumes/{type}" Project v1::volumes::create;
    GET "/1.0/storage-pools/{name}/volumes/{type}/{volume}" Project v1::volumes::get;
    PUT "/1.0/storage-pools/{name}/volumes/{type}/{volume}" Project v1::volumes::change;
    PATCH "/1.0/storage-pools/{name}/volumes/{type}/{volume}" Project v1::volumes::change;
    POST "/1.0/storage-pools/{name}/volumes/{type}/{volume}" Project v1::volumes::rename;
    DELETE "/1.0/storage-pools/{name}/volumes/{type}/{volume}" Project v1::volumes::delete;

    GET "/1.0/resources" Trusted v1::machine::resources;
    GET "/1.0/networks" Project v1::networks::list;
    POST "/1.0/networks" Project v1::networks::create;
    GET "/1.0/networks/{name}" Project v1::networks::get;
    PUT "/1.0/networks/{name}" Project v1::networks::managed;
    PATCH "/1.0/networks/{name}" Project v1::networks::managed;
    POST "/1.0/networks/{name}" Project v1::networks::managed;
    DELETE "/1.0/networks/{name}" Project v1::networks::managed;
    GET "/1.0/networks/{name}/leases" Project v1::networks::managed;
    GET "/1.0/networks/{name}/forwards" Project v1::networks::managed;
    GET "/1.0/networks/{name}/peers" Project v1::networks::managed;
    GET "/1.0/network-acls" Project v1::networks::no_rules;
    POST "/1.0/network-acls" Project v1::networks::create_rules;
    GET "/1.0/network-acls/{name}" Project v1::networks::access_list;
    GET "/1.0/network-zones" Project v1::networks::no_rules;
    POST "/1.0/network-zones" Project v1::networks::create_rules;
    GET "/1.0/network-zones/{name}" Project v1::networks::zone;
    GET "/1.0/cluster" Trusted v1::cluster::get;
    PUT "/1.0/cluster" Admin v1::cluster::put;
    PUT "/1.0/cluster/certificate" Admin v1::cluster::replace_certificate;
    GET "/1.0/cluster/members" Trusted v1::cluster::members;
    POST "/1.0/cluster/members" Admin v1::cluster::groups;
    GET "/1.0/cluster/members/{name}" Trusted v1::cluster::members;
    PUT "/1.0/cluster/members/{name}" Admin v1::cluster::members;
    PATCH "/1.0/cluster/members/{name}" Admin v1::cluster::members;
    POST "/1.0/cluster/members/{name}" Admin v1::cluster::members;
    DELETE "/1.0/cluster/members/{name}" Admin v1::cluster::members;
    POST "/1.0/cluster/members/{name}/state" Admin v1::cluster::evacuate;
    GET "/1.0/cluster/groups" Trusted v1::cluster::groups;
    POST "/1.0/cluster/groups" Admin v1::cluster::groups;
    GET "/1.0/cluster/groups/{name}" Trusted v1::cluster::groups;
    GET "/1.0/metrics" Anyone v1::machine::metrics;
    GET "/1.0/lximaged/tasks" Admin v1::tasks::list;
    POST "/1.0/lximaged/tasks/{name}" Admin v1::tasks::run;
    GET "/1.0/warnings" Admin v1::machine::none;
    GET "/1.0/warnings/{id}" Admin v1::machine::warning;
    PUT "/1.0/warnings/{id}" Admin v1::machine::note_warning;
    PATCH "/1.0/warnings/{id}" Admin v1::machine::note_warning;
    DELETE "/1.0/warnings/{id}" Admin v1::machine::warning;
    GET "/1.0/certificates" Trusted v1::certificates::list;
    POST "/1.0/certificates" Anyone v1::certificates::post;
    GET "/1.0/certificates/{fingerprint}" Trusted v1::certificates::get;
    PUT "/1.0/certificates/{fingerprint}" Trusted v1::certificates::put;
    PATCH "/1.0/certificates/{fingerprint}" Trusted v1::certificates::patch;
    DELETE "/1.0/certificates/{fingerprint}" Admin v1::certificates::delete;

    GET "/1.0/instances" Project v1::instances::list;
    POST "/1.0/instances" Project v1::instances::create;
    PUT "/1.0/instances" Project v1::instance_state::put_all;
    GET "/1.0/instances/{name}" Project v1::instances::get;
    PUT "/1.0/instances/{name}" Project v1::instances::put;
    PATCH "/1.0/instances/{name}" Project v1::instances::patch;
    POST "/1.0/instances/{name}" Project v1::instances::relocate;
    DELETE "/1.0/instances/{name}" Project v1::instances::delete;
    GET "/1.0/instances/{name}/files" Project v1::instance_files::get;
    HEAD "/1.0/instances/{name}/files" Project v1::instance_files::get;
    POST "/1.0/instances/{name}/files" Project v1::instance_files::post;
    DELETE "/1.0/instances/{name}/files" Project v1::instance_files::delete;
    GET "/1.0/instances/{name}/state" Project v1::instance_state::get;
    PUT "/1.0/instances/{name}/state" Project v1::instance_state::put;
    POST "/1.0/instances/{name}/exec" Project v1::instance_state::exec;
    GET "/1.0/instances/{name}/console" Project v1::instance_state::console_log;
    POST "/1.0/instances/{name}/console" Project v1::instance_state::console;
    DELETE "/1.0/instances/{name}/console" Project v1::instance_state::clear_console_log;
    GET "/1.0/instances/{name}/logs" Project v1::instance_state::logs;
    GET "/1.0/instances/{name}/logs/{file}" Project v1::instance_state::log;
    DELETE "/1.0/instances/{name}/logs/{file}" Project v1::instance_state::delete_log;
    GET "/1.0/instances/{name}/metadata" Project v1::metadata::get;
    PUT "/1.0/instances/{name}/metadata" Project v1::metadata::put;
    PATCH "/1.0/instances/{name}/metadata" Project v1::metadata::patch;
    GET "/1.0/instances/{name}/metadata/templates" Project v1::metadata::templates;
    POST "/1.0/instances/{name}/metadata/templates" Project v1::metadata::write_template;
    DELETE "/1.0/instances/{name}/metadata/templates" Project v1::metadata::delete_template;
    GET "/1.0/instances/{name}/snapshots" Project v1::snapshots::list;
    POST "/1.0/instances/{name}/snapshots" Project v1::snapshots::create;
    GET "/1.0/instances/{name}/snapshots/{snapshot}" Project v1::snapshots::get;
    PUT "/1.0/instances/{name}/snapshots/{snapshot}" Project v1::snapshots::put;
    PATCH "/1.0/instances/{name}/snapshots/{snapshot}" Project v1::snapshots::patch;
    POST "/1.0/instances/{name}/snapshots/{snapshot}" Project v1::snapshots::rename;
    DELETE "/1.0/instances/{name}/snapshots/{snapshot}" Project v1::snapshots::delete;
    GET "/1.0/instances/{name}/backups" Project v1::instances::backups;
    POST "/1.0/instances/{name}/backups" Project v1::instances::no_backups;
}
