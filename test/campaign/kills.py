#!/usr/bin/python3
"""Every system call by which an IMAP session changes our files fails, or is its last.

    kills.py [--seed N] [--secs N] [--trials N] [--only PATTERN]... [STORE...]

STORE is sqlite or maildir. A step (STEPS) is what a client, or somebody else, does to
a store; it begins with the same files each time. First it is run without a fault, and
sysfault.c writes down each call that changes a file below the state: map, list of mailboxes,
index, all of them. Then it is run for each of these positions and each FAULT:

    kill, torn      the imap process dies before the call; after it, or half of it
    below           the launcher dies
    short           half of it is written, as write() may do
    ENOSPC, ...     the call fails so, once
    ENOSPC!, ...    from then on all such calls do: the disk is full, or read-only. A second
                    session, which finds it so from its start, reads what it can

After that a new session, for which nothing fails, must show that

    each message is there once, whole: what a client was told OK is done, all else
    has happened once or not at all, and nobody's message is lost
    UIDVALIDITY and UIDs are what any session was told before; a (UIDVALIDITY, UID)
    names one message for ever; a message that comes now gets a UID above all
    flags are as told, for the client and in the store
    nothing waits for long, no process is left, and no line of the log says that
    something is broken

and a second one sees the same. --secs takes a sample of the faults, by the seed, that is
tried in so many seconds; 0 tries all; --trials takes so many of each store. --only tries
those that match a pattern of the shell, of STORE/STEP/FAULT/N CALL FILE; its end may be left
out: maildir/append/kill/31, '*/kill', '*/flags/*/dovecot.index.log'. A failure says which
--only repeats it alone.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import fnmatch
import glob
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import soakclient
from base import ROOT
from corpus import normalise
from dovecot import libexec
from dovecotconf import configuration
from soak import become_nobody
from soakclient import Answer, Client, Dead, Violation, parse, uid_set, uids_of
from soakmodel import Maildir, Sqlite, text_of, token_of

STORES = {"sqlite": (Sqlite, "--synchronous", "off"), "maildir": (Maildir, "--no-fsync", "--create")}
ERRORS = "ENOSPC EIO EROFS EDQUOT EACCES".split()
DEATHS = "kill torn".split()
FAULTS = [*DEATHS, "below", "short", *ERRORS, *(f"{error}!" for error in ERRORS)]
BOXES = ("INBOX", "Work", "Old", "Old/2019")
LONG_SECS = 20  # an answer takes no longer on a busy machine, whatever failed before
LATER_SECS = 600
SAMPLE_SECS = 600
SHORT_SECS, SHORT_STEPS = 60, 5  # a sample that is shorter is one of so many steps
PROGRESS_SECS = 60  # from one line on stderr to the next
END_SECS = 20  # nor do the processes below a session that is dead
NAMED = ("maildir",)  # its mailboxes have no id=: a RENAME that is cut off makes another mailbox (7.6)
BROKEN = re.compile(r"Panic|Fatal|Traceback|assert|BUG:")  # the id of a session may have BUG in it
DAMAGED = re.compile(r"[Cc]orrupt|[Dd]amaged")
INDEX = re.compile(r"dovecot\.index")
PR_SET_CHILD_SUBREAPER = 36
COMPACT_MIN = 65536  # bytes of a map that may be written anew

State = frozenset[str] | None  # the flags of a message; None: it is not there
Effect = tuple[str, str, Callable[[State], State]]  # on a message, by mailbox and token


@dataclass
class Known:
    """What was told, and what must be so. A mailbox goes by the name that it had first."""

    names: dict[str, set[str | None]] = field(default_factory=dict)  # it may have now; None: it is gone
    states: dict[tuple[str, str], set[State]] = field(default_factory=dict)  # allowed, by mailbox and token
    uidvalidity: dict[str, int] = field(default_factory=dict)
    uids: dict[tuple[str, str], int] = field(default_factory=dict)
    ledger: dict[tuple[str, int, int], str] = field(default_factory=dict)  # name, UIDVALIDITY, UID: token
    moved: list[tuple[str, str, str]] = field(default_factory=list)  # token, from, to: in one of them
    tokens: int = 0
    anew: set[str] = field(default_factory=set)  # mailboxes that may have another UIDVALIDITY once

    def copy(self) -> Known:
        return Known(
            {box: set(names) for box, names in self.names.items()},
            {key: set(states) for key, states in self.states.items()},
            dict(self.uidvalidity), dict(self.uids), dict(self.ledger), list(self.moved), self.tokens, set(self.anew),
        )  # fmt: skip

    def token(self) -> str:
        self.tokens += 1
        return f"m{self.tokens}"

    def happen(self, effects: Iterable[Effect], certain: bool) -> None:
        for box, token, effect in effects:
            states = self.states.setdefault((box, token), {None})
            after = {effect(state) for state in states}
            self.states[box, token] = after if certain else states | after

    def learn(self, name: str, uidvalidity: int, uid: int, token: str) -> None:
        """A client is told of a UID."""
        before = self.ledger.setdefault((name, uidvalidity, uid), token)
        if before != token:
            raise Violation(f"UID {uid} of {name}, UIDVALIDITY {uidvalidity}, is {token}, it was {before}")

    def promise(self, box: str, token: str, uid: int) -> None:
        if self.uids.setdefault((box, token), uid) != uid:
            raise Violation(f"{token} of {box} has UID {uid}, it had {self.uids[box, token]}")

    def highest(self, name: str, uidvalidity: int) -> int:
        return max((uid for where, validity, uid in self.ledger if (where, validity) == (name, uidvalidity)), default=0)


class Lab:
    """The folder in which all of it happens."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.folder = tempfile.mkdtemp(prefix="dovebridge-kills.")
        self.state, self.path, self.log = (f"{self.folder}/{name}" for name in ("state", "data/store", "log"))
        self.calls, self.conf = f"{self.folder}/calls", f"{self.folder}/conf"
        self.transcript = open(f"{self.folder}/transcript", "w", encoding="utf-8")
        self.bases: dict[str, Known] = {}  # files to begin with, and what is known of them
        for name in ("run", "state", "data"):
            os.mkdir(f"{self.folder}/{name}")
        backend = [f"{ROOT}/backends/{store}/{store}", self.path, *STORES[store][1:]]
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(configuration(CONF.format(folder=self.folder, root=ROOT, command=" ".join(backend))))

    def data(self) -> Sqlite | Maildir:
        return STORES[self.store][0](self.path)

    # Files.

    def keep(self, name: str, known: Known) -> None:
        for part in ("state", "data"):
            shutil.copytree(f"{self.folder}/{part}", f"{self.folder}/base-{name}/{part}", symlinks=True)
        self.bases[name] = known.copy()

    def restore(self, name: str) -> Known:
        for part in ("state", "data"):
            remove(f"{self.folder}/{part}")
            shutil.copytree(f"{self.folder}/base-{name}/{part}", f"{self.folder}/{part}", symlinks=True)
        for path in (self.log, self.calls):
            remove(path)
        self.transcript.seek(0)
        self.transcript.truncate()
        return self.bases[name].copy()

    # Sessions.

    def session(self, name: str, fault: str = "0", clock: int = 0) -> Client:
        """fault is for sysfault.c."""
        env = {
            "PATH": os.environ["PATH"], "USER": pwd.getpwuid(os.getuid()).pw_name, "HOME": self.folder, "TZ": "UTC",
            "LD_PRELOAD": f"{ROOT}/build/test/sysfault.so", "SYSFAULT_DIR": self.state, "SYSFAULT_PROGRAM": "imap",
            "SYSFAULT_LOG": self.calls, "SYSFAULT": fault, "SYSFAULT_CLOCK": str(clock),
            "DOVECOT_PRESERVE_ENVS": "LD_PRELOAD SYSFAULT SYSFAULT_DIR SYSFAULT_PROGRAM SYSFAULT_LOG SYSFAULT_CLOCK TZ USER HOME",
        }  # fmt: skip
        words = [f"{key}={value}" for key, value in env.items()]
        return Client(name, ["env", "-i", *words, libexec("imap"), "-c", self.conf], self.log, self.transcript, qresync=False)

    def reap(self, client: Client) -> int:
        """Returns how the session ended. All that was below it has ended then, too."""
        for file in (client.input, client.output):
            file.close()
        deadline = time.monotonic() + END_SECS
        status = client.process.poll() or 0
        while True:
            try:
                pid, got = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return status
            if pid == client.process.pid:
                status = client.process.returncode = os.waitstatus_to_exitcode(got)
            if pid == 0 and time.monotonic() > deadline:
                subprocess.run(["ps", "-o", "pid,ppid,args", "--ppid", str(os.getpid())], check=False)
                raise Violation(f"processes are left {END_SECS} s after the end of a session")
            if pid == 0:
                time.sleep(0.002)  # between two looks

    def count_calls(self) -> list[str]:
        if not os.path.exists(self.calls):
            return []
        with open(self.calls, encoding="utf-8") as file:
            return [line.rstrip("\n").partition(" ")[2].replace(self.state, "") for line in file]

    def broken(self, index: bool) -> list[str]:
        """What the log says of things that must not be. index: not that Dovecot's index is broken,
        which it can be after half of a write, or one that failed; Dovecot makes it anew."""
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
        return [line for line in lines if BROKEN.search(line) or DAMAGED.search(line) and not (index and INDEX.search(line))]


CONF = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
ssl = no
stats_writer_socket_path =
mail_plugin_dir = {root}/build
mail_plugins = bridge
mail_location = bridge:{folder}/state/mail
mail_home = {folder}
imap_fetch_failure = no-after
first_valid_uid = 1
first_valid_gid = 1
namespace inbox {{
  inbox = yes
  separator = /
}}
plugin {{
  bridge_command = {command}
}}
"""


def remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


# --- what a session does ---------------------------------------------------------------


class Work:
    """A session that does a step, and keeps account of what it was told."""

    def __init__(self, lab: Lab, known: Known, fault: str = "0", clock: int = 0) -> None:
        self.lab, self.known, self.fault, self.clock = lab, known, fault, clock
        self.client: Client | None = None
        self.refused: list[str] = []
        self.slowest = 0.0

    def open(self) -> Client:
        if self.client is None:
            self.client = self.lab.session("w", self.fault, self.clock)
        return self.client

    def tell(self, command: str, effects: Iterable[Effect] = (), data: bytes = b"") -> Answer:
        """OK: it has happened. Else it may have."""
        start = time.monotonic()
        answer = self.open().command(command, data)
        self.slowest = max(self.slowest, time.monotonic() - start)
        self.known.happen(effects, answer.status == "OK")
        if answer.status == "DEAD":
            raise Dead
        if answer.status == "NO":
            self.refused.append(f"{command}: {answer.text}")
        return answer

    def select(self, name: str) -> bool:
        client = self.open()
        start = time.monotonic()
        answer = client.select(name)
        self.slowest = max(self.slowest, time.monotonic() - start)
        if answer.status == "DEAD":
            raise Dead
        if answer.status == "NO":
            self.refused.append(f"SELECT {name}: {answer.text}")
        elif client.uidnext <= self.known.highest(name, client.uidvalidity):
            raise Violation(f"UIDNEXT of {name} is {client.uidnext}, higher UIDs were there")
        return answer.status == "OK"

    def fetch(self) -> dict[int, tuple[str, frozenset[str]]]:
        """All messages of the mailbox, each by UID: its token and its flags."""
        client, seen = self.open(), {}
        if not client.box:
            return seen
        for told in self.tell("UID FETCH 1:* (FLAGS BODY.PEEK[])").fetched:
            if not isinstance(told.get("BODY[]"), bytes) or "FLAGS" not in told:
                continue
            uid, data = int(told["UID"]), told["BODY[]"]
            token = token_of(data.replace(b"\r\n", b"\n"))
            if data != normalise(text_of(token)) if token[:1] == "m" else True:
                raise Violation(f"UID {uid} of {client.box} is {data!r:.200}")
            self.known.learn(client.box, client.uidvalidity, uid, token)
            seen[uid] = token, frozenset(told["FLAGS"]) - {"\\Recent"}
        return seen

    def uids(self, *tokens: str) -> str:
        """Those of messages of the selected mailbox."""
        return uid_set(self.known.uids[self.open().box, token] for token in tokens)

    def tokens(self, box: str) -> list[str]:
        """Of messages that are there for certain."""
        return [token for (where, token), states in self.known.states.items() if where == box and None not in states]

    def append(self, box: str, *flags: str, count: int = 1, name: str = "") -> list[str]:
        """name: of the mailbox now."""
        tokens = [self.known.token() for _ in range(count)]
        data = b""
        for token in tokens:
            text = normalise(text_of(token))
            data += f" ({' '.join(flags)})".encode() + b" {%d+}\r\n" % len(text) + text
        effects = [(box, token, lambda state: frozenset(flags)) for token in tokens]
        answer = self.tell(f'APPEND "{name or box}"', effects, data)
        self.told_uids(box, name or box, tokens, answer.argument("APPENDUID"))
        return tokens

    def told_uids(self, box: str, name: str, tokens: list[str], words: list[str]) -> None:
        if words:
            for token, uid in zip(tokens, uids_of(words[-1]), strict=True):
                self.known.learn(name, int(words[0]), uid, token)
                self.known.promise(box, token, uid)

    def flags(self, tokens: list[str], sign: str, *flags: str) -> None:
        def effect(state: State) -> State:
            return None if state is None else state | set(flags) if sign == "+" else state - set(flags)

        effects = [(self.open().box, token, effect) for token in tokens]
        self.tell(f"UID STORE {self.uids(*tokens)} {sign}FLAGS ({' '.join(flags)})", effects)

    def copy(self, verb: str, tokens: list[str], to: str) -> None:
        box = self.open().box
        uids = self.uids(*tokens)
        effects: list[Effect] = []
        for token in tokens:
            states = self.known.states[box, token]
            if verb == "MOVE":
                self.known.moved.append((token, box, to))
                effects.append((box, token, lambda state: None))
            effects.append((to, token, lambda state, flags=next(iter(states)): flags))
        answer = self.tell(f'UID {verb} {uids} "{to}"', effects)
        words = answer.argument("COPYUID")
        if answer.status == "OK" and words:
            self.told_uids(to, to, tokens, [words[0], words[2]])


# --- the steps -----------------------------------------------------------------------------


def read_first(work: Work) -> None:
    for box in BOXES:
        if work.select(box):
            work.fetch()


def read_changes(work: Work) -> None:
    """A delta when the mailbox is opened, another while it is open."""
    for _ in range(2):
        change(work)
        if work.open().box != "INBOX":
            work.select("INBOX")
        else:
            work.tell("NOOP")
        work.fetch()


def change(work: Work) -> None:
    """Somebody else does something."""
    there = work.tokens("INBOX")
    gone, flagged, new = there[1], there[2], work.known.token()
    data = work.lab.data()
    idents = {token_of(row.data): ident for ident, row in data.rows().items() if row.box == "INBOX"}
    data.change([
        ("insert", "INBOX", {"\\Flagged"}, text_of(new)),
        ("delete", idents[gone]),
        ("flag", idents[flagged], {"\\Answered"}, set()),
    ])  # fmt: skip
    work.known.happen([("INBOX", gone, lambda state: None)], True)
    work.known.happen([("INBOX", new, lambda state: frozenset({"\\Flagged"}))], True)
    work.known.happen([("INBOX", flagged, lambda state: (state or frozenset()) | {"\\Answered"})], True)


def store_flags(work: Work) -> None:
    if not work.select("INBOX"):
        return
    there = work.tokens("INBOX")
    work.flags(there[:5], "+", "\\Seen", "$Work")
    work.flags(there[3:4], "-", "\\Seen")
    work.flags(there[-1:], "+", "\\Draft")
    work.tell("NOOP")


def compact(work: Work) -> None:
    if work.select("INBOX"):
        work.flags(work.tokens("INBOX")[::2], "-", "$Work", "\\Answered")


def append_one(work: Work) -> None:
    work.append("INBOX", "\\Seen", "$Work")
    work.append("Work")
    if work.select("INBOX"):
        work.append("INBOX")


def append_many(work: Work) -> None:
    work.append("Work", "\\Flagged", count=5)


def expunge(work: Work) -> None:
    if not work.select("INBOX"):
        return
    doomed = work.tokens("INBOX")[2:6:2]
    box = work.open().box
    work.flags(doomed, "+", "\\Deleted")
    work.tell("EXPUNGE", [(box, token, without_deleted) for token in doomed])


def without_deleted(state: State) -> State:
    return None if state and "\\Deleted" in state else state


def copy(work: Work) -> None:
    if work.select("INBOX"):
        work.copy("COPY", work.tokens("INBOX")[1:4], "Work")


def move(work: Work) -> None:
    if work.select("INBOX"):
        work.copy("MOVE", work.tokens("INBOX")[1:4], "Work")


def create(work: Work) -> None:
    known = work.known
    known.names["New"] = {None, "New"}
    if work.tell("CREATE New").status == "OK":
        known.names["New"] = {"New"}
    if work.append("New") and work.select("New"):
        work.fetch()


def rename(work: Work) -> None:
    """With what is below."""
    names = work.known.names
    names["Old"], names["Old/2019"] = {"Old", "Older"}, {"Old/2019", "Older/2019"}
    work.known.anew = {"Old", "Old/2019"} if work.lab.store in NAMED else set()
    if work.tell("RENAME Old Older").status == "OK":
        with open(work.lab.log, encoding="utf-8", errors="replace") as file:
            if "bridge: rename(" not in file.read():  # our folders of them have followed
                work.known.anew = set()
        names["Old"], names["Old/2019"] = {"Older"}, {"Older/2019"}
        if work.select("Older/2019"):
            work.fetch()


def delete(work: Work) -> None:
    """And a mailbox of the same name."""
    known = work.known
    known.names["Work"] = {"Work", None}
    if work.tell("DELETE Work").status == "OK":
        known.names["Work"] = {None}
    known.names["Work again"] = {None, "Work"}
    if work.tell("CREATE Work").status == "OK":
        known.names["Work again"] = {"Work"}
        if work.select("Work"):
            work.append("Work again", name="Work")


def subscribe(work: Work) -> None:
    work.tell("SUBSCRIBE Work")
    work.tell("UNSUBSCRIBE Old/2019")


def lose_index(work: Work) -> None:
    for path in glob.glob(f"{work.lab.state}/**/dovecot.index*", recursive=True):
        os.unlink(path)
    change(work)
    read_first(work)


def lose_map(work: Work) -> None:
    for path in glob.glob(f"{work.lab.state}/**/dovebridge-map", recursive=True):
        os.unlink(path)
    work.known.uidvalidity.clear()
    work.known.uids.clear()
    read_first(work)


STEPS: dict[str, tuple[str, Callable[[Work], None]]] = {
    "first-list": ("new", read_first),
    "delta": ("base", read_changes),
    "flags": ("base", store_flags),
    "compact": ("fat", compact),
    "append": ("base", append_one),
    "multiappend": ("base", append_many),
    "expunge": ("base", expunge),
    "copy": ("base", copy),
    "move": ("base", move),
    "create": ("base", create),
    "rename": ("base", rename),
    "delete": ("base", delete),
    "subscribe": ("base", subscribe),
    "lost-index": ("base", lose_index),
    "lost-map": ("base", lose_map),
}

# --- what has to be so afterwards ----------------------------------------------------------

View = dict[str, tuple[int, dict[int, tuple[str, frozenset[str]]]]]  # of a mailbox: UIDVALIDITY, messages


def look(work: Work) -> View:
    """What a session sees; all of it must be readable."""
    view: View = {}
    for line in work.tell('LIST "" *').untagged:
        items = parse(line, line.index(b")") + 1)
        name = items[1].decode() if isinstance(items[1], bytes) else items[1]
        if b"\\Noselect" in line or b"\\NonExistent" in line:
            continue
        if not work.select(name):
            raise Violation(f"not to be opened: {work.refused[-1]}")
        view[name] = work.open().uidvalidity, work.fetch()
        if len(view[name][1]) != len(work.open().messages):
            raise Violation(f"{name}: {len(work.open().messages)} EXISTS, and {len(view[name][1])} can be read")
    return view


def boxes_of(known: Known, view: View) -> dict[str, str]:
    """Which mailbox is under which name."""
    taken: dict[str, str] = {}
    for name, (uidvalidity, _) in view.items():
        boxes = [box for box, names in known.names.items() if name in names]
        if not boxes:
            raise Violation(f"nobody wanted a mailbox {name}")
        # a new one of an old name has a UIDVALIDITY of its own
        taken[name] = next((box for box in boxes if known.uidvalidity.get(box) == uidvalidity), boxes[-1])
    for box, names in known.names.items():
        found = [name for name in view if taken.get(name) == box]
        if len(found) != 1 and (found or None not in names):
            raise Violation(f"{box} should be one of {names}, is {found}: {sorted(view)}")
    return taken


def compare(known: Known, view: View) -> None:
    for name, box in boxes_of(known, view).items():
        uidvalidity, messages = view[name]
        before = max((validity for where, validity, _ in known.ledger if where == name), default=0)
        if uidvalidity < before:
            raise Violation(f"UIDVALIDITY of {name} goes down from {before} to {uidvalidity}")
        if box in known.anew and known.uidvalidity.get(box) != uidvalidity:
            known.uidvalidity.pop(box, None)
            known.anew.discard(box)
            known.uids = {key: uid for key, uid in known.uids.items() if key[0] != box}
        if known.uidvalidity.setdefault(box, uidvalidity) != uidvalidity:
            raise Violation(f"UIDVALIDITY of {name} is {uidvalidity}, it was {known.uidvalidity[box]}")
        twice = [token for token, count in Counter(token for token, _ in messages.values()).items() if count > 1]
        if twice:
            raise Violation(f"{name} has {twice} more than once: {messages}")
        there = {token: (uid, flags) for uid, (token, flags) in messages.items()}
        for token in {token for where, token in known.states if where == box} | set(there):
            uid, flags = there.get(token, (0, None))
            allowed = known.states.get((box, token), {None})
            if flags not in allowed:
                raise Violation(f"{token} of {name}, UID {uid}, has {flags}, not one of {[*allowed]}")
            known.states[box, token] = {flags}
            if uid:
                known.promise(box, token, uid)
    for token, source, to in known.moved:
        states = [known.states.get((box, token)) for box in (source, to)]
        if states.count({None}) != 1:
            raise Violation(f"{token} is not in one of {source} and {to}: {states}")


def let_time_pass(lab: Lab) -> None:
    """What Dovecot puts right itself, in every storage, but not at once: a session that dies
    while it begins a new log of an index leaves a lock that holds for 60 s, and one that dies
    in the middle of DELETE a mailbox that cannot be opened for 5 minutes
    (mailbox_try_undelete(), 2.3.19)."""
    for path in glob.glob(f"{lab.state}/**/dovecot.index.log*", recursive=True):
        if path.endswith(".newlock"):
            os.unlink(path)
        else:
            os.utime(path, (os.stat(path).st_mtime - LATER_SECS,) * 2)


def open_torn(lab: Lab) -> None:
    """Half a record at the end of the index's log: Dovecot says so and NO, once, in every storage,
    and begins a new log."""
    work = Work(lab, Known())
    for name in (*BOXES, "New", "Older", "Older/2019") * 2:
        if work.select(name):
            work.tell("UID FETCH 1:* BODY.PEEK[]")
    end(work)


def check(lab: Lab, known: Known, index: bool = False) -> None:
    """A session for which nothing fails, and another one."""
    work = Work(lab, known)
    first = look(work)
    compare(known, first)
    for name in first:
        work.append(boxes_of(known, first)[name], name=name)
        if work.refused:
            raise Violation(f"nothing fails any more, and yet {work.refused}")
    end(work)
    again = Work(lab, known)
    view = look(again)
    compare(known, view)
    end(again)
    if max(work.slowest, again.slowest) > LONG_SECS:
        raise Violation(f"an answer took {max(work.slowest, again.slowest):.1f} s")
    shown = Counter((name, token, flags) for name, (_, seen) in view.items() for token, flags in seen.values())
    stored = Counter((row.box, token_of(row.data), row.flags) for row in lab.data().rows().values())
    if shown != stored:
        raise Violation(f"shown only: {sorted(map(str, shown - stored))}, stored only: {sorted(map(str, stored - shown))}")
    if lab.broken(index):
        raise Violation(f"logged: {lab.broken(index)}")


def end(work: Work) -> None:
    client = work.open()
    client.command("LOGOUT")
    status = work.lab.reap(client)
    work.client = None
    if status != 0:
        raise Violation(f"a session ended with {status}")


# --- trials ----------------------------------------------------------------------------------


@dataclass
class Tally:
    kills: int = 0
    trials: int = 0
    failures: int = 0
    waits: int = 0  # for a lock that Dovecot has left (let_time_pass)
    positions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)

    def progress(self, todo: list[tuple[str, str, int]]) -> str:
        places = len({(step, number) for step, _, number in todo})
        return f"positions tried {len(self.positions)} of {places}, faults {self.trials} of {len(todo)}"


def fault_words(fault: str, number: int) -> str:
    name = fault.rstrip("!")
    if name in ERRORS:
        return f"{number} {'always' if fault.endswith('!') else 'once'} {getattr(errno, name)}"
    return f"{number} {fault}"


def finish(work: Work, fault: str, tally: Tally) -> None:
    """The session is over, in one way or the other."""
    client = work.client
    if client is None:
        return
    if client.process.poll() is None:
        client.begin("LOGOUT")
        client.finish()
    status = work.lab.reap(client)
    for text in work.refused:
        tally.refusals[re.sub(r"\d+", "N", text.partition(": ")[2])[:90]] += 1
    if status == -signal.SIGKILL and fault in DEATHS:
        tally.kills += 1
    elif status != 0:
        raise Violation(f"the session ended with {status}")
    if fault in ("", "short") and work.refused:
        raise Violation(f"nothing failed, and yet {work.refused}")
    if work.slowest > LONG_SECS:
        raise Violation(f"an answer took {work.slowest:.1f} s")


def suffer(work: Work, function: Callable[[Work], None], fault: str, tally: Tally) -> None:
    try:
        function(work)
    except Dead:
        pass
    except soakclient.Slow:
        if not any(os.path.exists(path) for path in glob.glob(f"{work.lab.state}/**/*.newlock", recursive=True)):
            raise
        tally.waits += 1
        work.open().process.kill()
        work.lab.reap(work.open())
        return
    finish(work, fault, tally)


def trial(lab: Lab, step: str, fault: str, number: int, tally: Tally) -> None:
    base, function = STEPS[step]
    known = lab.restore(base)
    suffer(Work(lab, known, fault_words(fault, number)), function, fault, tally)
    if fault.endswith("!"):
        suffer(Work(lab, known, fault_words(fault, 1)), read_first, fault, tally)
    let_time_pass(lab)
    if fault == "torn":
        open_torn(lab)
    check(lab, known, index=fault not in ("kill", "below", "short"))


def positions(lab: Lab, step: str) -> list[str]:
    """The calls of a step for which nothing fails."""
    known = lab.restore(STEPS[step][0])
    work = Work(lab, known)
    STEPS[step][1](work)
    finish(work, "", Tally())
    calls = lab.count_calls()
    check(lab, known)
    return calls


def make_bases(lab: Lab) -> None:
    known = Known()
    known.names = {box: {box} for box in BOXES}
    work = Work(lab, known)
    for box in BOXES[1:]:
        work.tell(f"CREATE {box}")
    work.tell("SUBSCRIBE Old/2019")
    for box, count in zip(BOXES, (14, 4, 2, 3), strict=True):
        steps = []
        for number in range(count):
            token, flags = known.token(), frozenset({"\\Seen"} if number % 3 == 0 else ())
            steps.append(("insert", box, flags, text_of(token)))
            known.happen([(box, token, lambda state, flags=flags: flags)], True)
        lab.data().change(steps)
    end(work)
    remove(lab.state)
    os.mkdir(lab.state)
    lab.keep("new", known)
    work = Work(lab, known)
    compare(known, look(work))
    end(work)
    lab.keep("base", known)
    make_fat(lab, known)


def make_fat(lab: Lab, known: Known) -> None:
    """A map that the next change of flags makes so large that it is written anew."""
    tokens = [known.token() for _ in range(150)]
    lab.data().change([("insert", "INBOX", (), text_of(token)) for token in tokens])
    known.happen([("INBOX", token, lambda state: frozenset()) for token in tokens], True)
    work = Work(lab, known)
    compare(known, look(work))
    path = max(glob.glob(f"{lab.state}/**/dovebridge-map", recursive=True), key=os.path.getsize)
    work.select("INBOX")
    size, sign, grows = os.path.getsize(path), "+", 0
    while size + grows < COMPACT_MIN:
        work.flags(work.tokens("INBOX")[::2], sign, "$Work", "\\Answered")
        sign, grows, size = "-" if sign == "+" else "+", os.path.getsize(path) - size, os.path.getsize(path)
    end(work)
    lab.keep("fat", known)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", metavar="STORE")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(100_000))
    parser.add_argument("--secs", type=float, help=f"for all stores together; 0: all; {SAMPLE_SECS} without --only")
    parser.add_argument("--trials", type=int, help="for each store, however long they take")
    parser.add_argument("--only", metavar="PATTERN", action="append", default=[])
    options = parser.parse_args()
    if os.geteuid() == 0:
        become_nobody()
    soakclient.ANSWER_SECS = LONG_SECS + 2
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    stores = [store for store in options.stores or STORES if may_match(options.only, 0, store, STORES)]
    if options.secs is None:
        options.secs = 0 if options.only or options.trials else SAMPLE_SECS
    return 1 if sum([run(store, options, options.secs / len(stores)) for store in stores]) else 0


def may_match(only: list[str], at: int, word: str, words: Iterable[str]) -> bool:
    """Whether anything can be wanted that has this word there. To know all that is takes a while."""
    given = [[*pattern.split("/"), "", ""][at] for pattern in only]
    return not only or any(part not in words or part == word for part in given)


def plan(lab: Lab, options: argparse.Namespace, secs: float) -> tuple[list[tuple[str, str, int]], dict[str, list[str]]]:
    def wanted(name: str) -> bool:
        return not options.only or any(
            fnmatch.fnmatchcase(name, pattern + rest) for pattern in options.only for rest in ("", "/*", " *")
        )

    rng = random.Random(options.seed)
    names = [name for name in STEPS if may_match(options.only, 1, name, STEPS)]
    if options.trials or 0 < secs < SHORT_SECS:  # not all of it for the count
        names = rng.sample(names, min(len(names), SHORT_STEPS))
    calls = {name: positions(lab, name) for name in names}
    todo = [
        (name, fault, number) for name in calls for fault in FAULTS for number, call in enumerate(calls[name], 1)
        if wanted(f"{lab.store}/{name}/{fault}/{number} {call}")
    ]  # fmt: skip
    rng.shuffle(todo)
    return todo[: options.trials], calls


def run(store: str, options: argparse.Namespace, secs: float) -> int:
    """Returns the number of failures."""
    lab, tally = Lab(store), Tally()
    make_bases(lab)
    todo, calls = plan(lab, options, secs)
    start = told = time.monotonic()
    for step, fault, number in todo:
        if secs and time.monotonic() - start > secs:
            break
        if time.monotonic() - told > PROGRESS_SECS:
            told = time.monotonic()
            print(f"{store}: {tally.progress(todo)}, {tally.failures} failures", file=sys.stderr, flush=True)
        tally.trials += 1
        tally.positions[f"{step}/{number}"] += 1
        try:
            trial(lab, step, fault, number, tally)
        except (Violation, Dead, ValueError, KeyError) as problem:
            tally.failures += 1
            what = calls[step][number - 1] if number <= len(calls[step]) else "?"
            print(f"{store}/{step}/{fault}/{number} ({what}): {problem!r}", flush=True)
            reset(lab)
    print(
        f"{store}, seed {options.seed}: {len(calls)} operations; {tally.progress(todo)}, {tally.kills} kills; "
        f"{tally.waits} waits for a lock of Dovecot's, {tally.failures} failures, {time.monotonic() - start:.0f} s"
    )
    for text, count in sorted(tally.refusals.items()):
        print(f"    {count} times {text}")
    if options.only and tally.failures:
        print(f"kept in {lab.folder}")
    else:
        remove(lab.folder)
    return tally.failures


def reset(lab: Lab) -> None:
    """No process of a trial that failed lives into the next one."""
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children", encoding="ascii") as file:
        for pid in file.read().split():
            os.kill(int(pid), signal.SIGKILL)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main())
