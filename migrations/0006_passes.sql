-- A daemon that starts long after its last pass may have a wrong clock, and must not let the whole
-- store expire because of it: it has to know when that was.

CREATE TABLE passes (
    name TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    CONSTRAINT passes_name PRIMARY KEY (name)
) STRICT;
