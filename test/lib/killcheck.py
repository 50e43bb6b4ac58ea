#!/usr/bin/python3
"""Kills an IMAP session at many moments, and looks what is left.

    killcheck.py [--seed N] [--kills N] [--writes] [--state DIR] DIR -- PROGRAM [ARG...]

While a client stores flags and keywords, and messages come to DIR and go, the
PROGRAM is ended with kill -9: at system calls that are drawn with the seed, or with
--writes at each by which it changes files. Then a new session must show that

    UIDVALIDITY is the same
    a UID that was seen names the same message, as long as its file is there
    a UID that was seen to be gone is never seen again
    each file is there, once, whole
    flags are those of the last STORE that was answered with OK, or of the one
    that was in flight

and a second session, which lives through all of it, must go on working. With
--state each fourth kill is followed by the loss of all indexes below DIR. Each
violation is a line on stdout and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import glob
import os
import random
import re
import sys

from corpus import normalise
from imapclient import ImapError, Session

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "\\Draft", "$Label1", "Own", "other")
DEATH = (Session.abort, OSError)  # what it is for a client
WRITES = "write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "rename", "link", "unlink", "fchmod", "close"
MOST_WRITES = 500
ANY = *WRITES, "read", "openat", "fstat", "fcntl", "mmap", "poll", "epoll_wait", "pread64", "pipe2", "clone"
MOST_STEPS = 12  # of a session that does not come to the call that it is to die at
START = 80  # messages, so many that those that go within a second do not meet the brake
KEEP = 60  # no fewer


def text_of(name: str) -> bytes:
    return f"Subject: {name}\n\n".encode() + f"This is {name}.\n".encode() * (1 + hash_of(name) % 50)


def hash_of(name: str) -> int:
    return sum(name.encode()) * 31


class World:
    """The store, and what a client was told about it."""

    def __init__(self, root: str, rng: random.Random) -> None:
        self.root, self.rng = root, rng
        self.count = 0
        self.violations = 0
        self.uidvalidity = 0
        self.name_of: dict[int, str] = {}  # each UID ever seen
        self.present: set[int] = set()  # seen by the last session, and its file untouched since
        self.gone: set[int] = set()  # seen to be no more
        self.flags: dict[int, list[frozenset[str]]] = {}  # what each may have
        for _ in range(START):
            self.add()

    def violation(self, text: str) -> None:
        self.violations += 1
        print(text)

    def names(self) -> set[str]:
        return {name for name in os.listdir(self.root) if name.endswith(".eml")}

    # What happens to the store.

    def add(self) -> None:
        """Sorts anywhere between the others; written aside and renamed."""
        self.count += 1
        name = f"{self.rng.choice('abcdef')}{self.count:04}.eml"
        with open(f"{self.root}/new", "wb") as file:
            file.write(text_of(name))
        os.rename(f"{self.root}/new", f"{self.root}/{name}")

    def remove(self) -> None:
        names = sorted(self.names())
        if len(names) > KEEP:
            name = self.rng.choice(names)
            os.unlink(f"{self.root}/{name}")
            self.present -= {uid for uid in self.present if self.name_of[uid] == name}

    # What a client learns.

    def selected(self, session: Session) -> None:
        self.uidvalidity = self.uidvalidity or session.uidvalidity()
        if session.uidvalidity() != self.uidvalidity:
            self.violation(f"UIDVALIDITY is {session.uidvalidity()}, it was {self.uidvalidity}")

    def learn(self, uid: int, data: bytes) -> None:
        subject = re.match(rb"Subject: (.*)\r\n", data)
        name = subject[1].decode() if subject else f"no subject in {data!r}"
        if self.name_of.setdefault(uid, name) != name:
            self.violation(f"UID {uid} is {name}, it was {self.name_of[uid]}")
        if data != normalise(text_of(name)):
            self.violation(f"UID {uid}, {name}, has other bytes")
        if uid in self.gone:
            self.violation(f"UID {uid}, {name}, was gone and is back")

    def check(self, session: Session) -> None:
        """After a kill: everything that can be said."""
        self.selected(session)
        messages = session.messages()
        for uid, message in messages.items():
            self.learn(uid, message.data)
            allowed = self.flags.get(uid, [frozenset()])
            if message.flags not in allowed:
                self.violation(f"UID {uid} has {sorted(message.flags)}, not one of {[sorted(f) for f in allowed]}")
            self.flags[uid] = [message.flags]
        for uid in self.present - set(messages):
            self.violation(f"UID {uid}, {self.name_of[uid]}, is missing")
        shown = sorted(self.name_of[uid] for uid in messages)
        if shown != sorted(self.names()):
            self.violation(f"shown are {shown}, there are {sorted(self.names())}")
        if list(messages) != sorted(messages):
            self.violation(f"UIDs out of order: {list(messages)}")
        self.gone = set(self.name_of) - set(messages)
        self.present = set(messages)


def store(world: World, session: Session) -> None:
    uid = world.rng.choice(sorted(world.present))
    chosen = frozenset(world.rng.sample(FLAGS, world.rng.randint(1, 3)))
    sign = world.rng.choice("+-")
    before = world.flags.get(uid, [frozenset()])[-1]
    after = before | chosen if sign == "+" else before - chosen
    world.flags[uid] = [before, after]  # both are right as long as no answer came
    session.good(session.uid("STORE", str(uid), f"{sign}FLAGS", f"({' '.join(sorted(chosen))})"))
    world.flags[uid] = [after]


def read(world: World, session: Session) -> None:
    uid = world.rng.choice(sorted(world.present))
    for message in session.messages(str(uid)).values():
        world.learn(message.uid, message.data)


def work(world: World, session: Session) -> None:
    """Until the session is killed."""
    world.selected(session)
    for _ in range(MOST_STEPS):
        what = world.rng.random()
        if what < 0.1:
            world.add()
        elif what < 0.17:
            world.remove()
        elif what < 0.4:
            session.good(session.noop())
        elif what < 0.5:
            read(world, session)
        else:
            store(world, session)


def open_session(argv: list[str]) -> Session:
    session = Session(argv)
    session.select_name("INBOX")
    return session


def traced(argv: list[str], call: str, number: int) -> Session:
    """One that dies at the Nth call of a kind."""
    inject = f"inject={call}:signal=KILL:when={number}"
    return Session(["strace", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject, *argv])


def killed_session(world: World, argv: list[str]) -> str | None:
    """One that dies, at the first calls or later, so that its start and SELECT are met as
    well. Returns what it was told, if it was no OK, and None if it did not die."""
    session = None
    try:
        session = traced(argv, world.rng.choice(ANY), int(10 ** world.rng.uniform(0, 1.7)))
        session.select_name("INBOX")
        work(world, session)
        session.logout()
    except ImapError as error:
        return str(error)
    except DEATH as error:
        return "" if "BYE" not in str(error) else str(error)
    finally:
        if session is not None:
            session.shutdown()
    return None


def killed_at_write(world: World, argv: list[str], call: str, number: int) -> bool:
    """One that dies at the Nth call of a kind. Returns whether it did."""
    session = None
    try:
        world.add()
        session = traced(argv, call, number)
        session.select_name("INBOX")
        world.selected(session)
        for step in (store, World.add, store, World.remove, store, read):
            if step in (store, read):
                step(world, session)
            else:
                step(world)
                session.good(session.noop())
        session.logout()
    except DEATH:
        return True
    finally:
        if session is not None:
            session.shutdown()
    return False


def kill_at_writes(world: World, argv: list[str]) -> int:
    """Returns how many kills there were."""
    kills = 0
    for call in WRITES:
        number = 1
        while killed_at_write(world, argv, call, number) and number < MOST_WRITES:
            session = open_session(argv)
            world.check(session)
            session.logout()
            number += 1
        kills += number - 1
    return kills


def lose_indexes(state: str) -> None:
    for path in glob.glob(f"{state}/**/dovecot.index*", recursive=True):
        os.unlink(path)


def main() -> int:
    args = sys.argv[1:]
    split = args.index("--")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--writes", action="store_true")
    parser.add_argument("--state", metavar="DIR")
    options, argv = parser.parse_args(args[:split]), args[split + 1 :]

    world = World(options.dir, random.Random(options.seed))
    first = open_session(argv)
    world.check(first)
    other = first
    for kill in range(1, 0 if options.writes else options.kills + 1):
        while (told := killed_session(world, argv)) is None:
            pass
        if told:
            world.violation(f"kill {kill}: {told}")
        if options.state and kill % 4 == 0:
            other.logout()
            lose_indexes(options.state)
            other = open_session(argv)
        other.good(other.noop())
        session = open_session(argv)
        world.check(session)
        session.logout()
        other.good(other.noop())
        store(world, other)
    other.logout()
    if options.writes:
        options.kills = kill_at_writes(world, argv)
    stored = sum(1 for flags in world.flags.values() if flags[-1])
    print(f"{options.kills} kills, {len(world.name_of)} UIDs, {stored} with flags, {world.violations} violations")
    return 1 if world.violations else 0


if __name__ == "__main__":
    sys.exit(main())
