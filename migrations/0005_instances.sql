-- Instances and their snapshots. A row exists only once the instance's tree is complete, and goes
-- before the tree does. A profile or a pool that an instance uses cannot go, and neither can its
-- project. A snapshot has configuration and devices of its own; its profiles are its instance's.

CREATE TABLE instances (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    storage_pool_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    architecture TEXT NOT NULL,
    ephemeral INTEGER NOT NULL,
    description TEXT NOT NULL,
    config TEXT NOT NULL,
    devices TEXT NOT NULL,
    created_at TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    CONSTRAINT instances_project FOREIGN KEY (project_id) REFERENCES projects (id),
    CONSTRAINT instances_pool FOREIGN KEY (storage_pool_id) REFERENCES storage_pools (id),
    CONSTRAINT instances_name UNIQUE (project_id, name)
) STRICT;

CREATE INDEX instances_by_pool ON instances (storage_pool_id);

CREATE TABLE instance_profiles (
    instance_id INTEGER NOT NULL,
    profile_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    CONSTRAINT instance_profiles_pair PRIMARY KEY (instance_id, profile_id),
    CONSTRAINT instance_profiles_instance
        FOREIGN KEY (instance_id) REFERENCES instances (id) ON DELETE CASCADE,
    CONSTRAINT instance_profiles_profile FOREIGN KEY (profile_id) REFERENCES profiles (id)
) STRICT;

CREATE INDEX instance_profiles_by_profile ON instance_profiles (profile_id);

CREATE TABLE instance_snapshots (
    id INTEGER PRIMARY KEY,
    instance_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    ephemeral INTEGER NOT NULL,
    description TEXT NOT NULL,
    config TEXT NOT NULL,
    devices TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT instance_snapshots_instance
        FOREIGN KEY (instance_id) REFERENCES instances (id) ON DELETE CASCADE,
    CONSTRAINT instance_snapshots_name UNIQUE (instance_id, name)
) STRICT;

INSERT INTO row_numbers (kind, last) VALUES ('instances', 0), ('snapshots', 0);
