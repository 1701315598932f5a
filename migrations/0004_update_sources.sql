-- A refresh keeps what the user has edited, so it has to know what the server had said. An alias
-- that is gone must not be taken for the beginning of a fingerprint. And a source that was named
-- by somebody who may not reach every address stays bound to that.

ALTER TABLE image_sources ADD COLUMN restricted INTEGER NOT NULL DEFAULT 0;

ALTER TABLE image_sources ADD COLUMN by_alias INTEGER NOT NULL DEFAULT 1;

ALTER TABLE image_sources ADD COLUMN properties TEXT NOT NULL DEFAULT '';

ALTER TABLE image_sources ADD COLUMN expires_at TEXT NOT NULL DEFAULT '';
