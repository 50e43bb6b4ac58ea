-- One database is one mail store; search.sql is what SEARCH has in it. Statements stand
-- apart by an empty line.
--
-- Other programs write to the view `mail` (id, mailbox, flags, date, size, data) and
-- the table `mailbox` (name, flags, ro). README.md has examples. Triggers do the rest.

-- `state` counts the changes to the messages of a mailbox. It is in the transaction
-- of the change, so whoever sees one sees the other.
CREATE TABLE mailbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(11))))
        CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 64),
    name TEXT NOT NULL UNIQUE,
    flags TEXT NOT NULL DEFAULT '', -- a special use: \Sent, \Trash, ...
    ro INTEGER NOT NULL DEFAULT 0, -- 1: nothing in it can be changed
    uidvalidity INTEGER NOT NULL DEFAULT (unixepoch()),
    state INTEGER NOT NULL DEFAULT 1,
    pruned INTEGER NOT NULL DEFAULT 0 -- `gone` may lack what was deleted up to this state
) STRICT

-- The bytes of a message. Copies share them.
CREATE TABLE body (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    data BLOB NOT NULL
) STRICT

-- One counter gives all mailboxes their UIDs: none is used twice, a later one is higher.
CREATE TABLE message (
    uid INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(11))))
        CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 254),
    mailbox INTEGER NOT NULL REFERENCES mailbox,
    body INTEGER NOT NULL REFERENCES body,
    flags TEXT NOT NULL DEFAULT '' -- \Seen,\Flagged,word
        CHECK (length(flags) <= 16384),
    date INTEGER NOT NULL DEFAULT (unixepoch()) CHECK (date >= 0),
    size INTEGER NOT NULL,
    vsize INTEGER NOT NULL, -- the size if each line ended in CRLF
    changed INTEGER NOT NULL DEFAULT 0 -- the state of the mailbox that made it what it is
) STRICT

CREATE INDEX message_changed ON message (mailbox, changed)

CREATE INDEX message_body ON message (body)

-- What was deleted, in this order; forgotten after a while.
CREATE TABLE gone (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    time INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT

CREATE INDEX gone_changed ON gone (mailbox, changed)

CREATE TRIGGER gone_delete AFTER DELETE ON gone BEGIN
    UPDATE mailbox SET pruned = max(pruned, OLD.changed) WHERE n = OLD.mailbox;
END

-- An id names the same bytes for ever.
CREATE TRIGGER message_id BEFORE INSERT ON message
WHEN EXISTS (SELECT 1 FROM message WHERE id = NEW.id UNION ALL SELECT 1 FROM gone WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'this id is, or was, another message');
END

CREATE TRIGGER message_fixed BEFORE UPDATE OF uid, id, mailbox, body, size, vsize ON message BEGIN
    SELECT RAISE(ABORT, 'of a message only flags and date can be changed');
END

CREATE TRIGGER body_fixed BEFORE UPDATE ON body BEGIN
    SELECT RAISE(ABORT, 'a message does not change: delete it and insert another');
END

-- Whoever counts for many messages at once gives `changed` along.
CREATE TRIGGER message_insert AFTER INSERT ON message WHEN NEW.changed = 0 BEGIN
    UPDATE mailbox SET state = state + 1 WHERE n = NEW.mailbox;
    UPDATE message SET changed = (SELECT state FROM mailbox WHERE n = NEW.mailbox) WHERE uid = NEW.uid;
END

CREATE TRIGGER message_update AFTER UPDATE OF flags, date ON message WHEN NEW.changed = OLD.changed BEGIN
    UPDATE mailbox SET state = state + 1 WHERE n = NEW.mailbox;
    UPDATE message SET changed = (SELECT state FROM mailbox WHERE n = NEW.mailbox) WHERE uid = NEW.uid;
END

CREATE TRIGGER message_delete AFTER DELETE ON message BEGIN
    UPDATE mailbox SET state = state + 1 WHERE n = OLD.mailbox;
    INSERT INTO gone (id, mailbox, uid, changed)
        SELECT OLD.id, n, OLD.uid, state FROM mailbox WHERE n = OLD.mailbox;
    DELETE FROM body WHERE n = OLD.body AND NOT EXISTS (SELECT 1 FROM message WHERE body = OLD.body);
END

CREATE TRIGGER mailbox_delete BEFORE DELETE ON mailbox BEGIN
    DELETE FROM message WHERE mailbox = OLD.n;
END

-- For other programs.
CREATE VIEW mail AS
    SELECT message.id, mailbox.name AS mailbox, message.flags, date, size, data
    FROM message JOIN mailbox ON mailbox.n = message.mailbox JOIN body ON body.n = body

CREATE TRIGGER mail_insert INSTEAD OF INSERT ON mail BEGIN
    INSERT INTO body (data) VALUES (CAST(NEW.data AS BLOB));
    INSERT INTO message (id, mailbox, body, flags, date, size, vsize)
        SELECT coalesce(NEW.id, lower(hex(randomblob(11)))),
            (SELECT n FROM mailbox WHERE name = NEW.mailbox), n,
            coalesce(NEW.flags, ''), coalesce(NEW.date, unixepoch()), length(data),
            length(data) - length(CAST(replace(data, x'0a', '') AS BLOB))
            + length(CAST(replace(data, x'0d0a', x'0d') AS BLOB))
        FROM body WHERE n = last_insert_rowid();
END

-- A message that is put into another mailbox gets another id there.
CREATE TRIGGER mail_update INSTEAD OF UPDATE OF mailbox, flags, date ON mail BEGIN
    UPDATE message SET flags = NEW.flags, date = NEW.date WHERE id = OLD.id;
    INSERT INTO message (mailbox, body, flags, date, size, vsize)
        SELECT (SELECT n FROM mailbox WHERE name = NEW.mailbox), body, flags, date, size, vsize
        FROM message WHERE id = OLD.id AND NEW.mailbox IS NOT OLD.mailbox;
    DELETE FROM message WHERE id = OLD.id AND NEW.mailbox IS NOT OLD.mailbox;
END

CREATE TRIGGER mail_fixed INSTEAD OF UPDATE OF id, size, data ON mail BEGIN
    SELECT RAISE(ABORT, 'a message does not change: delete it and insert another');
END

CREATE TRIGGER mail_delete INSTEAD OF DELETE ON mail BEGIN
    DELETE FROM message WHERE id = OLD.id;
END

INSERT INTO mailbox (name) VALUES ('INBOX')
