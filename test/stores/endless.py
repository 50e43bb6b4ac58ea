#!/usr/bin/python3
"""endless.py KIND [TRACE]: a backend of one mailbox, INBOX, with one message, whose
answer to one request has no end, or is as much as it can be. TRACE gets each request.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator

Chunks = Iterator[str]
HEADER_BYTES = 100 << 20


def many(text: str) -> Chunks:
    """This one line, for ever."""
    return itertools.repeat(text * (1 + (1 << 16) // len(text)))


def numbered(form: str) -> Chunks:
    """Lines that differ in their number."""
    for start in itertools.count(0, 1000):
        yield "".join(form.format(n=n) for n in range(start, start + 1000))


def keywords() -> Chunks:
    """Ten new ones with each message, 100,000 in all."""
    for message in range(10000):
        yield f"* MSG m{message} flags=" + ",".join(f"keyword{10 * message + n}" for n in range(10)) + "\n"
    yield "OK full\n"


def long_keywords() -> Chunks:
    """As long as a message's flags may be, different in each of 100,000."""
    for message in range(100000):
        yield f"* MSG m{message} flags=" + f"{message:07}".ljust(1000, "k") + "\n"
    yield "OK full\n"


def header() -> Chunks:
    """One field of 100 MiB."""
    yield f"* DATA 1 {HEADER_BYTES}\nSubject: "
    left = HEADER_BYTES - len("Subject: ")
    line = ("x" * 70 + "\n ") * 4096
    while left > 0:
        yield line[:left]
        left -= len(line)
    yield "OK\n"


def fields() -> Chunks:
    """A header of 100 MiB, of many fields."""
    yield f"* DATA 1 {HEADER_BYTES}\n"
    line = ("X-Field: " + "x" * 54 + "\n") * 4096
    for _ in range(HEADER_BYTES // len(line)):
        yield line
    yield "OK\n"


def stderr() -> Chunks:
    """Long lines for the log, and not a word of an answer."""
    yield ""
    while True:
        os.write(2, b"".join(b"error: line %d %s\n" % (n, b"x" * 2000) for n in range(30)))


# which request, and what comes then; the others are answered well
KINDS: dict[str, tuple[str, Chunks]] = {
    "boxes": ("LIST", numbered("* BOX b{n:010}" + "/".join("x" * 240 for _ in range(4)) + "\n")),
    "messages": ("LIST INBOX", numbered("* MSG m{n}\n")),
    "long-ids": ("LIST INBOX", numbered("* MSG {n:01000}\n")),
    "keywords": ("LIST INBOX", keywords()),
    "long-keywords": ("LIST INBOX", long_keywords()),
    "gone": ("LIST INBOX", numbered("* GONE m{n}\n")),
    "caps": ("CAPS", many("* MORE\n")),
    "waits": ("LIST INBOX", many("* WAIT 600\n")),
    "reserved": ("LIST INBOX", many("! \n")),
    "unknown": ("LIST INBOX", many("* MORE\n")),
    "line": ("LIST INBOX", many("x")),
    "stderr": ("LIST INBOX", stderr()),
    "claim": ("FETCH", iter([f"* DATA 1 {2**63 - 1}\n"])),
    "largest": ("FETCH", itertools.chain([f"* DATA 1 {2**31 - 1}\n"], many("x"))),
    "header": ("FETCH", header()),
    "fields": ("FETCH", fields()),
    "hits": ("SEARCH", numbered("* HIT m{n}\n")),
    "same-hits": ("SEARCH", many("* HIT 1\n")),
    "changed": ("WATCH", iter(())),
    "none": ("nothing", iter(())),
}


def usual(request: str) -> str:
    match request.split():
        case ["CAPS", *_]:
            return "* CAPS 1 SEARCH WATCH delta\n* FLAGS backend=all\n* KEYS subject\nOK\n"
        case ["LIST"]:
            return "* BOX INBOX\nOK full\n"
        case ["LIST", _, "-" | "full"]:
            return "* MSG 1\nOK full state=1\n"
        case ["LIST", *_]:
            return "OK delta state=1\n"
        case ["FETCH", *_]:
            return "* DATA 1 12\nSubject: s\n\nOK\n"
        case ["WATCH", box, *_]:
            return f"* CHANGED {box}\nOK\n"
    return "NO UNSUPPORTED no\n"


def asks_for(request: str, what: str) -> bool:
    return request == what or (" " in what or what != "LIST") and request.startswith(what + " ")


def main() -> None:
    what, chunks = KINDS[sys.argv[1]]
    for line in sys.stdin:
        if len(sys.argv) > 2:
            with open(sys.argv[2], "a", encoding="utf-8") as file:
                file.write(line)
        if asks_for(line.strip(), what):
            for chunk in chunks:
                sys.stdout.write(chunk)
        if not asks_for(line.strip(), what) or sys.argv[1] == "changed":
            sys.stdout.write(usual(line))
        sys.stdout.flush()


main()
