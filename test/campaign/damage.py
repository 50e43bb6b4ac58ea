#!/usr/bin/python3
"""Our files are damaged, or the clock goes back, between two sessions.

    damage.py [--seed N] [--only STORE/DAMAGE] [--tries N] [STORE...]

What must be so afterwards stands in kills.py. In particular

    an index that is lost, cut, zeroed or garbage costs nothing: UIDs and flags are the map's
    of a map that cannot be read, or is damaged, a session says NO and logs its name, or sees
    all as it was: it never guesses. When the map is as before, all is
    a map that was cut, or lost, gives no UID twice, and no UIDVALIDITY that was there
    a clock that is an hour behind, or in 1980, changes nothing of that

--tries is the number of bytes that are changed, and of lengths to which the map is cut (20).
"""

from __future__ import annotations

import argparse
import ctypes
import glob
import os
import random
import sys
import time
from collections.abc import Callable

import kills
import soakclient
from kills import Known, Lab, Work
from soak import become_nobody
from soakclient import Dead, Violation

FLAG_SETS = [("\\Seen",) * seen + ("$Work",) * work + ("\\Answered",) * answered
             for seen in (0, 1) for work in (0, 1) for answered in (0, 1)]  # fmt: skip
HOUR, TO_1980 = -3600, 315_532_800 - int(time.time())


def files(lab: Lab, pattern: str) -> list[str]:
    return sorted(glob.glob(f"{lab.state}/**/{pattern}", recursive=True))


def write(path: str, data: bytes) -> None:
    with open(path, "r+b") as file:  # its owner and mode stay
        file.truncate()
        file.write(data)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def the_map(lab: Lab) -> str:
    """That of the INBOX."""
    return max(files(lab, "dovebridge-map"), key=os.path.getsize)


# --- the index -------------------------------------------------------------------------

SPOILS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "empty": lambda data, rng: b"",
    "half": lambda data, rng: data[: len(data) // 2],
    "zeros": lambda data, rng: bytes(len(data)),
    "zeros-ahead": lambda data, rng: bytes(64) + data[64:],
    "zeros-behind": lambda data, rng: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "garbage": lambda data, rng: rng.randbytes(len(data)),
    "longer": lambda data, rng: data + rng.randbytes(100),
    "text": lambda data, rng: b"this is no index\n",
}


def spoil_index(lab: Lab, rng: random.Random, name: str, spoil: str) -> None:
    known = lab.restore("base")
    for path in files(lab, name):
        if spoil == "lost":
            os.unlink(path)
        else:
            write(path, SPOILS[spoil](read(path), rng))
    kills.open_torn(lab)
    kills.let_time_pass(lab)
    kills.check(lab, known, index=True)


# --- the map -----------------------------------------------------------------------------


def served_or_refused(lab: Lab, known: Known) -> bool:
    """Whether the INBOX is served, and then as it was; else it is NO, and the log says why."""
    work, seen = Work(lab, known.copy()), {}
    if work.select("INBOX"):
        seen = work.fetch()
    served = not work.refused
    kills.end(work)
    if not served:
        with open(lab.log, encoding="utf-8", errors="replace") as file:
            if "dovebridge-map" not in file.read():
                raise Violation(f"{work.refused}, and the log does not name the map")
        return False
    there = {token: next(iter(states)) for (box, token), states in known.states.items() if box == "INBOX"}
    for uid, (token, flags) in seen.items():
        if known.uids["INBOX", token] != uid or there[token] != flags:
            raise Violation(f"guessed: UID {uid} is {token} with {set(flags)}, it was {known.uids['INBOX', token]}")
    if len(seen) != sum(flags is not None for flags in there.values()):
        raise Violation(f"{len(seen)} messages are shown")
    return True


def unreadable(lab: Lab, rng: random.Random) -> None:
    known = lab.restore("base")
    os.chmod(the_map(lab), 0)
    if served_or_refused(lab, known):
        raise Violation("served without its map")
    os.chmod(the_map(lab), 0o600)
    kills.check(lab, known)


def flip(lab: Lab, rng: random.Random, index: bool) -> None:
    """One bit of one byte. index: it is lost as well, so that all of the map is read."""
    known = lab.restore("base")
    path, data = the_map(lab), read(the_map(lab))
    at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
    write(path, data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
    for name in files(lab, "dovecot.index*") if index else []:
        os.unlink(name)
    try:
        served = served_or_refused(lab, known)
    except Violation as problem:
        raise Violation(f"byte {at} of {len(data)}, bit {bit}: {problem}") from None
    if not served:
        write(path, data)
        os.unlink(lab.log)
        kills.check(lab, known)


def cut(lab: Lab, rng: random.Random) -> None:
    """As after the crash of a machine that had synced nothing: the index knows more."""
    known = lab.restore("fat")
    path, data = the_map(lab), read(the_map(lab))
    length = rng.randrange(len(data))
    write(path, data[:length])
    work = Work(lab, Known())
    good = work.select("INBOX")
    kills.end(work)
    if not good:
        write(path, data)
        os.unlink(lab.log)
        return kills.check(lab, known)
    # it ends with a commit: what it has lost comes anew, and never under an old UID of another
    known.uids.clear()
    known.states = {key: {None, *map(frozenset, FLAG_SETS)} for key in known.states}
    return kills.check(lab, known)


def lose(lab: Lab, rng: random.Random, *patterns: str, clock: int = 0) -> None:
    known = lab.restore("base")
    before = dict(known.uidvalidity)
    for pattern in patterns:
        for path in files(lab, pattern):
            os.unlink(path)
    if "dovebridge-map" in patterns:
        known.uidvalidity.clear()
        known.uids.clear()
    work = Work(lab, known, clock=clock)
    kills.compare(known, kills.look(work))
    kills.end(work)
    kills.check(lab, known)
    for box, uidvalidity in known.uidvalidity.items():
        if "dovebridge-map" in patterns and uidvalidity <= before[box]:
            raise Violation(f"UIDVALIDITY of {box} was {before[box]}, is {uidvalidity}")


# --- the clock -----------------------------------------------------------------------------


def clock_back(lab: Lab, rng: random.Random, step: str, clock: int) -> None:
    """A step while the clock is behind; the sessions after it have the right time."""
    base, function = kills.STEPS[step]
    known = lab.restore(base)
    work = Work(lab, known, clock=clock)
    function(work)
    if work.refused:
        raise Violation(f"refused: {work.refused}")
    kills.end(work)
    kills.check(lab, known)


INDEX_FILES = ("dovecot.index", "dovecot.index.log", "dovecot.index.cache", "dovecot.index*")


def damages(tries: int) -> dict[str, Callable[[Lab, random.Random], None]]:
    todo: dict[str, Callable[[Lab, random.Random], None]] = {}
    for name in INDEX_FILES:
        for spoil in (*SPOILS, "lost"):
            todo[f"{name}-{spoil}"] = lambda lab, rng, name=name, spoil=spoil: spoil_index(lab, rng, name, spoil)
    todo["map-unreadable"] = unreadable
    for number in range(tries):
        todo[f"map-flip-{number}"] = lambda lab, rng: flip(lab, rng, False)
        todo[f"map-flip-index-lost-{number}"] = lambda lab, rng: flip(lab, rng, True)
        todo[f"map-cut-{number}"] = cut
    for word, clock in (("now", 0), ("hour", HOUR), ("1980", TO_1980)):
        todo[f"both-lost-{word}"] = lambda lab, rng, clock=clock: lose(
            lab, rng, "dovebridge-map", "dovecot.index*", clock=clock
        )
        todo[f"map-lost-{word}"] = lambda lab, rng, clock=clock: lose(lab, rng, "dovebridge-map", clock=clock)
        todo[f"index-lost-{word}"] = lambda lab, rng, clock=clock: lose(lab, rng, "dovecot.index*", clock=clock)
        for step in kills.STEPS if clock else ():
            todo[f"clock-{word}-{step}"] = lambda lab, rng, step=step, clock=clock: clock_back(lab, rng, step, clock)
    return todo


def run(store: str, options: argparse.Namespace) -> int:
    """Returns the number of failures."""
    lab, start, failures, count = Lab(store), time.monotonic(), 0, 0
    kills.make_bases(lab)
    todo = list(damages(options.tries).items())
    if options.kinds:
        todo = random.Random(options.seed).sample(todo, options.kinds)
    for name, function in todo:
        if options.only and not name.startswith(options.only.partition("/")[2]):
            continue
        count += 1
        try:
            function(lab, random.Random(f"{options.seed}/{name}"))
        except (Violation, Dead, KeyError, ValueError) as problem:
            failures += 1
            print(f"{store}/{name}: {problem!r}", flush=True)
            kills.reset(lab)
    secs = time.monotonic() - start
    print(f"{store}, seed {options.seed}: {count} kinds of damage, {failures} failures, {secs:.0f} s")
    if options.only and failures:
        print(f"kept in {lab.folder}")
    else:
        kills.remove(lab.folder)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", metavar="STORE")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(100_000))
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--kinds", type=int, default=0, help="a sample of so many, for each store; 0: all")
    parser.add_argument("--only", metavar="STORE/DAMAGE", help="those that begin so")
    options = parser.parse_args()
    if os.geteuid() == 0:
        become_nobody()
    soakclient.ANSWER_SECS = kills.LONG_SECS + 2
    ctypes.CDLL(None).prctl(kills.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    stores = [options.only.partition("/")[0]] if options.only else options.stores or list(kills.STORES)
    return 1 if sum(run(store, options) for store in stores) else 0


if __name__ == "__main__":
    sys.exit(main())
