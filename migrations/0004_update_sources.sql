-- A refresh keeps what the user has edited, so it has to know what the server had said; and a
-- source that was named by somebody who may not reach every address stays bound to that.

ALTER TABLE image_sources ADD COLUMN restricted INTEGER NOT NULL DEFAULT 0;

ALTER TABLE image_sources ADD COLUMN properties TEXT NOT NULL DEFAULT '';

ALTER TABLE image_sources ADD COLUMN expires_at TEXT NOT NULL DEFAULT '';
