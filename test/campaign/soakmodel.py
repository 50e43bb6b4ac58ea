"""The stores of soak.py, seen and changed from outside, without the bridge and the
backend; and what such a store must have after commands whose answers are known.

A command that was answered with OK has happened, one that was answered with NO has
not; one that got no answer has happened once or not at all, and so has one that was
refused while something failed. When several came at once, each may have been the
last. Whatever was left open is taken from the store then: each round starts from facts.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

BOXES = ("INBOX", "Work", "Old/2019")
FLEETING = ("Tmp/one", "Tmp/two")  # mailboxes that come and go
LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}
FLAGS = (*LETTERS, "$Work", "todo", "Own")
MAILED = 2000  # bytes that LMTP puts before a message, at most


@dataclass
class Row:
    """A message as the store itself has it."""

    box: str
    flags: frozenset[str]
    date: int
    data: bytes


# A step of the third process is ("insert", box, flags, data), ("flag", id, add, remove)
# or ("delete", id).


class Sqlite:
    """The database of backends/sqlite, by plain SQL."""

    flags = FLAGS  # that the third process sets

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, timeout=20, isolation_level=None)

    def rows(self) -> dict[str, Row]:
        found = self.db.execute("SELECT id, mailbox, flags, date, data FROM mail")
        return {row[0]: Row(row[1], frozenset(row[2].split(",")) - {""}, *row[3:]) for row in found}

    def change(self, steps: list[tuple]) -> None:
        self.db.execute("BEGIN IMMEDIATE")  # all of it is seen at once
        for step in steps:
            match step:
                case ("insert", box, flags, data):
                    values = box, ",".join(sorted(flags)), data
                    self.db.execute("INSERT INTO mail (mailbox, flags, data) VALUES (?, ?, ?)", values)
                case ("flag", ident, add, remove):
                    for (text,) in self.db.execute("SELECT flags FROM mail WHERE id = ?", (ident,)).fetchall():
                        flags = (set(text.split(",")) - {""} | add) - remove
                        self.db.execute("UPDATE mail SET flags = ? WHERE id = ?", (",".join(sorted(flags)), ident))
                case ("delete", ident):
                    self.db.execute("DELETE FROM mail WHERE id = ?", (ident,))
        self.db.execute("COMMIT")

    def state(self) -> list:
        """What changes whenever something is written."""
        return self.db.execute("SELECT name, state FROM mailbox ORDER BY name").fetchall()


class Maildir:
    """The folders of backends/maildir, by system calls."""

    flags = (*LETTERS, "$Work")  # a letter for any other keyword is the backend's to give

    def __init__(self, path: str) -> None:
        self.path, self.count = path, 0
        for folder in self.paths.values():
            if not os.path.exists(f"{folder}/dovecot-keywords"):
                with open(f"{folder}/dovecot-keywords", "w", encoding="ascii") as file:
                    file.write("0 $Work\n")

    @property
    def paths(self) -> dict[str, str]:
        """Of the mailboxes that there are."""
        folders = [f"/{entry.name}" for entry in os.scandir(self.path) if entry.name.startswith(".")]
        return {folder[2:].replace(".", "/") or "INBOX": self.path + folder for folder in ["", *folders]}

    def names(self) -> dict[str, tuple[str, str]]:
        """Of all messages: the mailbox and the path."""
        found: dict[str, tuple[str, str]] = {}
        for box, folder in self.paths.items():
            for path in [entry.path for sub in ("new", "cur") for entry in os.scandir(f"{folder}/{sub}")]:
                ident = os.path.basename(path).partition(":")[0]
                if found.setdefault(ident, (box, path)) != (box, path):
                    raise ValueError(f"{path} and {found[ident]} are two files of one name")
        return found

    def rows(self) -> dict[str, Row]:
        rows, words = {}, {}
        for box, folder in self.paths.items():
            pairs = []
            if os.path.exists(f"{folder}/dovecot-keywords"):
                with open(f"{folder}/dovecot-keywords", encoding="ascii") as file:
                    pairs = [line.split() for line in file]
            words[box] = {letter: flag for flag, letter in LETTERS.items()}
            words[box] |= {chr(ord("a") + int(number)): word for number, word in pairs}
        for ident, (box, path) in self.names().items():
            flags = frozenset(words[box].get(letter, letter) for letter in path.partition(":2,")[2])
            with open(path, "rb") as file:
                rows[ident] = Row(box, flags, int(os.fstat(file.fileno()).st_mtime), file.read())
        return rows

    def change(self, steps: list[tuple]) -> None:
        for step in steps:
            # somebody else may rename the file, or remove it, between the look and the act
            while not self.step(step):
                pass

    def step(self, step: tuple) -> bool:
        if step[0] == "insert":
            self.insert(*step[1:])
            return True
        path = self.names().get(step[1], ("", ""))[1]
        try:
            if path and step[0] == "delete":
                os.unlink(path)
            elif path:
                stem, _, letters = path.replace("/new/", "/cur/").partition(":2,")
                add, remove = (
                    {LETTERS.get(flag, "a" if flag == "$Work" else "") for flag in flags} for flags in step[2:]
                )
                os.rename(path, f"{stem}:2,{''.join(sorted((set(letters) | add) - remove))}")
        except FileNotFoundError:
            return False
        return True

    def insert(self, box: str, flags: Iterable[str], data: bytes) -> None:
        self.count += 1
        now = time.time_ns() // 1000
        name = f"{now // 10**6}.M{now % 10**6:06}Q{self.count}.third"
        letters = "".join(sorted(LETTERS.get(flag, "a") for flag in flags))
        with open(f"{self.paths[box]}/tmp/{name}", "xb") as file:
            file.write(data)
        os.rename(file.name, f"{self.paths[box]}/{f'cur/{name}:2,{letters}' if letters else f'new/{name}'}")

    def state(self) -> list:
        paths = [f"{folder}/{sub}" for folder in self.paths.values() for sub in ("new", "cur")]
        return [(path, os.stat(path).st_mtime_ns) for path in paths]


def text_of(token: str) -> bytes:
    """The bytes of a message, as they were given."""
    number = int(token[1:])
    lines = number % 7 if number % 13 else 900
    return f"Subject: {token}\nX-Number: {number}\n\n".encode() + f"This is {token}. \xe4\n".encode() * lines


def token_of(data: bytes) -> str:
    match = re.search(rb"^Subject: (m\d+)\n", data[:MAILED], re.M)
    return match[1].decode() if match else f"unknown: {data[:40]!r}"


@dataclass(eq=False)
class Message:
    """One that the store must have."""

    ident: str
    box: str
    token: str  # names its bytes; copies share it
    date: int
    flags: frozenset[str]
    uid: int | None = None
    promised: set[int | None] = field(default_factory=lambda: {None})  # UIDs that a client was told; None: any
    doomed: bool = False  # had \Deleted at some time since all agreed
    lag: set[str] = field(default_factory=set)  # flags that the store changed and no session has seen yet
    history: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.token} of {self.box}, UID {self.uid}, id {self.ident}, {sorted(self.flags)}"


@dataclass(eq=False)
class Add:
    """A message that a round adds, or may add."""

    why: str
    box: str
    token: str
    must: bool
    flags: frozenset[str] | None = None  # None: nobody knows
    date: int | None = None
    uid: int | None = None
    mailed: bool = False  # by LMTP, which puts lines of its own before it

    def fits(self, message: Message) -> bool:
        """Mail for a mailbox that is not there goes to the INBOX."""
        return self.token == message.token and (self.box == message.box or self.mailed and message.box == "INBOX")


class Round:
    """What may come of the commands of one round. alone: one session, or the third
    process, does something; clean: nothing fails; firm: nothing that a session has
    taken can be refused by the store."""

    def __init__(self, number: int, alone: bool, clean: bool, firm: bool = True) -> None:
        self.number, self.alone, self.clean, self.firm = number, alone, clean, firm
        self.adds: list[Add] = []
        self.must_go: set[str] = set()
        self.may_go: set[str] = set()
        self.expunges: list[tuple[str, set[str] | None]] = []  # of a mailbox: these, or all, that are \Deleted
        self.moves: list[tuple[str, Add]] = []  # nobody knows whether; in one place in any case
        self.touches: dict[tuple[str, str], dict[str, tuple[bool, bool]]] = defaultdict(dict)
        self.deleted = ""  # a mailbox
        self.said: dict[str, list[str]] = defaultdict(list)  # what was asked for, and answered, of a message

    def rename(self, old: str, new: str) -> None:
        for add in [*self.adds, *(add for _, add in self.moves)]:
            add.box = new if add.box == old else add.box
        self.expunges = [(new if box == old else box, chosen) for box, chosen in self.expunges]

    def touch(self, who: str, message: Message, flag: str, value: bool, ok: bool) -> None:
        # what changes nothing, as far as the index knows, is dropped there
        self.touches[message.ident, flag][who] = value, ok and self.firm and flag not in message.lag

    def allowed(self, message: Message, flag: str) -> set[bool]:
        """Whether the message may have the flag now."""
        touches = self.touches.get((message.ident, flag), {}).values()
        before = set() if any(certain for _, certain in touches) else {flag in message.flags}
        return {value for value, _ in touches} | before


class Model:
    def __init__(self, violation: Callable[[str, list[str]], None], copying: bool) -> None:
        """copying: the store has no MOVE, and one that breaks off may leave both."""
        self.tell, self.copying = violation, copying
        self.messages: dict[str, Message] = {}
        self.gone: dict[str, Message] = {}
        self.ident_of_uid: dict[tuple[str, int], str] = {}  # every one ever seen, by mailbox
        self.tokens = 0
        self.heads: dict[str, bytes] = {}  # what LMTP put before these

    def violation(self, text: str, message: Message | None = None) -> None:
        self.tell(text, message.history if message else [])

    def token(self) -> str:
        self.tokens += 1
        return f"m{self.tokens}"

    def text(self, token: str) -> bytes:
        """The bytes of a message, as the store has them."""
        return self.heads.get(token, b"") + text_of(token)

    def in_box(self, box: str) -> list[Message]:
        return [message for message in self.messages.values() if message.box == box]

    def last_uid(self, box: str) -> int:
        return max((uid for where, uid in self.ident_of_uid if where == box), default=0)

    def rename(self, old: str, new: str) -> None:
        for message in self.in_box(old):
            message.box = new
        for box, uid in [key for key in self.ident_of_uid if key[0] == old]:
            self.ident_of_uid[new, uid] = self.ident_of_uid.pop((box, uid))

    def delete(self, this: Round, box: str) -> None:
        """A mailbox goes with what is in it, and with what comes into it meanwhile."""
        this.must_go |= {message.ident for message in self.in_box(box)}
        for add in this.adds:
            add.must = add.must and add.box != box
        this.deleted = box
        self.ident_of_uid = {key: ident for key, ident in self.ident_of_uid.items() if key[0] != box}

    def settle(self, this: Round, rows: dict[str, Row]) -> None:
        """The store has these rows: they must be what follows from the round."""
        for ident, said in this.said.items():
            self.messages[ident].history += [f"round {this.number}: {text}" for text in said]
        for box, chosen in this.expunges:
            for message in self.in_box(box):
                deleted = message.doomed or True in this.allowed(message, "\\Deleted")
                if deleted and (chosen is None or message.ident in chosen):
                    this.may_go.add(message.ident)
        for ident, add in this.moves:
            add.must = ident not in rows and ident not in this.must_go | this.may_go and add.box != this.deleted
            if add.must or ident in this.must_go | this.may_go or self.copying:
                this.adds.append(add)
        this.may_go |= {ident for ident, _ in this.moves}
        for ident in [ident for ident in self.messages if ident not in rows]:
            message = self.gone[ident] = self.messages.pop(ident)
            message.history.append(f"round {this.number}: it is gone")
            if ident not in this.must_go | this.may_go:
                self.violation(f"lost: {message}", message)
        left = list(this.adds)
        for ident, row in rows.items():
            if ident not in self.messages:
                self.settle_new(this, ident, row, left)
            elif ident in this.must_go:
                self.violation(f"still there: {self.messages[ident]}", self.messages[ident])
            else:
                self.settle_flags(this, self.messages[ident], row)
        for add in left:
            if add.must:
                self.tell(f"lost: {add.token} for {add.box}, UID {add.uid}", [add.why])

    def settle_pushed(self, this: Round, rows: dict[str, Row]) -> None:
        """Flags that the store could not be told under a mailbox's old name, it was told now."""
        for ident, row in rows.items():
            if ident in self.messages:
                self.settle_flags(this, self.messages[ident], row)

    def settle_flags(self, this: Round, message: Message, row: Row) -> None:
        if row.flags != message.flags:
            message.history.append(f"round {this.number}: it has {sorted(row.flags)}")
        for flag in (*FLAGS, *row.flags.difference(FLAGS)):
            allowed = this.allowed(message, flag)
            if (flag in row.flags) not in allowed:
                self.violation(f"flag {flag} is wrong: {sorted(row.flags)} in the store, before {message}", message)
            if flag == "\\Deleted" and True in allowed:
                message.doomed = True
        if row.data != self.text(message.token) or row.date != message.date:
            self.violation(f"changed: {message} is {row.data[:200]!r} of {row.date} now", message)
        message.flags = row.flags

    def settle_new(self, this: Round, ident: str, row: Row, left: list[Add]) -> None:
        """A message that was not there before: somebody must have wanted it."""
        message = Message(ident, row.box, token_of(row.data), row.date, row.flags)
        message.lag |= set(FLAGS)  # until a session has seen it
        message.doomed = "\\Deleted" in row.flags
        self.messages[ident] = message
        # copies of one message that came at once are not told apart
        wanted = [add for add in this.adds if add.fits(message)]
        message.history = [f"round {this.number}: {add.why}" for add in wanted]
        if ident in self.gone:
            self.tell(f"resurrected: {message}", self.gone[ident].history + message.history)
        possible = [add for add in left if add in wanted]
        if not possible:
            self.tell(f"nobody wanted {message}", self.history_of(message.token))
            return
        add = max(possible, key=lambda add: (add.must, add.flags == message.flags, add.date == message.date))
        left.remove(add)
        message.promised = {add.uid for add in wanted}
        if add.mailed and row.data.endswith(text_of(message.token)):
            self.heads[message.token] = row.data.removesuffix(text_of(message.token))
        if row.data != self.text(message.token):
            self.violation(f"changed: {message} has {len(row.data)} bytes: {row.data[:200]!r}", message)
        if this.alone and this.clean and add.flags is not None and add.flags != message.flags:
            self.violation(f"flags: {message} should have {sorted(add.flags)}", message)
        if add.date is not None and add.date != message.date:
            self.violation(f"date: {message} has {message.date}, not {add.date}", message)

    def history_of(self, token: str) -> list[str]:
        """Of all messages that have these bytes."""
        same = [one for one in (*self.messages.values(), *self.gone.values()) if one.token == token]
        return [line for one in same for line in (f"{one}:", *one.history)]

    def seen(self, who: str, message: Message, uid: int, flags: frozenset[str]) -> None:
        """A session sees the message so: and nobody may see it otherwise."""
        if message.uid is None and (None in message.promised or uid in message.promised):
            message.uid = uid
        if message.uid != uid:
            self.violation(f"{who} sees UID {uid} of {message}, which was promised {message.promised}", message)
        if self.ident_of_uid.setdefault((message.box, uid), message.ident) != message.ident:
            self.violation(f"{who} sees {message} under a UID that was another's", message)
        if flags != message.flags:
            self.violation(f"{who} sees the flags {sorted(flags)} of {message}", message)
