#!/usr/bin/python3
"""Faults at each line of what a backend answers, and what a mail client sees of them.

    faultimap.py [--sample N --seed S] [--only SCENARIO:FAULT:LINE:PART] [--jobs N]

A client works over IMAP on backends/sqlite, through backend.py, which breaks one answer:
at the start, middle or end of a line, by the faults of faults.py that nobody may
believe; before the store has done what it was asked for, and after; or by what its list
says. While it lasts each command must be answered in time, and nothing may go that was
not told to go. Then it is over, and the client, the store and a client that comes anew
must have the same: every message once, with its bytes, flags and UID as before, but for
what the client was told, or had asked for and was told that it failed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from base import ROOT
from faultcheck import BACKEND, DOVEBRIDGE, Answer, Failure, Imap, check, message_of

SQLITE = os.path.join(ROOT, "backends", "sqlite", "sqlite")
BOXES = {"INBOX": 30, "Other": 24, "Old/sub": 4}  # so many that the brake cares
BEFORE_NEW = 10  # positions of one imap process; then a new one looks at all
COMMAND_SECS = 60  # on a busy machine
TIMEOUT_MSECS = 4000  # bridge_timeout; a good answer takes some milliseconds, on a busy machine more
BRAKED = "are missing from its list"  # in the log: the store is not asked for a list for a minute then (10.8)
OWN = ("FULL", "INLINE", "NEW", "OLD")  # scenarios for which the backend has other words
# FETCHes when all ids are others: of the new ones, and of the old ones, which are GONE (10.8)
RENAMED = ("NEW", "OLD")
SETTLE_SECS = 60  # the brake lets go of what a list brought that nobody may believe
RENEWING = ("swap-bytes", "wrong-length-vs-size")  # a message that is another one gets a new UID
LARGE = 300_000  # bytes of a message that no pipe holds
NOTHING = 3  # the exit status when --only is for none of these
LINES_MAX = 4  # of an answer; the last one stands for those beyond

# those that no answer may survive, at any place of a line
EVERYWHERE = "exit kill hang close nul cr insert-nul babble huge endless-line endless-babble endless-err".split()
STARTS = """8bit ff lf double-line stubborn grandchild orphan endless-gone unasked-no unasked-empty unasked-small unasked-NO
    unasked-unknown unasked-reserved unasked-GONE unasked-FAIL unasked-NEW unasked-DATA unasked-FILE unasked-HIT
    unasked-CHANGED unasked-WAIT""".split()
# at the end of a line they are more words of it: the id of another mailbox, which is believed (7.13)
WORDS = ("babble", "endless-babble")
# lines that are passed over (2.14, 3.6): what else the answer says holds, and of these it is believed
PASSED_OVER = [f"unasked-{name}" for name in ("CHANGED", "HIT", "NEW", "WAIT", "reserved", "unknown")]
NOT_EVEN = ["exit", "hang", "unasked-no", "unasked-NO"]  # the store was not asked
CONTENTS = {
    "BOXES": ["half-list", "duplicate-id", "reorder"],
    "LIST": ["half-list", "half-list-count", "duplicate-id", "reorder", "old-state", "flood-stderr", "wrong-id=never"],
    "FULL": ["half-list-full", "empty-list", "empty-list-count0", "reorder", "duplicate-id", "old-state"],
    "FETCH": ["swap-bytes", "gone-all", "fail-all", "wrong-id", "drop-item", "wrong-length-vs-size", "long-data",
              "short-data", "duplicate-id", "fifo-path", "symlink-path", "missing-path", "dev-path", "never-read"],
    "STORE": ["gone-all", "fail-all", "wrong-id", "duplicate-id", "unavailable", "never-read"],
    "EXPUNGE": ["fail-all", "wrong-id", "duplicate-id", "unavailable"],
    "COPY": ["gone-all", "fail-all", "wrong-id", "drop-item", "duplicate-id", "unavailable", "notfound"],
    "MOVE": ["gone-all", "fail-all", "wrong-id", "drop-item", "duplicate-id", "unavailable", "notfound"],
    "APPEND": ["drop-item", "duplicate-id", "unavailable", "never-read"],
    "INLINE": ["drop-item", "unavailable", "never-read"],
    "NEW": ["gone-all", "fail-all", "wrong-id", "drop-item", "duplicate-id", "missing-path", "unavailable", "notfound"],
    "OLD": ["still-there", "fail-all", "wrong-id", "drop-item", "duplicate-id", "unavailable", "notfound"],
}  # fmt: skip
# how many lines the answer has here
LISTS = {"BOXES": 5, "LIST": 2, "FULL": LINES_MAX, "CAPS": 4, "FETCH": 2, "STORE": 2, "APPEND": 2, "INLINE": 2}
LISTS |= {"EXPUNGE": 2, "COPY": 2, "MOVE": 2, "CREATE": 1, "DELETE": 1, "RENAME": 1, "SEARCH": 3, "WATCH": 2, "NEW": 2, "OLD": 2}

Message = tuple[str, tuple[str, ...]]  # a digest of its bytes, its flags


@dataclass
class Box:
    validity: int = 0
    mail: dict[int, Message] = field(default_factory=dict)


View = dict[str, Box]


@dataclass(frozen=True)
class Position:
    scenario: str
    fault: str
    line: int = 0
    part: str = "start"  # start, middle, end; not: the store was not asked; all: of the whole

    def __str__(self) -> str:
        return f"{self.scenario}:{self.fault}:{self.line}:{self.part}"

    @property
    def verb(self) -> str:
        return {"FULL": "LIST", "INLINE": "APPEND"}.get(self.scenario, self.scenario)


def positions() -> list[Position]:
    found = []
    for name, lines in LISTS.items():
        for line in range(lines):
            for fault in EVERYWHERE:
                glued = fault in WORDS and name in ("LIST", "FULL")
                parts = ("start", "middle") if glued else ("start", "middle", "end")
                found += [Position(name, fault, line, part) for part in parts]
            found += [Position(name, fault, line) for fault in STARTS if name not in RENAMED or fault not in PASSED_OVER]
        found += [Position(name, fault, 0, "not") for fault in NOT_EVEN]
        found += [Position(name, fault, 0, "all") for fault in CONTENTS.get(name, [])]
    return found


def digest(data: bytes) -> str:
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()[:12]


def flag_set(flags: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(sorted({flag for flag in flags.split(separator) if flag and flag != "\\Recent"}))


class Stage:
    """A store, a state, and a client; used for one position after the other."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="dovebridge-faultimap.")
        os.chmod(self.folder, 0o777)
        self.temporary = self.path("tmp")
        self.store = self.path("store")
        for path in (self.temporary, self.store):
            os.mkdir(path)
            os.chmod(path, 0o777)
        self.database = os.path.join(self.store, "mail.db")
        self.spot = self.path("spot")
        self.imap: Imap | None = None
        self.serial = self.used = 0
        self.scenario, self.braked = "", False
        self.start()
        for box, count in BOXES.items():
            if box != "INBOX":
                self.client.works(f"CREATE {box}")
            for _ in range(count):
                self.append(box, "\\Seen" if self.serial % 2 else "")
        self.view = self.look()

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    @property
    def client(self) -> Imap:
        assert self.imap is not None
        return self.imap

    def start(self, scenario: str = "") -> None:
        """A new imap process. Its backend has other words for the scenarios of OWN."""
        self.stop()
        inline = " --inline" if scenario == "INLINE" else ""
        backend = [BACKEND, "--spot", self.spot, "--over", f"{SQLITE}{inline} --synchronous off {self.database}"]
        if scenario == "FULL" or scenario in RENAMED:
            backend += ["--without", "delta"]
        settings = {"mail_temp_dir": self.temporary, "bridge_timeout": f"{TIMEOUT_MSECS}ms", "bridge_caps_timeout": "8s"}
        if scenario in RENAMED:
            settings["bridge_brake_pause"] = "1s"
        argv = [DOVEBRIDGE, "imap", "--state", self.path("state")]
        for key, value in settings.items():
            argv += ["-o", f"{key}={value}"]
        self.imap = Imap([*argv, "--", *backend, self.folder], self.path("log"), "", 0)
        self.used, self.scenario = 0, scenario

    def stop(self) -> None:
        if self.imap is not None:
            self.imap.leave()
            self.braked = self.is_braked()
        self.imap = None

    def is_braked(self) -> bool:
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return self.braked or BRAKED in file.read()

    def remove(self) -> None:
        if self.imap is not None:
            self.imap.process.kill()
            self.imap.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # what there is

    def in_store(self) -> dict[str, list[Message]]:
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10) as db:
            rows = db.execute("SELECT mailbox, data, flags FROM mail").fetchall()
            boxes = {name: [] for (name,) in db.execute("SELECT name FROM mailbox")}  # type: dict[str, list[Message]]
        for box, data, flags in rows:
            boxes[box].append((digest(bytes(data)), flag_set(flags, ",")))
        return {box: sorted(mail) for box, mail in boxes.items()}

    def look(self) -> View:
        """Everything that the client sees."""
        client = self.client
        listed = [line for line in client.works('LIST "" "*"').untagged if b"\\NonExistent" not in line and b"\\Noselect" not in line]
        view: View = {}
        for name in sorted(line.split()[-1].decode().strip('"') for line in listed if line.startswith(b"* LIST")):
            answer = client.works(f"SELECT {name}")
            box = Box(answer.number(rb"\[UIDVALIDITY (\d+)\]"))
            client.works("NOOP")
            for response in client.works("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])").untagged:
                if b" FETCH (" in response and b"BODY[]" in response:
                    uid, (flags, _, _, body) = message_of(response)
                    box.mail[uid] = digest(str(body).encode()), tuple(flags)  # type: ignore[arg-type]
            view[name] = box
        return view

    # what the client does

    def message(self, large: bool = False) -> bytes:
        self.serial += 1
        text = ("x" * 70 + "\r\n") * (LARGE // 72) if large else "x" * self.serial
        return f"Subject: message {self.serial}\r\nFrom: a@example.org\r\n\r\n{text}\r\n".encode()

    def append(self, box: str, flags: str = "", large: bool = False) -> tuple[Answer, bytes]:
        data = self.message(large)
        answer = self.client.command(f"APPEND {box} ({flags}) {{{len(data)}+}}\r\n{data.decode()}")
        return answer, data


@dataclass
class Asked:
    """What the client asked for, as a change of the view."""

    box: str = ""
    leaves: int = 0  # this UID
    arrives: str = ""  # a message in that mailbox
    digest: str = ""  # with those bytes
    flagged: int = 0  # \Flagged of this UID changes
    makes: str = ""
    unmakes: str = ""


def act(stage: Stage, position: Position) -> tuple[Asked, list[tuple[str, Answer]]]:
    """The commands of a scenario: those that prepare, the fault, those that see it."""
    client, name = stage.client, position.scenario
    mail = stage.view["INBOX"].mail
    uid = sorted(mail)[stage.used % len(mail)]
    asked, todo = Asked(), []
    if name in ("FETCH", "STORE", "EXPUNGE", "COPY", "MOVE", "SEARCH", "WATCH", *RENAMED):
        client.works("SELECT INBOX")
    if name == "FETCH":
        todo = [f"UID FETCH {uid} (BODY.PEEK[])"]
    elif name == "SEARCH":
        todo = ["UID SEARCH SUBJECT message"]
    elif name == "STORE":
        asked = Asked("INBOX", flagged=uid)
        sign = "-" if "\\Flagged" in mail[uid][1] else "+"
        todo = [f"UID STORE {uid} {sign}FLAGS (\\Flagged)", "NOOP"]
    elif name == "EXPUNGE":
        client.works(f"UID STORE {uid} +FLAGS (\\Deleted)")
        client.works("NOOP")
        mail[uid] = mail[uid][0], tuple(sorted({*mail[uid][1], "\\Deleted"}))
        asked, todo = Asked("INBOX", leaves=uid), [f"UID EXPUNGE {uid}"]
    elif name in ("COPY", "MOVE"):
        asked = Asked("INBOX", uid if name == "MOVE" else 0, "Other", mail[uid][0])
        todo = [f"UID {name} {uid} Other"]
    elif name in ("CREATE", "DELETE", "RENAME"):
        stage.serial += 1
        old, new = f"old{stage.serial}", f"new{stage.serial}"
        if name != "CREATE":
            client.works(f"CREATE {old}")
            stage.view[old] = Box(client.works(f"STATUS {old} (UIDVALIDITY)").number(rb"UIDVALIDITY (\d+)"))
        asked = Asked(makes="" if name == "DELETE" else new, unmakes="" if name == "CREATE" else old)
        todo = [f"CREATE {new}" if name == "CREATE" else f"DELETE {old}" if name == "DELETE" else f"RENAME {old} {new}"]
    elif name in RENAMED:
        todo = ["NOOP"]  # one list: a second one would be believed (10.8)
    elif name in ("LIST", "FULL"):
        todo = ["STATUS Other (MESSAGES)", "SELECT INBOX", "NOOP"]
    else:
        todo = ['LIST "" "*"', "SELECT Other"]
    arm(stage, position)
    if name == "CAPS":
        stage.start()
        client = stage.client
    answers = []
    if position.verb == "APPEND":
        answer, data = stage.append("Other", large=name == "INLINE")
        asked = Asked(arrives="Other", digest=digest(data))
        answers.append(("APPEND", answer))
    elif name == "WATCH":
        client.stdin.write(b"idle IDLE\r\n")
        check(client.response().startswith(b"+"), "IDLE does not begin")
        time.sleep(0.1)  # the copy that watches starts, and answers
        client.stdin.write(b"DONE\r\n")
        while not client.response().startswith(b"idle "):
            pass
    for text in todo:
        began = time.monotonic()
        answers.append((text, client.command(text)))
        check(time.monotonic() - began < COMMAND_SECS, f"{text} takes too long")
    return asked, answers


def arm(stage: Stage, position: Position) -> None:
    part = "start not" if position.part == "not" else position.part
    with open(f"{stage.spot}.new", "w", encoding="ascii") as file:
        file.write(f"{position.verb} {position.fault} {position.line} {part}")
    os.chmod(f"{stage.spot}.new", 0o644)
    os.rename(f"{stage.spot}.new", stage.spot)
    if was_met(stage):
        os.unlink(f"{stage.spot}.met")


def was_met(stage: Stage) -> bool:
    return os.path.exists(f"{stage.spot}.met")


def disarm(stage: Stage) -> None:
    os.unlink(stage.spot)


# --- what must hold ------------------------------------------------------------------


def check_answers(asked: Asked, answers: list[tuple[str, Answer]]) -> None:
    for text, answer in answers:
        check(answer.status in ("OK", "NO"), f"{text}: {answer.status} {answer.text}")
        check(answer.status == "OK" or answer.code != "" or "EXPUNGE" in text, f"{text}: NO without a code: {answer.text}")
        gone = [line for line in answer.untagged if re.search(rb" EXPUNGE\r|VANISHED", line)]
        check(not gone or asked.leaves != 0, f"{text}: {gone}")


def check_view(before: View, now: View, asked: Asked, done: bool, renewed: bool) -> None:
    """now is what was before, changed as was asked for: certainly if that was OK, else
    perhaps, or in part, but never so that a message is lost."""
    check(before.keys() - {asked.unmakes} <= now.keys() and now.keys() <= before.keys() | {asked.makes or "INBOX"},
          f"mailboxes were {list(before)}, are {list(now)}")  # fmt: skip
    check(not done or (asked.makes == "" or asked.makes in now) and asked.unmakes not in now, f"mailboxes: {list(now)}")
    for name in before.keys() & now.keys():
        a, b = before[name], now[name]
        check(a.validity == b.validity, f"{name}: UIDVALIDITY was {a.validity}, is {b.validity}")
        gone, new = a.mail.keys() - b.mail.keys(), b.mail.keys() - a.mail.keys()
        if renewed:  # 12.2: other bytes than known cost the message its UID, not more
            check(sorted(a.mail[u][0] for u in gone) == sorted(b.mail[u][0] for u in new), f"{name}: {gone} are lost")
            continue
        check(gone <= {asked.leaves if name == asked.box else 0}, f"{name}: the UIDs {sorted(gone)} are gone")
        check([b.mail[u][0] for u in new] == [asked.digest][: len(new)] and (not new or name == asked.arrives),
              f"{name}: there are new messages: {[b.mail[u] for u in new]}")  # fmt: skip
        check(all(u > max(a.mail, default=0) for u in new), f"{name}: UIDs {sorted(new)} after {sorted(a.mail)}")
        check(not done or name != asked.arrives or len(new) == 1, f"{name}: it was told that a message was stored: {new}")
        check(not done or name != asked.box or not asked.leaves or gone != set(), f"{name}: {asked.leaves} is still there")
        for uid in a.mail.keys() & b.mail.keys():
            check(a.mail[uid][0] == b.mail[uid][0], f"{name}: UID {uid} has other bytes")
            flags = set(a.mail[uid][1]) ^ set(b.mail[uid][1])
            mine = {"\\Flagged"} if (name, uid) == (asked.box, asked.flagged) else set()
            check(flags <= mine and (not done or flags == mine), f"{name}: UID {uid} has other flags: {flags}")
    if asked.leaves and asked.arrives and asked.leaves not in now["INBOX"].mail:
        check(asked.digest in [text for text, _ in now[asked.arrives].mail.values()], "the moved message is lost")


def check_store(stage: Stage, view: View) -> None:
    seen = {name: sorted(box.mail.values()) for name, box in view.items()}
    check(seen == stage.in_store(), f"the client sees\n{seen}\nthe store has\n{stage.in_store()}")


def attempt(stage: Stage, position: Position) -> None:
    scenario = position.scenario if position.scenario in OWN else ""
    if stage.scenario != scenario or stage.used >= BEFORE_NEW:
        stage.start(scenario)
    asked, answers = act(stage, position)
    disarm(stage)
    check_answers(asked, answers)
    stage.used += 1
    done = all(answer.status == "OK" for _, answer in answers)
    renewed = position.fault in RENEWING
    if position.fault == "never-read":  # that shows only with the next request
        stage.client.command('LIST "" "*"')
    # a flag that could not be set at once is set with the next look
    if scenario in RENAMED:
        check(was_met(stage), "the messages were not asked for")
        settle(stage)
    now = stage.look()
    check_view(stage.view, now, asked, done, renewed)
    check_store(stage, now)
    if stage.used >= BEFORE_NEW or position.part == "all":
        stage.start()
        again = stage.look()
        check(again == now, f"a new session sees\n{again}\nnot\n{now}")
    stage.view = now
    if len(now["Other"].mail) > BOXES["Other"] + 20 or len(now["INBOX"].mail) < 21:
        stage.view = refill(stage)


def settle(stage: Stage) -> None:
    """Until the store lists its messages again, and the brake has let go of those that it
    listed meanwhile. Those of before are there all the time."""
    deadline, before = time.monotonic() + SETTLE_SECS, set(stage.view["INBOX"].mail)
    while True:
        stage.client.works("NOOP")
        found = b" ".join(line for line in stage.client.works("UID SEARCH ALL").untagged if line.startswith(b"* SEARCH"))
        there = {int(uid) for uid in re.findall(rb"\d+", found)}
        check(before <= there, f"INBOX: the UIDs {sorted(before - there)} are gone")
        if there == before:
            return
        check(time.monotonic() < deadline, f"what nobody may believe is there for {SETTLE_SECS} s")
        time.sleep(0.2)  # between two looks


def refill(stage: Stage) -> View:
    """Other has too many by now, INBOX too few."""
    if len(stage.in_store()["Other"]) > BOXES["Other"]:
        stage.client.works("SELECT Other")
        stage.client.works(f"STORE {BOXES['Other'] + 1}:* +FLAGS (\\Deleted)")
        stage.client.works("EXPUNGE")
    while len(stage.in_store()["INBOX"]) < BOXES["INBOX"]:
        stage.append("INBOX")
    return stage.look()


def run(todo: list[Position]) -> list[str]:
    """One after the other; after a failure, or when the brake is on, on a new stage."""
    problems, stage = [], Stage()
    for position in todo:
        try:
            attempt(stage, position)
        except (Failure, AssertionError, OSError, KeyError) as failure:
            log = stage.client.tail() if stage.imap else ""
            problems.append(f"{position}: {failure}\nits log ends with\n{log}\nrun it alone: make faults ONLY={position}")
        if problems and problems[-1].startswith(f"{position}: ") or stage.is_braked():
            stage.remove()
            stage = Stage()
    stage.remove()
    return problems


def options() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--sample", type=int, metavar="N", help="only so many, drawn with the seed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", metavar="SCENARIO:FAULT:LINE:PART")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    return parser.parse_args()


def main() -> None:
    os.umask(0o022)
    chosen, began = options(), time.monotonic()
    todo = positions()
    if chosen.only:
        todo = [position for position in todo if re.fullmatch(chosen.only, str(position))]
    elif chosen.sample:
        print(f"seed {chosen.seed}")
        todo = random.Random(chosen.seed).sample(todo, min(chosen.sample, len(todo)))
    if not todo:
        sys.exit(NOTHING)
    # those that can share a process stand together
    todo.sort(key=lambda position: (position.scenario in OWN, str(position)))
    shares = [todo[n :: chosen.jobs] for n in range(chosen.jobs)]
    with ThreadPoolExecutor(chosen.jobs) as pool:
        problems = [problem for found in pool.map(run, filter(None, shares)) for problem in found]
    print(*problems[:10], sep="\n\n")
    print(f"imap: {len(todo)} positions tried, {len(problems)} failures, {time.monotonic() - began:.0f} seconds")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
