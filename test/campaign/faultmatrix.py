#!/usr/bin/python3
"""Every fault, at every line and every byte of every exchange, against core/.

    faultmatrix.py [--sample N --seed S] [--only NAME:FAULT:AT] [--jobs N]

EXCHANGES has an answer for each verb. Each fault of faults.py is put at each place of
it, test/campaign/exchange.c plays that to core/session and tells what a caller was told.
That must be what meaning.py, a second reader of protocol.md, makes of the bytes: an
answer that breaks a rule, or never ends, is a fault (and of a write UNCERTAIN),
everything else is believed as it stands. Whatever came before, the next request is
answered as if nothing had been. The deadline is 50 ms. Time, memory, descriptors,
processes and temporary files are bounded.

It prints its seed, and at the first failures the place, what was written, and how to
run that one alone; in the end positions tried, failures and seconds.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import base
import faults
from meaning import Refused, Unfinished, meaning

EXCHANGE = os.path.join(base.ROOT, "build", "campaign", "exchange")
DEADLINE_MSECS = 50
PATIENT_MSECS = 30_000  # where it is not the deadline that is looked at
SLOW_MSECS = 20_000  # nothing takes longer, on a busy machine, but
ENDLESS_MSECS = 120_000  # as many hits as there may be
PEAK_KB = 64 * 1024
HITS_KB = 320 * 1024  # 16 bytes for each hit, up to listing_bytes_max()
SHOWN = 300  # bytes of what was written
FAILURES_SHOWN = 20
NOTHING = 3  # the exit status when --only is for none of these

ALL = b"delta key batch=100 STORE APPEND EXPUNGE COPY MOVE CREATE DELETE RENAME SEARCH WATCH"
CAPS = b"* CAPS 1 " + ALL + b"\n* FLAGS backend=all\n* KEYS subject\nOK\n"
INLINE = CAPS.replace(b"delta", b"delta inline")
MTIME = b"1700000000.000000000"  # of the file
TEXT = b"Subject: x\r\n\r\nabc\n"


@dataclass
class Exchange:
    request: str  # its verb; BOXES for a list of mailboxes
    reply: bytes  # @ is the folder that exchange.c plays in, ^ the inode of its file
    caps: bytes = CAPS


EXCHANGES = {
    "caps": Exchange("CAPS", b"* CAPS 1 delta batch=5 pipeline=2 poll=9 STORE COPY\n* FLAGS backend=\\Seen,*\n* KEYS to body\nOK\n"),
    "boxes": Exchange("BOXES", b"* BOX INBOX id=1 state=9\n* BOX Old%20mail/2023 id=2 flags=\\Sent,\\Noselect ro\nOK full\n"),
    "list": Exchange("LIST", b"* MSG a size=18 date=1700000000 flags=\\Seen,$Work\n* MSG b%20c size=8 vsize=9 uid=7\nOK full state=9 count=2 id=1 uidvalidity=3\n"),
    "list-delta": Exchange("LIST", b"* MSG b%20c flags=\n* GONE a\nOK delta state=10\n"),
    "fetch-data": Exchange("FETCH", b"* DATA a 18\n" + TEXT + b"OK\n"),
    "fetch-file": Exchange("FETCH", b"* FILE b%20c @/message offset=9 length=9\nOK\n"),
    "fetch-version": Exchange("FETCH", b"* FILE b%20c @/message offset=9 length=9 version=^:18:" + MTIME + b"\nOK\n"),
    "fetch-header-version": Exchange("FETCH", b"* FILE a @/message length=14 version=^:18:" + MTIME + b" part=header\nOK\n"),
    "fetch-header": Exchange("FETCH", b"* DATA a 14 part=header\n" + TEXT[:14] + b"OK\n"),
    "fetch-batch": Exchange("FETCH", b"* FILE d @/message\n* DATA a 18\n" + TEXT + b"* FAIL b%20c BUSY retry=3 by others\nOK\n"),
    "store": Exchange("STORE", b"* MSG a flags=\\Seen\n* GONE b%20c\nOK\n"),
    "append": Exchange("APPEND", b"* MSG new%20one size=18 uid=12\nOK\n"),
    "append-inline": Exchange("APPEND", b"* MSG new%20one size=18 uid=12\nOK\n", INLINE),
    "expunge": Exchange("EXPUNGE", b"* GONE a\n* FAIL b%20c NOPERM locked\nOK\n"),
    "copy": Exchange("COPY", b"* NEW a new uid=5\n* NEW b%20c new%202\nOK\n"),
    "move": Exchange("MOVE", b"* NEW a new uid=5\n* GONE b%20c\nOK\n"),
    "copy-no": Exchange("COPY", b"* NEW a new\nNO OVERQUOTA retry=5 no room\n"),
    "create": Exchange("CREATE", b"OK\n"),
    "delete": Exchange("DELETE", b"OK\n"),
    "rename": Exchange("RENAME", b"NO EXISTS there is such a mailbox\n"),
    "search": Exchange("SEARCH", b"* HIT a\n* HIT b%20c\nOK maybe\n"),
    "watch": Exchange("WATCH", b"* CHANGED INBOX\nOK\n"),
}
WRITES = "STORE APPEND EXPUNGE COPY MOVE CREATE DELETE RENAME".split()


@dataclass(frozen=True)
class Position:
    name: str
    fault: str
    at: int

    def __str__(self) -> str:
        return f"{self.name}:{self.fault}:{self.at}"


def positions() -> list[Position]:
    return [
        Position(name, fault, at)
        for name, exchange in EXCHANGES.items()
        for fault in faults.KINDS
        for at in faults.places(fault, exchange.reply)
        if faults.broken(fault, exchange.reply, at) is not None
    ]


class Player:
    """A process of test/campaign/exchange.c."""

    def __init__(self, name: str) -> None:
        self.name, self.exchange = name, EXCHANGES[name]
        self.process = subprocess.Popen([EXCHANGE, name], cwd=base.ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout
        word, _, self.stage = self.line().partition(" ")
        assert word == "stage", self.stage
        self.tell(f"truth CAPS {self.exchange.caps.hex()}\n")
        message = os.path.join(self.stage, "message")
        os.utime(message, (float(MTIME), float(MTIME)))
        self.values = {b"@": self.stage.encode(), b"^": b"%d" % os.stat(message).st_ino}
        self.reply = self.filled(self.exchange.reply)
        self.tell(f"truth {self.exchange.request} {self.reply.hex()}\nbegin\n")

    def line(self) -> str:
        return self.output.readline().rstrip("\n")

    def tell(self, text: str) -> None:
        self.input.write(text)
        self.input.flush()

    def expected(self, data: bytes) -> str | None:
        """None: a fault. Empty: a fault, but only after the deadline."""
        try:
            return meaning(self.name, "LIST" if self.exchange.request == "LIST" else self.exchange.request, data)
        except Refused:
            return None
        except Unfinished:
            return ""

    def filled(self, text: bytes) -> bytes:
        for sign, value in self.values.items():
            text = text.replace(sign, value)
        return text

    def at(self, place: int) -> int:
        """The same place, now that the folder has its name."""
        return len(self.filled(self.exchange.reply[:place]))

    def play(self, position: Position) -> str:
        """Plays it; returns what is wrong, or nothing."""
        wrong = faults.broken(position.fault, self.reply, self.at(position.at))
        assert wrong is not None
        repeats = 1 + 2 * faults.HUGE // len(wrong.chunk) if wrong.chunk and wrong.then != "err" else 0
        wanted = self.expected(wrong.data + wrong.chunk * repeats)
        waits = wanted == "" and wrong.then not in ("exit", "kill", "grandchild", "out")
        msecs = DEADLINE_MSECS * wrong.speed if waits else PATIENT_MSECS * wrong.speed
        self.tell(
            f"{self.exchange.request} {wrong.then} {msecs} {wrong.speed} {wrong.chunk.hex() or '-'} "
            f"{wrong.data.hex() or '-'}\n"
        )
        line = self.line()
        said = re.fullmatch(r"said (\d+) (.*)\|(.*)", line)
        if not said:
            return f"exchange.c says {line!r} and ends with status {self.process.wait(20)}"
        problems = self.judge(wanted, said[2]) + self.judge_after(wanted, wrong, said[2], said[3])
        limit = ENDLESS_MSECS if position.fault == "endless-hits" else SLOW_MSECS
        if int(said[1]) > limit:
            problems += [f"it took {said[1]} ms"]
        if not problems:
            return ""
        return "\n  ".join(
            [f"{position}: {self.exchange.request} was answered with {wrong.data[:SHOWN]!r}", f"then: {wrong.then} {wrong.chunk[:40]!r}"]
            + problems
            + [f"run it alone: make faults ONLY={position}"]
        )

    def judge(self, wanted: str | None, said: str) -> list[str]:
        if wanted:
            return [] if said == wanted else [f"the caller was told: {said}", f"and should be:       {wanted}"]
        text = "fault UNCERTAIN" if self.exchange.request in WRITES else "fault (UNAVAILABLE|INTERNAL)"
        if self.exchange.request in ("STORE", "EXPUNGE", "COPY", "MOVE"):
            text += " unknown 0 unknown 0"
        return [] if re.fullmatch(text, said) else [f"the caller was told: {said}", f"and should be:       {text}"]

    def judge_after(self, wanted: str | None, wrong: faults.Broken, said: str, after: str) -> list[str]:
        """The next request is answered. If the one before was, what came behind its
        answer, or that nothing comes any more, may show only now: then the one after."""
        truth = self.expected(self.reply)
        first, _, second = after.partition("/")
        if first == truth:
            return []
        if wanted and second == truth and first.startswith("fault"):
            return []
        return [f"the next request was answered with {after}", f"and should be:                      {truth}"]

    def end(self) -> list[str]:
        self.input.close()
        problems = []
        for line in self.output:
            peak = re.fullmatch(r"peak (\d+)\n", line)
            if peak and int(peak[1]) > (HITS_KB if self.name == "search" else PEAK_KB):
                problems.append(f"{self.name}: its process grew to {peak[1]} kB")
            if line.startswith("not ok"):
                problems.append(f"{self.name}: {line.strip()}")
        status = self.process.wait(20)
        return problems + ([f"{self.name}: exchange.c ended with status {status}"] if status else [])


def run(todo: list[Position]) -> list[str]:
    """All of one exchange."""
    player, problems = Player(todo[0].name), []
    for position in todo:
        problem = player.play(position)
        if problem:
            problems.append(problem)
        if player.process.poll() is not None or len(problems) > FAILURES_SHOWN:
            break
    return problems + player.end()


def options() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--sample", type=int, metavar="N", help="only so many, drawn with the seed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", metavar="NAME:FAULT:AT")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    return parser.parse_args()


def main() -> None:
    chosen, began = options(), time.monotonic()
    todo = positions()
    if chosen.only:
        todo = [position for position in todo if re.fullmatch(chosen.only, str(position))]
    elif chosen.sample:
        todo = random.Random(chosen.seed).sample(todo, min(chosen.sample, len(todo)))
        print(f"seed {chosen.seed}")
    if not todo:
        sys.exit(NOTHING)
    groups = [[position for position in todo if position.name == name] for name in EXCHANGES]
    groups = sorted((group for group in groups if group), key=len, reverse=True)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        problems = [problem for found in pool.map(run, groups) for problem in found]
    for problem in problems[:FAILURES_SHOWN]:
        print(problem)
    secs = time.monotonic() - began
    print(f"core: {len(todo)} positions tried, {len(problems)} failures, {secs:.0f} seconds")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
