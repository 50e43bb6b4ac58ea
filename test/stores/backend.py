#!/usr/bin/python3
"""A read-only test backend that does what it is told, faults included.

It serves a tree of .eml files by the same rules as backends/eml-dir, delivers
them in every way the protocol knows, and breaks the protocol where asked:

    backend.py --size --deliver mixed --fault die-after-items=3@FETCH:2 DIR

A fault is written NAME[=ARG][@VERB][:N]. VERB is CAPS, BOXES (LIST without a
mailbox), LIST (of a mailbox), FETCH, or any other word a request begins with;
without it the fault's own default applies, see --list-faults. N counts the
requests of that verb in this copy; without it the fault fires every time.
With --over COMMAND another backend answers, in all the verbs that it has, and this
one breaks its answers: as --fault says, and as the file of --spot does while it is
there, one line: VERB FAULT LINE PART [not]. FAULT is one of faults.py, at the start,
middle or end of a line; "not": the other backend is not even asked. If PART is "all",
FAULT is one of --list-faults, and LINE of no meaning.

Options are also taken from $TEST_BACKEND_OPTIONS, split as a shell would.
"""

from __future__ import annotations

import argparse
import atexit
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Callable, NoReturn

import base  # noqa: F401: it finds faults
import faults

HANG_SECS = 300  # a hang ends some day, so that a failed test leaves nothing behind
DELIVERIES = ("data", "file", "slice", "version", "tmp")  # version: slices that tell it, of headers too


# --- wire form -----------------------------------------------------------------


def encode(raw: bytes) -> bytes:
    """The field for a name or id: 00-20, 7F and % as %XX, a lone - as %2D."""
    if raw == b"-":
        return b"%2D"
    return re.sub(rb"[\x00-\x20\x7f%]", lambda m: b"%%%02X" % m[0][0], raw)


def decode(text: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text)


@dataclass
class Item:
    """One `* KEYWORD field...` line; body is what stands behind a DATA line."""

    fields: list[bytes]
    body: bytes = b""
    content: bytes | None = None  # FETCH: the message, however it is delivered

    def render(self) -> bytes:
        return b"* " + b" ".join(self.fields) + b"\n" + self.body


@dataclass
class Reply:
    """What will be written, and what happens after that. Faults edit it."""

    items: list[Item] = field(default_factory=list)
    final: bytes = b"OK"
    before: bytes = b""  # written as it stands, ahead of the items
    raw: bytes | None = None  # written instead of everything
    then: Callable[[], None] | None = None

    def render(self) -> bytes:
        if self.raw is not None:
            return self.raw
        final = self.final + b"\n" if self.final else b""
        return self.before + b"".join(item.render() for item in self.items) + final


def refusal(code: str, text: str) -> Reply:
    return Reply(final=f"NO {code} {text}".encode())


def version_of(path: bytes) -> bytes:
    """As protocol.md 8.14 has it; of a file that nobody changes."""
    info = os.stat(path)
    return b"%d:%d:%d.%09d" % (info.st_ino, info.st_size, *divmod(info.st_mtime_ns, 10**9))


# --- the tree ------------------------------------------------------------------


@dataclass
class Message:
    path: bytes
    size: int
    mtime: int

    def read(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()


Mailbox = dict[bytes, Message]


def read_mailbox(folder: bytes) -> Mailbox:
    box: Mailbox = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not name.endswith(b".eml") or name.startswith(b"."):
            continue
        if os.path.isfile(path) and not os.path.islink(path):
            info = os.stat(path)
            box[name] = Message(path, info.st_size, int(info.st_mtime))
    return box


def read_tree(root: bytes) -> dict[bytes, Mailbox]:
    tree = {b"INBOX": read_mailbox(root)}
    for folder, below, _ in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(b"."))
        if folder == root:
            below[:] = [name for name in below if name.upper() != b"INBOX"]
        else:
            tree[os.path.relpath(folder, root)] = read_mailbox(folder)
    return tree


# --- faults --------------------------------------------------------------------


@dataclass
class Request:
    verb: str  # BOXES for a LIST without a mailbox
    line: bytes
    ids: list[bytes] = field(default_factory=list)


def leave(status: int) -> Callable[[], None]:
    def then() -> None:
        sys.exit(status)

    return then


def hang() -> None:
    deadline = time.monotonic() + HANG_SECS
    while time.monotonic() < deadline:
        time.sleep(1)
    sys.exit(1)


def number(arg: str, default: int) -> int:
    return int(arg) if arg else default


def die_before(reply: Reply, arg: str) -> None:
    """exits (status ARG, 1) without a word"""
    reply.raw, reply.then = b"", leave(number(arg, 1))


def die_mid_line(reply: Reply, arg: str) -> None:
    """writes half of the first line and exits"""
    line = reply.render().partition(b"\n")[0]
    reply.raw, reply.then = line[: len(line) // 2], leave(1)


def die_after_items(reply: Reply, arg: str) -> None:
    """writes ARG items (all) and exits without a final line"""
    reply.items = reply.items[: number(arg, len(reply.items))]
    reply.final, reply.then = b"", leave(1)


def die_after_bytes(reply: Reply, arg: str) -> None:
    """writes ARG bytes (half) of the reply and exits, inside octets too"""
    text = reply.render()
    reply.raw, reply.then = text[: number(arg, len(text) // 2)], leave(1)


def exit78(reply: Reply, arg: str) -> None:
    """exits with EX_CONFIG: do not start me again"""
    print("error: backend.py: exit78 was asked for", file=sys.stderr, flush=True)
    reply.raw, reply.then = b"", leave(78)


def as_data(item: Item) -> bytes:
    """Makes a FETCH item a DATA item; returns its octets."""
    if item.content is not None:
        item.body = item.content
        item.fields = [b"DATA", item.fields[1], b"%d" % len(item.body)]
    return item.body


def short_data(reply: Reply, arg: str) -> None:
    """the first message is announced whole, sent to its half, then exit"""
    for item in reply.items[:1]:
        octets = as_data(item)
        item.body = octets[: len(octets) // 2]
    reply.items, reply.final, reply.then = reply.items[:1], b"", leave(1)


def long_data(reply: Reply, arg: str) -> None:
    """more octets are sent for the first message than announced"""
    for item in reply.items[:1]:
        item.body = as_data(item) + b"and more than that\n"


def wrong_length_vs_size(reply: Reply, arg: str) -> None:
    """each message is ARG octets (1) shorter than LIST's size= said, honestly"""
    for item in reply.items:
        if item.content is not None:
            item.content = item.content[: -number(arg, 1)]
            as_data(item)


def other_bytes(reply: Reply, arg: str) -> None:
    """each message has other bytes of the same length"""
    for item in reply.items:
        if item.content is not None:
            item.content = item.content.swapcase()
            as_data(item)


def stray(reply: Reply, arg: str) -> None:
    """writes "Connecting to host" (or ARG) to stdout before the answer"""
    reply.before = (arg or "Connecting to host").encode() + b"\n"


def banner(reply: Reply, arg: str) -> None:
    """greets before the CAPS answer"""
    reply.before = (arg or "Welcome to backend.py").encode() + b"\n"


def half_list(reply: Reply, arg: str) -> None:
    """half of the list, then exit"""
    reply.items = reply.items[: len(reply.items) // 2]
    reply.final, reply.then = b"", leave(1)


def half_list_count(reply: Reply, arg: str) -> None:
    """half of the list, OK full, and the count of the whole"""
    reply.final = b"OK full count=%d" % len(reply.items)
    reply.items = reply.items[: len(reply.items) // 2]


def half_list_full(reply: Reply, arg: str) -> None:
    """half of the list, OK full, and a count to match"""
    reply.items = reply.items[: len(reply.items) // 2]
    reply.final = b"OK full count=%d" % len(reply.items)


def empty_list(reply: Reply, arg: str) -> None:
    """nothing, and OK full"""
    reply.items, reply.final = [], b"OK full"


def empty_list_count0(reply: Reply, arg: str) -> None:
    """nothing, and OK full count=0"""
    reply.items, reply.final = [], b"OK full count=0"


def duplicate_id(reply: Reply, arg: str) -> None:
    """the first item comes twice"""
    reply.items += reply.items[:1]


def drop_item(reply: Reply, arg: str) -> None:
    """the last item is left out, the final line is as usual"""
    del reply.items[-1:]


def wrong_id(reply: Reply, arg: str) -> None:
    """the first item names an id that nobody asked for"""
    for item in reply.items[:1]:
        item.fields[1] = b"nobody-asked-for-this"


def still_there(reply: Reply, arg: str) -> None:
    """the first of those that are gone is there after all"""
    for item in reply.items[:1]:
        item.fields, item.body = [b"DATA", item.fields[1], b"3"], b"x\n\n"


def swap_bytes(reply: Reply, arg: str) -> None:
    """messages have each other's bytes, in a request and from one to the next"""
    for item in reply.items:
        if item.content is not None:
            item.content, swap_bytes.kept = swap_bytes.kept, item.content  # type: ignore[attr-defined]
            as_data(item)


swap_bytes.kept = b"Subject: nobody's\n\nThese bytes belong to no message.\n"  # type: ignore[attr-defined]


def old_state(reply: Reply, arg: str) -> None:
    """the state is the first that there was"""
    reply.final = re.sub(rb"(?<=state=)\S+", _first_state, reply.final)


def _first_state(match: re.Match[bytes]) -> bytes:
    _states.append(match[0])
    return _states[0]


_states: list[bytes] = []


def reorder(reply: Reply, arg: str) -> None:
    """the items come in reverse order"""
    reply.items.reverse()


def afterwards(reply: Reply, arg: str) -> None:
    """writes ARG (OK) once more than it should, 50 ms after its answer"""

    def then() -> None:
        time.sleep(0.05)  # so that it is not read together with the answer
        write((arg or "OK").encode() + b"\n")

    reply.then = then


def die_after(reply: Reply, arg: str) -> None:
    """answers, and exits (status ARG, 0)"""
    reply.then = leave(number(arg, 0))


def hang_before(reply: Reply, arg: str) -> None:
    """answers nothing and reads nothing"""
    reply.raw, reply.then = b"", hang


def no_final(reply: Reply, arg: str) -> None:
    """writes the items, then nothing more"""
    reply.final, reply.then = b"", hang


def never_read(reply: Reply, arg: str) -> None:
    """answers, and reads no further request"""
    reply.then = hang


def slow(reply: Reply, arg: str) -> None:
    """waits ARG seconds (1) before the answer; with --over the store has done it by then"""
    time.sleep(float(arg or "1"))


def wait_first(reply: Reply, arg: str) -> None:
    """`* WAIT`, one second, and the answer, ARG times (1) in all"""
    for _ in range(number(arg, 1)):
        write(b"* WAIT 2\n")
        time.sleep(1)


def bad_final(reply: Reply, arg: str) -> None:
    """a bare OK (or ARG) where full or delta is mandatory"""
    reply.final = (arg or "OK").encode()


def first_line(reply: Reply, edit: Callable[[bytes], bytes]) -> None:
    line, lf, rest = reply.render().partition(b"\n")
    reply.raw = edit(line) + lf + rest


def cr_line(reply: Reply, arg: str) -> None:
    """the first line ends in CR LF"""
    first_line(reply, lambda line: line + b"\r")


def nul_line(reply: Reply, arg: str) -> None:
    """a NUL stands in the first line"""
    first_line(reply, lambda line: line + b"\0")


def huge_line(reply: Reply, arg: str) -> None:
    """the first line is ARG bytes (70,000) longer than usual"""
    first_line(reply, lambda line: line + b" " + b"x" * number(arg, 70_000))


def garbage_number(reply: Reply, arg: str) -> None:
    """size= of the first MSG, or the length of the first DATA, is 12k (or ARG)"""
    word = (arg or "12k").encode()
    for item in reply.items[:1]:
        if item.content is not None:
            as_data(item)
            item.fields[2] = word
        else:
            sizes = [f for f in item.fields if not f.startswith(b"size=")]
            item.fields = sizes + [b"size=" + word]


def huge_id(reply: Reply, arg: str) -> None:
    """the first id is ARG bytes (2,000) long"""
    for item in reply.items[:1]:
        item.fields[1] = b"x" * number(arg, 2_000)


def flood_stderr(reply: Reply, arg: str) -> None:
    """writes ARG bytes (10,000,000) to stderr before the answer"""
    line = b"warning: this line is one of very many\n"
    left = number(arg, 10_000_000)
    while left > 0:
        left -= os.write(2, line * 1000)


def endless_stdout(reply: Reply, arg: str) -> None:
    """well-formed items without end"""
    keyword = reply.items[0].fields[0] if reply.items else b"MSG"
    if keyword in (b"DATA", b"FILE"):
        keyword = b"GONE"
    count = 0
    while True:
        write(b"".join(b"* %s endless-%d\n" % (keyword, count + i) for i in range(1000)))
        count += 1000


def endless_line(reply: Reply, arg: str) -> None:
    """one line without end"""
    write(b"* MSG ")
    while True:
        write(b"x" * 65_536)


def refuse(code: str, text: str) -> Callable[[Reply, str], None]:
    def fault(reply: Reply, arg: str) -> None:
        reply.items, reply.final = [], f"NO {arg or code} {text}".encode()

    fault.__doc__ = f"NO {code}"
    return fault


def each_id(edit: Callable[[bytes, str], list[bytes]], doc: str) -> Callable[[Reply, str], None]:
    """A fault that answers for every id of the request in one way."""

    def fault(reply: Reply, arg: str) -> None:
        for item in reply.items:
            item.fields, item.body, item.content = edit(item.fields[1], arg), b"", None

    fault.__doc__ = doc
    return fault


def special_file(kind: str) -> bytes:
    path = os.fsencode(os.path.join(tempfile.mkdtemp(dir=work_folder()), kind))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        os.mkdir(path)
    elif kind == "symlink":
        with open(path + b".target", "wb") as file:
            file.write(b"Subject: behind a link\n\nNo one must read this.\n")
        os.symlink(path + b".target", path)
    else:
        with open(path, "wb") as file:
            file.write(b"Subject: short\n\nA short file.\n")
    return encode(path)


@dataclass
class Fault:
    act: Callable[[Reply, str], None]
    verb: str  # where it fires without @VERB; * is everywhere but CAPS

    def about(self) -> str:
        return (self.act.__doc__ or "").strip()


def file_line(kind: str, *options: bytes) -> Callable[[bytes, str], list[bytes]]:
    return lambda name, arg: [b"FILE", name, special_file(kind), *options]


FAULTS: dict[str, Fault] = {
    # the copy ends
    "die-before": Fault(die_before, "*"),
    "die-mid-line": Fault(die_mid_line, "*"),
    "die-after-items": Fault(die_after_items, "*"),
    "die-after-bytes": Fault(die_after_bytes, "*"),
    "die-after": Fault(die_after, "*"),
    "exit78": Fault(exit78, "CAPS"),
    # lengths
    "short-data": Fault(short_data, "FETCH"),
    "long-data": Fault(long_data, "FETCH"),
    "wrong-length-vs-size": Fault(wrong_length_vs_size, "FETCH"),
    "other-bytes": Fault(other_bytes, "FETCH"),
    "garbage-number": Fault(garbage_number, "*"),
    # lines
    "stray": Fault(stray, "*"),
    "banner": Fault(banner, "CAPS"),
    "cr-line": Fault(cr_line, "*"),
    "nul-line": Fault(nul_line, "*"),
    "huge-line": Fault(huge_line, "*"),
    "huge-id": Fault(huge_id, "LIST"),
    "bad-final": Fault(bad_final, "LIST"),
    # lists
    "half-list": Fault(half_list, "LIST"),
    "half-list-count": Fault(half_list_count, "LIST"),
    "half-list-full": Fault(half_list_full, "LIST"),
    "empty-list": Fault(empty_list, "LIST"),
    "empty-list-count0": Fault(empty_list_count0, "LIST"),
    "duplicate-id": Fault(duplicate_id, "*"),
    "reorder": Fault(reorder, "*"),
    "old-state": Fault(old_state, "LIST"),
    "swap-bytes": Fault(swap_bytes, "FETCH"),
    "afterwards": Fault(afterwards, "*"),
    # ids
    "wrong-id": Fault(wrong_id, "FETCH"),
    "drop-item": Fault(drop_item, "FETCH"),
    "still-there": Fault(still_there, "FETCH"),
    "gone-all": Fault(each_id(lambda i, arg: [b"GONE", i], "GONE for every id"), "FETCH"),
    "fail-all": Fault(
        each_id(
            lambda i, arg: [b"FAIL", i, (arg or "UNAVAILABLE").encode(), b"not now"],
            "FAIL for every id, code ARG (UNAVAILABLE)",
        ),
        "FETCH",
    ),
    # time
    "hang": Fault(hang_before, "*"),
    "no-final": Fault(no_final, "*"),
    "never-read": Fault(never_read, "*"),
    "slow": Fault(slow, "*"),
    "wait": Fault(wait_first, "*"),
    # too much
    "flood-stderr": Fault(flood_stderr, "*"),
    "endless-stdout": Fault(endless_stdout, "*"),
    "endless-line": Fault(endless_line, "*"),
    # refusals
    "notfound": Fault(refuse("NOTFOUND", "no such mailbox"), "*"),
    "unavailable": Fault(refuse("UNAVAILABLE", "try again later"), "*"),
    "no": Fault(refuse("INTERNAL", "code ARG"), "*"),
    # paths
    "fifo-path": Fault(each_id(file_line("fifo"), "FILE names a FIFO"), "FETCH"),
    "symlink-path": Fault(each_id(file_line("symlink"), "FILE names a symbolic link"), "FETCH"),
    "directory-path": Fault(each_id(file_line("directory"), "FILE names a directory"), "FETCH"),
    "outside-length": Fault(
        each_id(file_line("file", b"offset=0", b"length=100000"), "a slice that ends behind the file"),
        "FETCH",
    ),
    "outside-offset": Fault(
        each_id(file_line("file", b"offset=100000", b"length=1"), "a slice that begins behind the file"),
        "FETCH",
    ),
    "missing-path": Fault(
        each_id(lambda i, arg: [b"FILE", i, b"/nonexistent/message.eml"], "FILE names nothing"), "FETCH"
    ),
    "relative-path": Fault(each_id(lambda i, arg: [b"FILE", i, b"message.eml"], "a relative path"), "FETCH"),
    "path": Fault(each_id(lambda i, arg: [b"FILE", i, os.fsencode(arg)], "FILE names ARG"), "FETCH"),
    "dev-path": Fault(each_id(lambda i, arg: [b"FILE", i, b"/dev/zero"], "FILE names /dev/zero"), "FETCH"),
}

AT_START = {"ignore-term": "ignores SIGTERM and the end of stdin"}


@dataclass
class Trigger:
    """One --fault option."""

    name: str
    arg: str
    verb: str
    nth: int  # 0: every time

    @classmethod
    def parse(cls, text: str) -> Trigger:
        match = re.fullmatch(r"([a-z0-9-]+)(?:=(.*?))?(?:@([A-Z]+))?(?::([0-9]+))?", text)
        if match is None or match[1] not in FAULTS | dict.fromkeys(AT_START):
            raise argparse.ArgumentTypeError(f"no such fault: {text}")
        name = match[1]
        default = FAULTS[name].verb if name in FAULTS else ""
        return cls(name, match[2] or "", match[3] or default, int(match[4] or "0"))

    def meets(self, verb: str, nth_of_verb: int, nth_of_all: int) -> bool:
        if self.verb == "*":
            return verb != "CAPS" and self.nth in (0, nth_of_all)
        return verb == self.verb and self.nth in (0, nth_of_verb)


# --- another backend -----------------------------------------------------------

RENAMED = b"-renamed"  # at the end of ids that are others now, while --spot is for FETCHes of
NEW_ONES, OLD_ONES = "NEW", "OLD"  # these, or those that were there before


class Over:
    """The backend that --over names."""

    def __init__(self, command: str) -> None:
        self.process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout

    def ask_renamed(self, line: bytes) -> Reply:
        """As ask, when all ids are others: the old ones are GONE, the new ones are listed and read."""
        verb, box, *words = line.split()
        if verb == b"LIST":
            reply = self.ask(line)
            for item in reply.items:
                item.fields[1] += RENAMED
            return reply
        reply = self.ask(b" ".join([verb, box, *(word.removesuffix(RENAMED) for word in words)]))
        for asked, item in zip(words[1:], reply.items):
            item.fields[1] = asked
            if not asked.endswith(RENAMED):
                item.fields, item.body = [b"GONE", asked], b""
        return reply

    def ask(self, line: bytes) -> Reply:
        self.input.write(line + b"\n")
        inline = re.match(rb"APPEND \S+ - (?:\S+ )*?size=(\d+)", line)
        if inline:
            self.input.write(sys.stdin.buffer.read(int(inline[1])))
        self.input.flush()
        reply = Reply()
        while True:
            text = self.output.readline()
            if not text.endswith(b"\n"):
                sys.exit(self.process.wait())
            word, *fields = text.split()
            if word != b"*":
                reply.final = text[:-1]
                return reply
            item = Item(fields)
            if fields[0] == b"DATA":
                item.body = self.output.read(int(fields[2]))
            if fields[0] in (b"DATA", b"FILE"):
                item.content = item.body or self.slice(fields)
            reply.items.append(item)

    @staticmethod
    def slice(fields: list[bytes]) -> bytes:
        places = dict(word.split(b"=") for word in fields[3:])
        with open(decode(fields[2]), "rb") as file:
            data = file.read()[int(places.get(b"offset", 0)) :]
        return data[: int(places.get(b"length", len(data)))]


def spot(path: str | None) -> list[str] | None:
    """What the file of --spot says, while it is there."""
    try:
        with open(path or "", encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return None


def break_at(reply: bytes, fault: str, line: str, part: str) -> None:
    """Write it with a fault of faults.py, and go on as that says."""
    lines = faults.lines(reply)
    start, end = lines[min(int(line), len(lines) - 1)]
    place = {"start": start, "middle": (start + end) // 2, "end": end - 1}[part]
    broken = faults.broken(fault, reply, place) or faults.Broken(reply)
    write(broken.data)
    if broken.then == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if broken.then in ("grandchild", "orphan") and os.fork() == 0:
        if broken.then == "orphan":
            os.setsid()
        time.sleep(3)
        os._exit(0)
    if broken.then in ("exit", "grandchild", "orphan"):
        os._exit(1)
    if broken.then == "close":
        os.close(1)
    if broken.then == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while broken.then in ("out", "err", "drip"):
        os.write(2 if broken.then == "err" else 1, broken.chunk)
    if broken.then != "go":
        hang()


# --- the backend ---------------------------------------------------------------

_work_folder: str | None = None


def work_folder() -> str:
    """A folder of our own for slices and odd files; never $BRIDGE_TMP, whose
    files belong to the bridge once they are named."""
    global _work_folder
    if _work_folder is None:
        _work_folder = tempfile.mkdtemp(prefix="backend-py-")
        atexit.register(shutil.rmtree, _work_folder, ignore_errors=True)
    return _work_folder


def write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def end_at_once(*_: object) -> NoReturn:
    """SIGTERM: at once and without a word, whatever the interpreter is about."""
    if _work_folder is not None:
        shutil.rmtree(_work_folder, ignore_errors=True)
    os._exit(0)


class Backend:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.root = os.fsencode(os.path.abspath(options.dir))
        self.over = Over(options.over) if options.over else None
        self.tree = {} if self.over else read_tree(self.root)
        self.seen: Counter[str] = Counter()
        self.slices: dict[bytes, tuple[bytes, dict[bytes, tuple[int, int]]]] = {}
        self.delivered = 0

    # One method for each verb; each returns an honest reply.

    def do_caps(self, words: list[bytes]) -> Reply:
        line = [b"CAPS", b"1"]
        if self.options.batch > 1:
            line.append(b"batch=%d" % self.options.batch)
        if self.options.crlf:
            line.append(b"crlf")
        line += [os.fsencode(word) for word in self.options.caps.split()]
        extra = [Item([os.fsencode(text)]) for text in self.options.caps_item]
        return Reply([Item(line), *extra])

    def do_boxes(self, words: list[bytes]) -> Reply:
        self.refresh()
        return Reply([Item([b"BOX", encode(name)]) for name in self.tree], b"OK full")

    def do_list(self, words: list[bytes]) -> Reply:
        self.refresh()
        box = self.tree.get(decode(words[0]))
        if box is None:
            return refusal("NOTFOUND", "no such mailbox")
        final = b"OK full"
        if self.options.count:
            final += b" count=%d" % len(box)
        return Reply([self.listed(name, message) for name, message in box.items()], final)

    def listed(self, name: bytes, message: Message) -> Item:
        item = Item([b"MSG", encode(name)])
        if self.options.size:
            size = len(self.content(message)) if self.options.crlf else message.size
            item.fields.append(b"size=%d" % size)
        if self.options.date:
            item.fields.append(b"date=%d" % message.mtime)
        return item

    def do_fetch(self, words: list[bytes]) -> Reply:
        box = self.tree.get(decode(words[0])) if words else None
        if box is None:
            return refusal("NOTFOUND", "no such mailbox")
        if len(words) < 3:
            return refusal("CANNOT", "FETCH needs a mailbox, a want and an id")
        header = self.options.header and words[1].split(b",")[0] == b"header"
        return Reply([self.fetched(decode(words[0]), box, name, header) for name in words[2:]])

    def fetched(self, box_name: bytes, box: Mailbox, wire_id: bytes, header: bool) -> Item:
        message = box.get(decode(wire_id))
        if message is None or not os.path.isfile(message.path):
            return Item([b"GONE", wire_id])
        content = self.content(message)
        if header and self.options.deliver != "version":
            end = re.search(rb"(?:\A|\n)\r?\n", content)
            content = content[: end.end()] if end else content
            fields = [b"DATA", wire_id, b"%d" % len(content), b"part=header"]
            return Item(fields, content, content)
        how = self.options.deliver
        if how == "mixed":
            how = DELIVERIES[self.delivered % len(DELIVERIES)]
        self.delivered += 1
        if how == "file":
            return Item([b"FILE", wire_id, encode(message.path)], b"", content)
        if how == "tmp":
            return Item([b"FILE", wire_id, encode(self.spool(content))], b"", content)
        if how in ("slice", "version"):
            path, places = self.slice_of(box_name, box)
            if decode(wire_id) in places:
                start, length = places[decode(wire_id)]
                where = [b"offset=%d" % start, b"length=%d" % length]
                if how == "version":
                    where.append(b"version=" + version_of(path))
                return Item([b"FILE", wire_id, encode(path), *where], b"", content)
        return Item([b"DATA", wire_id, b"%d" % len(content)], content, content)

    # Where the bytes come from.

    def refresh(self) -> None:
        if self.options.remove_dynamic:
            self.tree = read_tree(self.root)

    def content(self, message: Message) -> bytes:
        data = message.read()
        return re.sub(rb"(?<!\r)\n", b"\r\n", data) if self.options.crlf else data

    def spool(self, content: bytes) -> bytes:
        folder = os.environ.get("BRIDGE_TMP") or work_folder()
        path = os.path.join(folder, f"message-{self.delivered}")
        with open(path, "xb") as file:
            file.write(content)
        return os.fsencode(path)

    def slice_of(self, name: bytes, box: Mailbox) -> tuple[bytes, dict[bytes, tuple[int, int]]]:
        """All messages of a mailbox in one file, written once: never in place."""
        if name not in self.slices:
            places: dict[bytes, tuple[int, int]] = {}
            path = os.fsencode(os.path.join(work_folder(), f"slices {len(self.slices)}"))
            with open(path, "xb") as file:
                for message_id, message in box.items():
                    content = self.content(message)
                    places[message_id] = (file.tell(), len(content))
                    file.write(content)
            self.slices[name] = path, places
        return self.slices[name]

    # The dialogue.

    def answer(self, line: bytes) -> None:
        verb, *words = [word for word in line.split(b" ") if word] or [b""]
        name = "BOXES" if verb == b"LIST" and not words else os.fsdecode(verb)
        verbs = {"CAPS": self.do_caps, "BOXES": self.do_boxes, "LIST": self.do_list, "FETCH": self.do_fetch}
        wrong = spot(self.options.spot) or [""]
        renamed = wrong[0] in (NEW_ONES, OLD_ONES) and bool(words) and name in ("LIST", "FETCH")
        if renamed and name == "FETCH":
            name = NEW_ONES if words[-1].endswith(RENAMED) else OLD_ONES
        if wrong[0] == name:  # whoever put it there can see that it was met
            os.close(os.open(f"{self.options.spot}.met", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        if self.over and wrong[0] == name and wrong[-1] == "not":
            break_at(b"NO UNAVAILABLE\n", *wrong[1:4])
            return
        if self.over:
            reply = self.over.ask_renamed(line) if renamed else self.over.ask(line)
            if name == "CAPS":
                reply.items[0].fields = [w for w in reply.items[0].fields if os.fsdecode(w) not in self.options.without]
        elif name in verbs and verb != b"BOXES":
            reply = verbs[name](words)
        else:
            reply = refusal("UNSUPPORTED", "this verb is not known here")
        for trigger in self.firing(name):
            FAULTS[trigger.name].act(reply, trigger.arg)
        if wrong[0] == name and wrong[3] == "all":
            fault, _, arg = wrong[1].partition("=")
            FAULTS[fault].act(reply, arg)
        elif wrong[0] == name:
            break_at(reply.render(), *wrong[1:4])
            return
        write(reply.render())
        if reply.then is not None:
            reply.then()
            if self.options.once:
                trace(f"{self.options.once}.then", b".")  # for who waits for what comes late

    def firing(self, verb: str) -> list[Trigger]:
        self.seen[verb] += 1
        self.seen["*"] += verb != "CAPS"
        met = [t for t in self.options.fault if t.meets(verb, self.seen[verb], self.seen["*"])]
        return met if met and self.armed() else []

    def armed(self) -> bool:
        if self.options.once and os.path.exists(self.options.once):  # whoever put it there can see that
            os.close(os.open(f"{self.options.once}.met", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        if self.options.latch:
            try:
                os.unlink(self.options.latch)
            except FileNotFoundError:
                return False
        return not self.options.once or os.path.exists(self.options.once)

    def run(self) -> None:
        for line in sys.stdin.buffer:
            if not line.endswith(b"\n"):
                break
            trace(self.options.trace, line)
            self.answer(line[:-1])


def trace(path: str | None, line: bytes) -> None:
    if path:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.write(target, line)  # one write: copies do not mix their lines
        os.close(target)


def write_self(path: str) -> None:
    """What this process was given: identity, descriptors, environment, place."""
    with open("/proc/self/status", encoding="utf-8") as file:
        text = "== status\n" + file.read()
    text += "== fd\n"
    for number_text in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            text += f"{number_text} {os.readlink('/proc/self/fd/' + number_text)}\n"
        except FileNotFoundError:
            pass  # the descriptor that listed the others
    text += "== environ\n"
    text += "".join(f"{key}={value}\n" for key, value in sorted(os.environ.items()))
    text += f"== cwd\n{os.getcwd()}\n== argv\n" + "".join(f"{arg}\n" for arg in sys.argv)
    with open(path + f".{os.getpid()}", "wb") as out:
        out.write(os.fsencode(text))
    os.rename(path + f".{os.getpid()}", path)


def list_faults() -> NoReturn:
    for name, fault in FAULTS.items():
        print(f"{name:22} {fault.verb:6} {fault.about()}")
    for name, about in AT_START.items():
        print(f"{name:22} {'start':6} {about}")
    sys.exit(0)


def options() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("dir", metavar="DIR", nargs="?", help="tree of .eml files, as eml-dir serves them")
    add("--deliver", choices=(*DELIVERIES, "mixed"), default="data", help="how FETCH hands a message over")
    add("--size", action="store_true", help="LIST gives size=")
    add("--date", action="store_true", help="LIST gives date=, the file's mtime")
    add("--count", action="store_true", help="LIST's final line gives count=")
    add("--batch", type=int, default=1, metavar="N", help="offer batch=N")
    add("--crlf", action="store_true", help="offer crlf, deliver CRLF (by file: as the files are)")
    add("--header", action="store_true", help="answer a want of header with part=header")
    add("--caps", default="", metavar="WORDS", help="more words for the CAPS line")
    add("--caps-item", action="append", default=[], metavar="TEXT", help="another item in the CAPS answer")
    add("--remove-dynamic", action="store_true", help="read the tree again at each LIST")
    add("--fault", action="append", default=[], type=Trigger.parse, metavar="NAME[=ARG][@VERB][:N]")
    add("--once", metavar="FILE", help="faults fire only while FILE exists")
    add("--latch", metavar="FILE", help="as --once, and the first firing removes FILE: once over all copies")
    add("--over", metavar="COMMAND", help="another backend answers; DIR is any folder")
    add("--without", action="append", default=[], metavar="WORD", help="a word that CAPS of --over leaves out")
    add("--spot", metavar="FILE", help="break one line while FILE exists, as it says")
    add("--trace", metavar="FILE", help="append each request to FILE")
    add("--self", metavar="FILE", help="write /proc/self/status, descriptors and environment to FILE at start")
    add("--list-faults", action="store_true", help="print the table of faults")
    words = shlex.split(os.environ.get("TEST_BACKEND_OPTIONS", ""))
    chosen = parser.parse_args(words + sys.argv[1:])
    if chosen.list_faults:
        list_faults()
    if chosen.dir is None:
        parser.error("DIR is missing")
    return chosen


def main() -> None:
    chosen = options()
    names = {trigger.name for trigger in chosen.fault}
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "ignore-term" in names else end_at_once)
    chosen.fault = [trigger for trigger in chosen.fault if trigger.name in FAULTS]
    if chosen.self:
        write_self(chosen.self)
    if not os.path.isdir(chosen.dir):
        print(f"error: backend.py: not a directory: {chosen.dir}", file=sys.stderr)
        sys.exit(78)
    try:
        Backend(chosen).run()
    except BrokenPipeError:
        sys.exit(1)
    if "ignore-term" in names:
        hang()


if __name__ == "__main__":
    main()
