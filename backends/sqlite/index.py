"""The search index: SEARCH brings it up to date, a little at a time.

Reading and decoding happen without the write lock. What is added under it takes some tenths
of a second, then others have their turn. Each step is committed, so that a search that ends
early, or a program that is killed, has got further.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store import Store

SECS = 10.0  # of work in one SEARCH
WAIT = 1  # seconds for another writer
HOLD = 1 << 18  # bytes of text that are added in one transaction, and one message
HOLD_SECS = 0.3  # after which a transaction takes no further message
PAUSE = 0.1  # seconds between two: SQLite, where it waits, looks that often
ROWS = 500  # bodies that are looked at for one
GONE_ROWS = 20  # that leave the index in one
MESSAGE_MAX = 16 << 20  # bytes of a message that is looked into

OLD = {"words_data": 500, "words_content": 4}  # rows to take away at once
OLD_KEPT = 10  # the first of them; without these it cannot be dropped


class Index:
    """Of one store, while it answers one SEARCH."""

    def __init__(self, store: Store) -> None:
        self.store, self.run = store, store.run

    def is_there(self) -> bool:
        """Does what time and locks allow. False while there is no index at all."""
        end = time.monotonic() + SECS
        try:
            self.run(f"PRAGMA busy_timeout = {min(self.store.wait, WAIT) * 1000}")
            if not self.has("searched"):
                self.make()
            while time.monotonic() < end and (self.forget_some() or self.add_some() or self.drop_some()):
                time.sleep(PAUSE)
        except (sqlite3.Error, OSError) as error:
            self.store.log("warning", f"the search index is not up to date: {error}")
        finally:
            self.store.rollback()
            self.run(f"PRAGMA busy_timeout = {self.store.wait * 1000}")
        return self.has("searched")

    def has(self, table: str) -> bool:
        return bool(self.store.one("SELECT 1 FROM sqlite_schema WHERE name = ?", table))

    def make(self) -> None:
        self.run("BEGIN IMMEDIATE")
        if not self.has("searched"):  # no other copy was faster
            self.store.run_file("search.sql")
        self.run("COMMIT")

    # The steps: False when there is nothing to do.

    def forget_some(self) -> bool:
        stale = self.run(f"SELECT n FROM stale LIMIT {GONE_ROWS}")
        if stale:
            self.each(stale, self.forget)
        return bool(stale)

    def add_some(self) -> bool:
        last = self.last()
        rows, held = [], 0
        for n, size in self.run(f"SELECT n, length(data) FROM body WHERE n > ? ORDER BY n LIMIT {ROWS}", last):
            rows.append((n, *self.words(n, size)))
            held += sum(len(text.encode()) for text in rows[-1][1])
            if held > HOLD:
                break
        if not rows:
            return False
        self.each(rows, self.add, lambda: self.last() == last)  # else another copy has done it
        return True

    def each(self, rows: list, work: Callable[..., None], still: Callable[[], bool] = lambda: True) -> None:
        """Works on rows in one transaction, on the first at least."""
        self.run("BEGIN IMMEDIATE")
        end = time.monotonic() + HOLD_SECS
        for row in rows if still() else ():
            work(*row)
            if time.monotonic() > end:
                break
        self.run("COMMIT")

    def forget(self, n: int) -> None:
        self.run("DELETE FROM words2 WHERE rowid = ?", n)
        self.run("DELETE FROM stale WHERE n = ?", n)

    def last(self) -> int:
        """The last body that was looked at; it is done in their order."""
        return self.store.one("SELECT coalesce(max(n), 0) FROM searched")[0]

    def words(self, n: int, size: int) -> tuple[list[str], int, int]:
        """What texts() says of a body, and nothing of one that cannot be told."""
        from words import ALL, texts

        try:
            if size <= MESSAGE_MAX:
                return texts(self.store.one("SELECT data FROM body WHERE n = ?", n)[0])
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            self.store.log("warning", f"a message cannot be searched: {error}")
        except Exception as error:  # its text may quote the message
            self.store.log("warning", f"a message cannot be searched: {type(error).__name__}")
        return [], ALL, 0

    def add(self, n: int, texts: list[str], unknown: int, inexact: int) -> None:
        if not self.store.one("SELECT 1 FROM body WHERE n = ?", n):
            return  # deleted meanwhile
        if any(texts):
            self.run('INSERT INTO words2 (rowid, "from", "to", cc, bcc, subject, head, body)'
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?)", n, *texts)  # fmt: skip
        self.run("INSERT INTO searched VALUES (?, ?, ?)", n, unknown, inexact)

    def drop_some(self) -> bool:
        """Takes away the index of an older version, which missed messages."""
        if not self.has("words"):
            return False
        self.run("BEGIN IMMEDIATE")
        gone = [
            self.store.db.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id > {OLD_KEPT} LIMIT {rows})"
            ).rowcount
            for table, rows in OLD.items()
        ]
        if not any(gone):
            self.run("DROP TABLE words")
        self.run("COMMIT")
        return True
