-- Numbers of images and projects are never given twice: whoever read one a moment ago must not
-- find something else under it. SQLite alone gives the highest one again when its row is gone.

CREATE TABLE row_numbers (
    kind TEXT NOT NULL,
    last INTEGER NOT NULL,
    CONSTRAINT row_numbers_kind PRIMARY KEY (kind)
) STRICT;

INSERT INTO row_numbers (kind, last)
SELECT 'images', COALESCE(MAX(id), 0)
FROM images;

INSERT INTO row_numbers (kind, last)
SELECT 'projects', COALESCE(MAX(id), 0)
FROM projects;
