-- The image store. Times are RFC 3339 text, because clients get dates back with the zone they
-- sent. Flags are 0 or 1. Maps that are always read whole are one JSON column each, so that a
-- list of images is one row for each image.

CREATE TABLE settings (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT settings_key PRIMARY KEY (key)
) STRICT;

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    config TEXT NOT NULL,
    CONSTRAINT projects_name UNIQUE (name)
) STRICT;

CREATE TABLE storage_pools (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    driver TEXT NOT NULL,
    description TEXT NOT NULL,
    config TEXT NOT NULL,
    CONSTRAINT storage_pools_name UNIQUE (name)
) STRICT;

CREATE TABLE profiles (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    config TEXT NOT NULL,
    devices TEXT NOT NULL,
    CONSTRAINT profiles_project FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT profiles_name UNIQUE (project_id, name)
) STRICT;

-- Image files on disk. A row exists exactly while the files named by its fingerprint do;
-- rootfs_size is NULL for a unified image, so the layout of a fingerprint is fixed by its row.
CREATE TABLE blobs (
    fingerprint TEXT NOT NULL,
    size INTEGER NOT NULL,
    rootfs_size INTEGER,
    CONSTRAINT blobs_fingerprint PRIMARY KEY (fingerprint)
) STRICT;

-- Files whose last image row is gone and which have not been unlinked yet. Written in the
-- transaction that removes the row, so that a crash before the unlink is finished at next start.
CREATE TABLE removed_blobs (
    fingerprint TEXT NOT NULL,
    CONSTRAINT removed_blobs_fingerprint PRIMARY KEY (fingerprint)
) STRICT;

CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    type TEXT NOT NULL,
    filename TEXT NOT NULL,
    architecture TEXT NOT NULL,
    size INTEGER NOT NULL,
    public INTEGER NOT NULL,
    auto_update INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    properties TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    uploaded_at TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    CONSTRAINT images_project FOREIGN KEY (project_id) REFERENCES projects (id),
    CONSTRAINT images_blob FOREIGN KEY (fingerprint) REFERENCES blobs (fingerprint),
    CONSTRAINT images_fingerprint UNIQUE (project_id, fingerprint)
) STRICT;

CREATE INDEX images_by_fingerprint ON images (fingerprint);

CREATE TABLE image_sources (
    image_id INTEGER NOT NULL,
    server TEXT NOT NULL,
    protocol TEXT NOT NULL,
    certificate TEXT NOT NULL,
    alias TEXT NOT NULL,
    CONSTRAINT image_sources_image PRIMARY KEY (image_id),
    CONSTRAINT image_sources_of FOREIGN KEY (image_id) REFERENCES images (id) ON DELETE CASCADE
) STRICT;

CREATE TABLE image_profiles (
    image_id INTEGER NOT NULL,
    profile_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    CONSTRAINT image_profiles_pair PRIMARY KEY (image_id, profile_id),
    CONSTRAINT image_profiles_image
        FOREIGN KEY (image_id) REFERENCES images (id) ON DELETE CASCADE,
    CONSTRAINT image_profiles_profile
        FOREIGN KEY (profile_id) REFERENCES profiles (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX image_profiles_by_profile ON image_profiles (profile_id);

CREATE TABLE aliases (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    image_id INTEGER NOT NULL,
    description TEXT NOT NULL,
    CONSTRAINT aliases_project FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT aliases_image FOREIGN KEY (image_id) REFERENCES images (id) ON DELETE CASCADE,
    CONSTRAINT aliases_name UNIQUE (project_id, name)
) STRICT;

CREATE INDEX aliases_by_image ON aliases (image_id);
