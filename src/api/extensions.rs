//! What this server says it can do beyond the first version of the API.

/// LXD's names, in LXD's order, of exactly what works here. Clients do not even try what is
/// missing, and say so.
pub(crate) const EXTENSIONS: &[&str] = &[
    "etag",
    "patch",
    "profile_usedby",
    "storage",
    "entity_description",
    "operation_description",
    "event_lifecycle",
    "projects",
    "event_location",
    "image_types",
    "images_expiry",
    "image_profiles",
    "api_filtering",
    "api_os",
    "usedby_consistency",
    "projects_compression",
    "projects_images_remote_cache_expiry",
    "projects_images_auto_update",
    "images_default_architecture",
    "project_usage",
    "server_supported_storage_drivers",
    "event_lifecycle_requestor_address",
    "event_project",
];
