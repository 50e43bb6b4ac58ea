"""What can be wrong with an answer, at any place in it: one table for all.

A fault takes the whole answer of a backend as it should be, and a place in it, and
returns what is written instead, and what happens then. Faults of BYTES are tried at
each byte, those of LINES at the beginning of each line, those of WHOLE once.
backend.py breaks answers with it (--spot), and faultmatrix.py makes them.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Callable

HUGE = 70_000  # more than a line may have


@dataclass
class Broken:
    data: bytes
    # go: on with the next request; slow: byte by byte; exit, kill: it ends; hang: it
    # neither writes nor reads; close: the same with stdout closed; out, err, drip:
    # chunk without end; stubborn: hang, and ignore SIGTERM; grandchild: it ends, and
    # a process of its group keeps the pipes; orphan: one that has left the group
    then: str = "go"
    chunk: bytes = b""
    speed: int = 1  # how much faster than the clock time should pass meanwhile


Fault = Callable[[bytes, int], "Broken | None"]


def lines(reply: bytes) -> list[tuple[int, int]]:
    """Where each line begins, and ends with its LF; octets after DATA are none."""
    found, at = [], 0
    while at < len(reply):
        end = reply.find(b"\n", at) + 1 or len(reply)
        found.append((at, end))
        data = re.match(rb"\* DATA \S+ (\d+)", reply[at:end])
        at = end + (int(data[1]) if data else 0)
    return found


def line_end(reply: bytes, at: int) -> int:
    return next((end for start, end in lines(reply) if start == at), len(reply))


def put(text: bytes) -> Fault:
    """text instead of a byte"""
    return lambda reply, at: Broken(reply[:at] + text + reply[at + 1 :]) if reply[at : at + 1] != text else None


def insert(text: bytes) -> Fault:
    return lambda reply, at: Broken(reply[:at] + text + reply[at:])


def cut(then: str, chunk: bytes = b"", speed: int = 1) -> Fault:
    return lambda reply, at: Broken(reply[:at], then, chunk, speed)


def garbage(reply: bytes, at: int) -> Broken:
    return Broken(reply[:at] + random.Random(at).randbytes(16) + reply[at:])


def count(by: int) -> Fault:
    """a number that begins here is another one"""

    def fault(reply: bytes, at: int) -> Broken | None:
        digits = re.match(rb"\d+", reply[at:])
        if not digits or reply[at - 1 : at].isdigit() or int(digits[0]) + by < 0:
            return None
        return Broken(reply[:at] + b"%d" % (int(digits[0]) + by) + reply[at + len(digits[0]) :])

    return fault


def number(text: bytes) -> Fault:
    def fault(reply: bytes, at: int) -> Broken | None:
        digits = re.match(rb"\d+", reply[at:])
        if not digits or reply[at - 1 : at].isdigit():
            return None
        return Broken(reply[:at] + text + reply[at + len(digits[0]) :])

    return fault


def drop_line(reply: bytes, at: int) -> Broken:
    return Broken(reply[:at] + reply[line_end(reply, at) :])


def double_line(reply: bytes, at: int) -> Broken:
    end = line_end(reply, at)
    return Broken(reply[:end] + reply[at:])


def swap_lines(reply: bytes, at: int) -> Broken | None:
    end = line_end(reply, at)
    if end == len(reply):
        return None
    after = line_end(reply, end)
    return Broken(reply[:at] + reply[end:after] + reply[at:end] + reply[after:])


BYTES: dict[str, Fault] = {
    "exit": cut("exit"),
    "kill": cut("kill"),
    "hang": cut("hang"),
    "drop": put(b""),
    "double": lambda reply, at: Broken(reply[: at + 1] + reply[at:]),
    "nul": put(b"\0"),
    "cr": put(b"\r"),
    "lf": put(b"\n"),
    "tab": put(b"\t"),
    "delete": put(b"\x7f"),
    "8bit": put(b"\x80"),
    "ff": put(b"\xff"),
    "space": put(b" "),
    "percent": put(b"%"),
    "comma": put(b","),
    "equals": put(b"="),
    "hyphen": put(b"-"),
    "digit": put(b"7"),
    "letter": put(b"Q"),
    "small": put(b"q"),
    "insert-nul": insert(b"\0"),
    "insert-cr": insert(b"\r"),
    "insert-lf": insert(b"\n"),
    "insert-8bit": insert(b"\xc3\xa9"),
    "garbage": garbage,
    "babble": insert(b"Connecting to host\n"),
    "huge": insert(b"x" * HUGE),
    "more": count(1),
    "less": count(-1),
    "number": number(b"99999999999999999999"),
    "no-number": number(b"12k"),
}

# answers that nobody asked for
UNASKED = {
    "MSG": b"* MSG nobody flags=\\Seen\n",
    "GONE": b"* GONE nobody\n",
    "FAIL": b"* FAIL nobody INTERNAL broken\n",
    "NEW": b"* NEW nobody new\n",
    "DATA": b"* DATA nobody 3\nabc",
    "FILE": b"* FILE nobody /etc/passwd\n",
    "HIT": b"* HIT nobody\n",
    "CHANGED": b"* CHANGED Nowhere\n",
    "BOX": b"* BOX Nowhere\n",
    "CAPS": b"* CAPS 1 uids\n",
    "unknown": b"* HELLO there\n",
    "small": b"* gone nobody\n",
    "OK": b"OK\n",
    "full": b"OK full\n",
    "delta": b"OK delta\n",
    "NO": b"NO UNAVAILABLE not now\n",
    "NO-UNSUPPORTED": b"NO UNSUPPORTED\n",
    "no": b"no such thing\n",
    "WAIT": b"* WAIT 1\n",
    "reserved": b"! anything\n",
    "empty": b"\n",
}

LINES: dict[str, Fault] = {
    **{f"unasked-{name}": insert(text) for name, text in UNASKED.items()},
    "drop-line": drop_line,
    "double-line": double_line,
    "swap-lines": swap_lines,
    "endless-line": cut("out", b"x" * 4096),
    "endless-babble": cut("out", b"Connecting to host\n"),
    "endless-gone": cut("out", b"* GONE nobody\n"),
    "endless-reserved": cut("out", b"! anything\n"),
    "endless-err": cut("err", b"warning: one of very many lines\n"),
    "endless-wait": cut("drip", b"* WAIT 1\n", 1000),
    "close": cut("close"),
    "stubborn": cut("stubborn", b"", 4),
    "grandchild": cut("grandchild"),
    "orphan": cut("orphan", b"", 4),
}

WHOLE: dict[str, Fault] = {
    "slow": lambda reply, at: Broken(reply, "slow"),
    "deaf": lambda reply, at: Broken(reply, "hang"),
    "exit-after": lambda reply, at: Broken(reply, "exit"),
    "twice": lambda reply, at: Broken(reply + reply),
    "endless-unknown": lambda reply, at: Broken(b"", "out", b"* HELLO there\n" * 2000),
    "endless-after": lambda reply, at: Broken(reply, "out", b"Connecting to host\n" * 500),
    "endless-hits": lambda reply, at: Broken(b"", "out", b"* HIT a\n" * 2000),
    "endless-reply": lambda reply, at: Broken(b"", "out", reply),
}


def places(kind: str, reply: bytes) -> list[int]:
    """Where a fault is to be tried in an answer."""
    if kind in WHOLE:
        return [0]
    if kind in LINES:
        return [start for start, _ in lines(reply)]
    return list(range(len(reply)))


def broken(kind: str, reply: bytes, at: int) -> Broken | None:
    """The answer with that fault at that place; None if it is none there."""
    table = BYTES | LINES | WHOLE
    return table[kind](reply, at)


KINDS = [*BYTES, *LINES, *WHOLE]
