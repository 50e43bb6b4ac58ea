"""The database, and what the verbs of the protocol do with it."""

from __future__ import annotations

import io
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from fields import DATE_MAX, FLAGS_MAX, SIZE_MAX, UID_MAX, No, change_flags, decode, decode_bytes, decode_name
from fields import encode, encode_list, flag_set, header_end, is_id, is_name, is_number, json_list, new_name
from fields import number, wire

BATCH = 1000
PIPELINE = 64
BLOCK = 1 << 20  # bytes of a message that are held at once
HEADER_BLOCK = 8192
ROWS = 1000  # of a list that are held at once
FORGET_ROWS = 2000  # that are forgotten in one step, between two requests,
REMOVE_ROWS = 1000  # and of a deleted mailbox's messages removed
DELETED = "/deleted/"  # how the name of such a mailbox begins; no other does
LOCK_WAIT = 10  # seconds
WATCH_PAUSE = 0.2  # seconds between two looks
TOLD_MAX = 100  # warnings about odd rows
KEEP = 30 * 86_400  # seconds after which is forgotten what was deleted, and its key
PAIRS_MAX = 50  # that are looked for in one SEARCH; the bridge looks for the others
GLOB_MAX = 10_000  # letters; SQLite takes 50,000 bytes

FOLDER = os.path.dirname(os.path.realpath(__file__))
APPLICATION_ID = 0x6D61_696C
SCHEMA_VERSION = 1

CODES = {  # for SQLite's errors, the precise ones first; any other is INTERNAL
    sqlite3.SQLITE_IOERR_FSYNC: "UNCERTAIN the disk has failed",
    sqlite3.SQLITE_BUSY: "BUSY the store is in use",
    sqlite3.SQLITE_PROTOCOL: "BUSY the store is in use",
    sqlite3.SQLITE_FULL: "UNAVAILABLE the disk is full",
    sqlite3.SQLITE_IOERR: "UNAVAILABLE the store cannot be read or written",
    sqlite3.SQLITE_CANTOPEN: "UNAVAILABLE the store cannot be opened",
    sqlite3.SQLITE_NOMEM: "UNAVAILABLE out of memory",
    sqlite3.SQLITE_READONLY: "READONLY the store can only be read",
    sqlite3.SQLITE_TOOBIG: "LIMIT the message is too large",
}
KEY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
SEARCH_KEYS = {key: [key] for key in ("from", "to", "cc", "bcc", "subject", "body")} | {"text": ["head", "body"]}
UIDS = "(SELECT value FROM json_each(?))"
VERBS = "STORE APPEND EXPUNGE COPY MOVE CREATE DELETE RENAME SEARCH WATCH"  # not everybody has


class Misfit(No):
    """The file is no store for this program, and no new copy would find it to be one."""


def log(level: str, text: str) -> None:
    print(f"{level}: sqlite: {text}", file=sys.stderr, flush=True)


def open_message(path: str) -> io.BufferedReader:
    name = decode_bytes(path)
    if b"\0" in name:
        raise No("CANNOT not a path")
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise No("UNAVAILABLE the message is not in a file")
    return open(handle, "rb")


class Store:
    """The database, and the verbs: each yields its reply in pieces, with the final line."""

    def __init__(self, options: dict[str, str], ended_within: Callable[[float], bool]) -> None:
        self.path = os.path.abspath(options["FILE"])
        self.uids, self.inline = "--uids" in options, "--inline" in options
        self.must_exist = "--must-exist" in options
        self.synchronous = options.get("--synchronous", "full")
        self.quota = int(options["--quota"]) if "--quota" in options else None
        self.wait = int(options.get("--wait", LOCK_WAIT))
        self.ended_within = ended_within
        self.db: sqlite3.Connection | None = None
        self.file: tuple[int, int] | None = None  # device and inode of what is open
        self.tidied = False
        self.told: set[str] = set()  # what was warned of
        self.boot = ""
        if self.synchronous != "full":
            # What is not synced may be lost with the power, and the same state come
            # to name something else. So each start of the machine has its own states.
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                self.boot = "." + file.read(8)

    def run(self, sql: str, *values: object) -> list[tuple]:
        return self.db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> tuple | None:
        rows = self.db.execute(sql, values).fetchall()  # all: a statement has to run to its end
        return rows[0] if rows else None

    def run_file(self, name: str) -> None:
        with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
            for statement in file.read().split("\n\n"):
                self.run(statement)

    def log(self, level: str, text: str) -> None:
        log(level, f"{self.path}: {text}")

    def warn(self, text: str) -> None:
        """Of a row that cannot be served as it is: once."""
        if text not in self.told and len(self.told) < TOLD_MAX:
            self.told.add(text)
            self.log("warning", text)

    def refusal(self, error: Exception) -> str:
        """Code and text for what went wrong; the admin gets the whole of it."""
        if isinstance(error, No):
            return str(error)
        ours = isinstance(error, (sqlite3.Error, OSError))
        log("error", f"{self.path}: {error!r}" if ours else f"{self.path}: {type(error).__name__}")
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            return CODES.get(code) or CODES.get(code & 0xFF) or "INTERNAL a fault in the store"
        if isinstance(error, OSError):
            return "UNAVAILABLE a file cannot be read"
        import traceback

        traceback.print_tb(error.__traceback__)  # without its text, which may quote a message
        return "INTERNAL a fault in the store"

    # Opening.

    def connect(self, wait: float | None = None) -> None:
        """Opens the file, or looks whether the one that is open is still the one. wait: seconds for
        a program that has it for itself."""
        wait = self.wait if wait is None else wait
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            found = None
        if not (found and found.st_size) and (self.db or self.must_exist):
            log("error", f"{self.path} is not there, or empty")
            raise No("UNAVAILABLE the store is not there")
        if self.db:
            if self.file != (found.st_dev, found.st_ino):
                log("error", f"{self.path} has been replaced")
                os._exit(os.EX_TEMPFAIL)  # to close the old one would remove the new one's -wal
            return
        self.db = sqlite3.connect(self.path, timeout=wait, isolation_level=None)
        self.db.text_factory = lambda data: data.decode(errors="surrogateescape")  # anything may stand there
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        found = os.stat(self.path)
        self.file = found.st_dev, found.st_ino

    def _prepare(self) -> None:
        if self.one("PRAGMA user_version") == (0,):
            self.run("BEGIN IMMEDIATE")
            if not self.one("SELECT 1 FROM sqlite_schema"):  # no other copy was faster
                self.run_file("schema.sql")
                self.run_file("search.sql")
                self.run(f"PRAGMA application_id = {APPLICATION_ID}")
                self.run(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self.run("COMMIT")
        if self.one("PRAGMA application_id") != (APPLICATION_ID,):
            raise Misfit("INTERNAL a database, but not of mail")
        if self.one("PRAGMA user_version") != (SCHEMA_VERSION,):
            raise Misfit("INTERNAL made by another version of this program")
        self.run(f"PRAGMA synchronous = {self.synchronous}")
        self.run("PRAGMA secure_delete = fast")  # not one more write for each page
        self.run("PRAGMA busy_timeout = 0")  # CAPS has to be answered soon
        try:
            self.run("PRAGMA journal_mode = wal")
        except sqlite3.OperationalError as error:
            self.log("debug", f"no write-ahead log this time: {error}")
        self.run(f"PRAGMA busy_timeout = {self.wait * 1000}")

    def tidy(self) -> bool:
        """Between two requests: does a little of what is left to do. Returns whether there is more."""
        if not self.db or self.tidied:
            return False
        try:
            self.run("PRAGMA busy_timeout = 0")
            self.tidied = not (self._forget_some() or self._remove_some())
        except sqlite3.Error as error:
            self.log("debug", f"not tidied up this time: {error}")
            self.tidied = True
        finally:
            self.rollback()
            self.run(f"PRAGMA busy_timeout = {self.wait * 1000}")
        return not self.tidied

    def _forget_some(self) -> bool:
        """What was deleted long ago, about once a day."""
        old = int(time.time()) - KEEP
        oldest = self.one("SELECT time FROM gone ORDER BY n LIMIT 1")
        if not oldest or oldest[0] >= old - 86_400:
            return False
        some = "(SELECT n FROM gone ORDER BY n LIMIT ?)"
        self.run(f"DELETE FROM gone WHERE n IN {some} AND time < ?", FORGET_ROWS, old)
        return True

    def _remove_some(self) -> bool:
        """Messages of a mailbox that was deleted."""
        box = self.one("SELECT n FROM mailbox WHERE name BETWEEN ? AND ? LIMIT 1", DELETED, DELETED + "~")
        if not box:
            return False
        self.run("BEGIN IMMEDIATE")
        if not self.remove_messages(*box):
            self.run("DELETE FROM mailbox WHERE n = ?", *box)
        self.run("COMMIT")
        return True

    def remove_messages(self, box: int) -> bool:
        """Some of them. Returns whether there were any."""
        some = "(SELECT uid FROM message WHERE mailbox = ? LIMIT ?)"
        cursor = self.db.execute(f"DELETE FROM message WHERE uid IN {some}", (box, REMOVE_ROWS))
        return cursor.rowcount > 0

    def close(self) -> None:
        if self.db:
            self.db.close()
        self.db = self.file = None

    # Transactions. A request that writes is a savepoint in one that others may share.

    def is_open(self) -> bool:
        return self.db is not None and self.db.in_transaction

    def begin(self) -> None:
        if not self.is_open():
            self.connect()
            self.run("BEGIN IMMEDIATE")
            self.began = time.monotonic()
        self.run("SAVEPOINT request")

    def undo(self) -> None:
        """Takes one request back. After grave errors SQLite has taken back all."""
        if self.is_open():
            self.run("ROLLBACK TO request")
            self.run("RELEASE request")

    def commit(self) -> None:
        try:
            if self.is_open():
                self.run("COMMIT")
        finally:
            self.rollback()

    def rollback(self) -> None:
        if self.is_open():
            self.run("ROLLBACK")

    # What the verbs share.

    def box(self, field: str) -> sqlite3.Row:
        cursor = self.db.cursor()
        cursor.row_factory = sqlite3.Row
        row = cursor.execute("SELECT * FROM mailbox WHERE name = ?", (decode_name(field),)).fetchone()
        if row is None or row["name"].startswith(DELETED):
            raise No("NOTFOUND no such mailbox")
        return row

    def box_to_change(self, field: str) -> sqlite3.Row:
        box = self.box(field)
        if box["ro"]:
            raise No("READONLY this mailbox can only be read")
        return box

    def box_to_remove(self, field: str) -> sqlite3.Row:
        box = self.box(field)
        if box["ro"]:
            raise No("NOPERM this mailbox can only be read")
        if box["name"] == "INBOX":
            raise No("CANNOT the inbox stays")
        return box

    def find(self, box: sqlite3.Row, ids: Iterable[str]) -> list[tuple[str, tuple | None]]:
        """Each id as it was sent, once, with uid, body and flags of its message."""
        names = {i: decode_name(i) for i in {decode_bytes(i): i for i in ids}.values()}
        rows = self.run(  # CROSS: one look for each id, in this order
            "SELECT message.id, uid, body, flags FROM json_each(?) CROSS JOIN message"
            " ON message.id = value AND mailbox = ?", json_list(names.values()), box["n"],
        )  # fmt: skip
        found = {row[0]: row[1:] for row in rows}
        return [(i, found.get(name)) for i, name in names.items()]

    def state(self, box: sqlite3.Row) -> str:
        """It names the mailbox as well: another one of its name has other states."""
        return f"{box['state']}.{box['uidvalidity']}.{encode(box['id'])}{self.boot}"

    def since(self, box: sqlite3.Row, state: str) -> int | None:
        """The number in a state. None if what has changed since then is not known."""
        count, _, rest = state.partition(".")
        if rest == self.state(box).partition(".")[2] and is_number(count):
            return int(count) if box["pruned"] <= int(count) <= box["state"] else None
        return None

    def uid(self, uid: int) -> str:
        return f" uid={uid}" if self.uids else ""

    def check_quota(self, size: int) -> None:
        if self.quota is not None:
            names = ("page_count", "freelist_count", "page_size")
            pages, free, each = (self.run(f"PRAGMA {name}")[0][0] for name in names)
            if (pages - free) * each + size > self.quota:
                raise No("OVERQUOTA the store is full")

    def check_free(self, name: str) -> None:
        if self.one("SELECT 1 FROM mailbox WHERE name = ?", name):
            raise No("EXISTS there is such a mailbox")

    # The verbs that read.

    def caps(self, *_: str) -> Iterator[str]:
        options = " uids" * self.uids + " inline" * self.inline
        yield f"* CAPS 1 delta batch={BATCH} pipeline={PIPELINE} key{options} {VERBS}\n"
        yield f"* FLAGS backend=all\n* KEYS {' '.join(SEARCH_KEYS)}\nOK\n"

    def list_boxes(self) -> Iterator[str]:
        self.connect()
        self.run("BEGIN")
        cursor = self.db.cursor()
        cursor.row_factory = sqlite3.Row
        for box in cursor.execute("SELECT * FROM mailbox ORDER BY name <> 'INBOX', name").fetchall():
            flags = encode_list(flag for flag in box["flags"].split(",") if flag)
            if box["name"].startswith(DELETED):
                continue
            if not is_name(box["name"]) or not is_id(box["id"]):
                self.warn(f"mailbox {box['n']} is left out: its name, or its id, cannot be one")
                continue
            if len(wire(flags)) > FLAGS_MAX:
                self.warn(f"mailbox {box['n']} has too many flags: they are left out")
                flags = ""
            more = (f" flags={flags}" if flags else "") + " ro" * bool(box["ro"])
            yield f"* BOX {encode(box['name'])} id={encode(box['id'])} state={self.state(box)}{more}\n"
        yield "OK full\n"

    def list(self, field: str | None = None, state: str = "-", *_: str) -> Iterator[str]:
        if field is None:
            yield from self.list_boxes()
            return
        self.connect()
        self.run("BEGIN")
        box, count, known = self.box(field), 0, {}
        since = self.since(box, state)
        cursor = self.db.execute(
            "SELECT uid, id, size, vsize, date, flags FROM message WHERE mailbox = ? AND changed > ? ORDER BY uid",
            (box["n"], since or 0),
        )
        while rows := cursor.fetchmany(ROWS):
            for flags in {row[5] for row in rows} - known.keys():
                known[flags] = self.flags_option(flags)
            lines = [line for row in rows if (line := self.message(*row, known[row[5]]))]
            count += len(lines)
            yield "".join(lines)
        if since is not None:
            for (i,) in self.run("SELECT id FROM gone WHERE mailbox = ? AND changed > ?", box["n"], since):
                if is_id(i):
                    yield f"* GONE {encode(i)}\n"
        kind = f"full count={count}" if since is None else "delta"
        yield f"OK {kind} state={self.state(box)} id={encode(box['id'])}{self.validity(box)}\n"

    def message(self, uid: int, i: str, size: int, vsize: int, date: int, _: str, flags: str) -> str:
        """Its line in a list; what a line cannot say is left out. Nothing if that is the message."""
        if not is_id(i) or self.uids and not 0 < uid <= UID_MAX:
            self.warn(f"message {uid} is left out: its id, or its UID, cannot be one")
            return ""
        if not 0 <= size <= vsize <= 2 * SIZE_MAX:
            self.warn(f"message {uid} has a size that cannot be: it is left out")
            sizes = ""
        else:
            sizes = f" size={size} vsize={vsize}"
        if not 0 <= date <= DATE_MAX:
            self.warn(f"message {uid} has the date {date}, which cannot be in seconds since 1970: it is left out")
            return f"* MSG {encode(i)}{sizes}{flags}{self.uid(uid)}\n"
        return f"* MSG {encode(i)}{sizes} date={date}{flags}{self.uid(uid)}\n"

    def flags_option(self, flags: str) -> str:
        text = encode_list(flag_set(flags).values())
        if len(wire(text)) > FLAGS_MAX:
            self.warn("a message has too many flags: they are left out")
            return ""
        return f" flags={text}"

    def validity(self, box: sqlite3.Row) -> str:
        if not self.uids:
            return ""
        if not 0 < box["uidvalidity"] <= UID_MAX:
            self.log("error", f"mailbox {box['n']} has the uidvalidity {box['uidvalidity']}, which cannot be")
            raise No("UNAVAILABLE this mailbox has no valid UIDs")
        return f" uidvalidity={box['uidvalidity']}"

    def fetch(self, field: str, want: str, *ids: str) -> Iterator[str | bytes]:
        self.connect()
        self.run("BEGIN")
        box, header = self.box(field), want.split(",")[0] == "header"
        for i, row in self.find(box, ids):
            try:
                yield from self.content(i, row[1], header) if row else [f"* GONE {i}\n"]
            except sqlite3.Error as error:
                yield f"* FAIL {i} {self.refusal(error)}\n"
        yield "OK\n"

    def content(self, i: str, body: int, header: bool) -> Iterator[bytes]:
        with self.db.blobopen("body", "data", body, readonly=True) as blob:
            data = blob.read(HEADER_BLOCK if header else BLOCK)
            if header and not header_end(data):
                data += blob.read(BLOCK)
            if header and (end := header_end(data)):
                yield b"* DATA %b %d part=header\n%b" % (wire(i), end, data[:end])
                return
            yield b"* DATA %b %d\n%b" % (wire(i), len(blob), data)
            try:
                while data := blob.read(BLOCK):
                    yield data
            except sqlite3.Error as error:  # no other bytes may stand there
                log("error", f"{self.path}: {error!r} in the middle of a message")
                raise SystemExit(1) from error

    def search(self, field: str, *pairs: str) -> Iterator[str]:
        from index import Index
        from words import ALL, BITS, LOST, fold, settled

        keys, values = pairs[::2], [decode(value) for value in pairs[1::2]]
        if not set(keys) <= SEARCH_KEYS.keys() or len(keys) != len(values) or None in values:
            raise No(f"CANNOT keys are {' '.join(SEARCH_KEYS)}, each with a value")
        self.connect()
        asked = dict.fromkeys(zip(keys, map(fold, values), map(settled, values)))
        sought = [(key, value) for key, value, known in asked if known][:PAIRS_MAX]
        sure, doubt = True, len(sought) < len(asked) or any(LOST in value for _, value in sought)
        box, where, parameters, bits = self.box(field), ["1"], [], 0
        for key, value in sought:
            # GLOB uses the index; it needs three letters there, and no wildcards in the value
            short = len(value) < 3 or len(value) > GLOB_MAX or not frozenset("*?[").isdisjoint(value)
            test = 'instr("%s", ?)' if short else '"%s" GLOB ?'
            columns = SEARCH_KEYS[key]
            found = (f"SELECT rowid FROM words2 WHERE {test % column}" for column in columns)
            bit = sum(BITS[column] for column in columns)
            where.append(f"(unknown & {bit} OR body IN ({' UNION ALL '.join(found)}))")
            parameters += [value if short else f"*{value}*"] * len(columns)
            bits |= bit
        index = Index(self)
        if index.is_there():
            found = f"unknown IS NULL OR {' AND '.join(where)}"
            odd = f"coalesce(unknown | inexact, {ALL}) & {bits}"
            source = "message LEFT JOIN searched ON searched.n = body"
        else:
            found, odd, source, parameters = "1", "1", "message", []
        for i, odd in self.run(
            f"SELECT id, {odd} FROM {source} WHERE mailbox = ? AND ({found}) ORDER BY uid", box["n"], *parameters
        ):
            sure = sure and not odd and not doubt
            if is_id(i):
                yield f"* HIT {encode(i)}\n"
        yield "OK\n" if sure else "OK maybe\n"

    def watch(self, field: str, secs: str, state: str = "-", *_: str) -> Iterator[str]:
        end, seen = time.monotonic() + number(secs), None
        self.connect()
        self.box(field)
        while True:
            before, seen = seen, self.one("PRAGMA data_version")  # changes with each commit of others
            if seen != before and self.has_changed(field, state):
                yield f"* CHANGED {field}\n"
                break
            left = end - time.monotonic()
            if left <= 0 or self.ended_within(min(left, WATCH_PAUSE)):
                break
            self.connect()
        yield "OK\n"

    def has_changed(self, field: str, state: str) -> bool:
        try:
            return self.state(self.box(field)) != state
        except No:  # it is not there any more
            return True

    # The verbs that write.

    def count_change(self, box: sqlite3.Row) -> int:
        """The state of a mailbox of which messages are about to change, all in one step."""
        return self.one("UPDATE mailbox SET state = state + 1 WHERE n = ? RETURNING state", box["n"])[0]

    def store(self, field: str, change: str, *ids: str) -> Iterator[str]:
        box, changed, todo = self.box_to_change(field), {}, {}
        decode_bytes(change)
        for i, row in self.find(box, ids):
            if row is None:
                yield f"* GONE {i}\n"
                continue
            uid, _, old = row
            if old not in changed:
                changed[old] = change_flags(old, change)
            new = changed[old]
            if len(wire(new)) > FLAGS_MAX:
                yield f"* FAIL {i} LIMIT too many flags\n"
                continue
            if new != old:
                todo.setdefault(new, []).append(uid)
            yield f"* MSG {i} flags={new}{self.uid(uid)}\n"
        state = self.count_change(box) if todo else 0
        for new, uids in todo.items():
            self.run(f"UPDATE message SET flags = ?, changed = ? WHERE uid IN {UIDS}", new, state, str(uids))
        yield "OK\n"

    def append(self, field: str, message: str | io.BufferedIOBase, *options: str) -> Iterator[str]:
        given = dict(option.partition("=")[::2] for option in options)
        key, date = given.get("key"), number(given.get("date") or str(int(time.time())))
        decode_bytes(given.get("flags", ""))
        flags = encode_list(flag_set(given.get("flags", "")).values())
        if key is not None:
            if not (22 <= len(key) <= 64 and KEY.issuperset(key)):
                raise No("CANNOT not a key")
            before = "SELECT uid, size FROM message WHERE id = ?1 UNION ALL SELECT uid, NULL FROM gone WHERE id = ?1"
            for uid, size in self.run(before, key):
                yield f"* MSG {key}{'' if size is None else f' size={size}'}{self.uid(uid)}\nOK\n"
                return
        if len(wire(flags)) > FLAGS_MAX:
            raise No("LIMIT too many flags")
        box = self.box_to_change(field)
        with open_message(message) if isinstance(message, str) else message as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if size != number(given.get("size") or str(size)):
                log("error", f"APPEND: {size} bytes are there, but size={given['size']}")
                raise No("UNAVAILABLE the message is not whole")
            self.check_quota(size)
            body, vsize = self.insert_body(file, size)
        i, uid = self.one(
            "INSERT INTO message (id, mailbox, body, flags, date, size, vsize, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " RETURNING id, uid",
            key or os.urandom(11).hex(), box["n"], body, flags, date, size, vsize, self.count_change(box),
        )  # fmt: skip
        yield f"* MSG {i} size={size}{self.uid(uid)}\nOK\n"

    def insert_body(self, file: io.BufferedIOBase, size: int) -> tuple[int, int]:
        """Its number, and its size with line ends of two bytes."""
        (body,) = self.one("INSERT INTO body (data) VALUES (zeroblob(?)) RETURNING n", size)
        vsize, left, last = size, size, b""
        with self.db.blobopen("body", "data", body) as blob:
            while left and (block := file.read(min(left, BLOCK))):
                blob.write(block)
                left -= len(block)
                vsize += block.count(b"\n") - (last + block).count(b"\r\n")
                last = block[-1:]
        if left:
            raise No("UNAVAILABLE the message has been cut short")
        return body, vsize

    def expunge(self, field: str, *ids: str) -> Iterator[str]:
        found = self.find(self.box_to_change(field), ids)
        self.remove(found)
        yield "".join(f"* GONE {i}\n" for i, _ in found) + "OK\n"

    def remove(self, found: list[tuple[str, tuple | None]]) -> None:
        self.run(f"DELETE FROM message WHERE uid IN {UIDS}", str([row[0] for _, row in found if row]))

    def copy(self, field: str, target: str, *ids: str) -> Iterator[str]:
        self.check_quota(0)
        yield from self.copies(self.find(self.box(field), ids), target)
        yield "OK\n"

    def move(self, field: str, target: str, *ids: str) -> Iterator[str]:
        found = self.find(self.box_to_change(field), ids)
        yield from self.copies(found, target)
        self.remove(found)
        yield "OK\n"

    def copies(self, found: list[tuple[str, tuple | None]], target: str) -> Iterator[str]:
        dest = self.box_to_change(target)
        old = [row[0] for _, row in found if row]
        last = self.one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'")[0]
        if old:
            self.run(  # CROSS: in this order
                "INSERT INTO message (mailbox, body, flags, date, size, vsize, changed)"
                " SELECT ?, body, flags, date, size, vsize, ? FROM json_each(?) CROSS JOIN message ON uid = value",
                dest["n"], self.count_change(dest), str(old),
            )  # fmt: skip
        made = iter(self.run("SELECT id, uid, body FROM message WHERE uid > ? ORDER BY uid", last))
        for i, row in found:
            if row is None:
                yield f"* GONE {i}\n"
                continue
            new, uid, body = next(made)
            assert body == row[1]
            yield f"* NEW {i} {encode(new)}{self.uid(uid)}\n"

    def create(self, field: str, *_: str) -> Iterator[str]:
        name = new_name(field)
        self.check_free(name)
        self.run("INSERT INTO mailbox (name) VALUES (?)", name)
        yield "OK\n"

    def delete(self, field: str, *_: str) -> Iterator[str]:
        box = self.box_to_remove(field)["n"]
        self.remove_messages(box)
        if self.one("SELECT 1 FROM message WHERE mailbox = ? LIMIT 1", box):
            # many: the mailbox goes now, they go bit by bit, and others can write between
            self.run("UPDATE mailbox SET name = ? || hex(randomblob(11)) WHERE n = ?", DELETED, box)
            self.tidied = False
        else:
            self.run("DELETE FROM mailbox WHERE n = ?", box)
        yield "OK\n"

    def rename(self, field: str, target: str, *_: str) -> Iterator[str]:
        old, new = self.box_to_remove(field)["name"], new_name(target)
        if new.startswith(old + "/"):
            raise No("CANNOT a mailbox cannot be put into itself")
        for n, name in self.run("SELECT n, name FROM mailbox ORDER BY name"):
            if name == old or name.startswith(old + "/") and is_name(name):  # parents first: a/b/b may become a/b
                name = new_name(encode(new + name[len(old) :]))
                self.check_free(name)
                self.run("UPDATE mailbox SET name = ? WHERE n = ?", name, n)
        yield "OK\n"
