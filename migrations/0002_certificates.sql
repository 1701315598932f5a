-- Clients (and later other servers) that are trusted by their certificate. A restricted one may
-- use its projects only; the table of pairs says which, and a project that goes takes its pairs
-- with it.

CREATE TABLE certificates (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    certificate TEXT NOT NULL,
    restricted INTEGER NOT NULL,
    CONSTRAINT certificates_fingerprint UNIQUE (fingerprint)
) STRICT;

CREATE TABLE certificate_projects (
    certificate_id INTEGER NOT NULL,
    project_id INTEGER NOT NULL,
    CONSTRAINT certificate_projects_pair PRIMARY KEY (certificate_id, project_id),
    CONSTRAINT certificate_projects_certificate
        FOREIGN KEY (certificate_id) REFERENCES certificates (id) ON DELETE CASCADE,
    CONSTRAINT certificate_projects_project
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX certificate_projects_by_project ON certificate_projects (project_id);
