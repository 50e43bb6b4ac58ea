-- The search index, by body; words.py says what is in it. SEARCH brings it up to date. It can
-- be lost: a store has it when the table `searched` is there.

CREATE VIRTUAL TABLE words2 USING fts5(
    "from", "to", cc, bcc, subject, head, body,
    tokenize = 'trigram case_sensitive 1', detail = none
)

-- What has been looked at, in the order of the bodies. A body that is not here, and a column
-- whose bit (1 is "from", 64 is body) is in `unknown`, is a hit of each search; one with the bit
-- in `inexact` may be found without reason.
CREATE TABLE searched (
    n INTEGER PRIMARY KEY,
    unknown INTEGER NOT NULL,
    inexact INTEGER NOT NULL
) STRICT

-- What has to leave the index.
CREATE TABLE IF NOT EXISTS stale (n INTEGER PRIMARY KEY) STRICT

DROP TRIGGER IF EXISTS body_delete

CREATE TRIGGER body_delete AFTER DELETE ON body
WHEN EXISTS (SELECT 1 FROM searched WHERE n = OLD.n) BEGIN
    DELETE FROM searched WHERE n = OLD.n;
    INSERT OR IGNORE INTO stale VALUES (OLD.n);
END
