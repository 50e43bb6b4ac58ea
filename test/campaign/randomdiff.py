#!/usr/bin/python3
"""Gives the same random commands to Dovecot on a Maildir and behind the bridge, and
compares what is answered.

    randomdiff.py [--seed N] [--secs S | --rounds N] [--all] STORE...
    randomdiff.py --seed N --round K STORE      one round of such a run alone
    randomdiff.py --play FILE STORE             lines as they are printed (- is stdin)

STORE is sqlite, maildir, or sqlite--uids, the store that gives the UIDs. Two servers
run, the same in everything but mail_location. A round is for users of its own: sessions
a, b and c of one, who write and read and lose what the bridge has as indexes, deliveries
to him and another (session x), and POP3. randomcommands.py makes its lines:

    NAME COMMAND        {msg:KIND.SEED} is a literal, {uids:SET} are UIDs of the Maildir, {mark:BOX}
                        and {validity:BOX} the HIGHESTMODSEQ and UIDVALIDITY told last
    NAME end            the connection is closed
    lose                all sessions end, and the bridge's dovecot.index* are removed
    busy, well          the bridge's store refuses STORE for now, and does not any more
    tick                a second ends, so that save dates can be told apart
    lmtp WHO {msg:...} BOX      a delivery to 1, 2, 12 or 21
    pop3 COMMAND;...    a POP3 session

Answers must be the same, in one order. What may differ is said at RULES and in class
Pairs. At the first difference (--all: each) the round is made as small as still shows
the same, and that is printed with both answers; the exit status is 1. --tree DIR
takes plugin and backends of another tree that is built.
"""

from __future__ import annotations

import argparse
import glob
import os
import random
import re
import select
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import randomcommands
from base import ROOT
from diffcheck import NORMALISED, excerpt
from diffcheck import Session as Answers

STORES = {
    "sqlite": ["sqlite/sqlite", "{}.db", "--synchronous", "off"],
    "maildir": ["maildir/maildir", "{}", "--create", "--no-fsync"],
    "sqlite--uids": ["sqlite/sqlite", "{}.db", "--synchronous", "off", "--uids"],
}
CONF = ("mail_fsync = never", "lmtp_add_received_header = no", "lmtp_save_to_detail_mailbox = yes",
        "mail_always_cache_fields = date.save", "mail_max_userip_connections = 100",
        "auth_cache_size = 1M", "service imap-login {\n  service_count = 0\n}",
        "service pop3-login {\n  service_count = 0\n}")  # fmt: skip
ANSWER_SECS = 60  # longer than anything takes, on a machine with much else to do
SHRINK_PLAYS, SHRINK_SECS = 150, 60
NO_UID = 4_000_000_000  # for a UID that the bridge's side has nothing for
ENDED = b"(the session ended)"
# but for what is asked for: a store that is BUSY
SERIOUS = re.compile(r"^(?!.*BUSY).*(Panic|Fatal|Traceback|[Cc]orrupt|assert|Error: )")

# --- what may differ ------------------------------------------------------------

START = int(time.time()) - 1
TICKS: list[int] = []
FETCHED = re.compile(rb"\* \d+ FETCH ")
SAVED = re.compile(rb'SAVEDATE "after tick (\d+)"')
DATE = re.compile(rb'INTERNALDATE "[^"]*"')


def seconds(date: bytes) -> float:
    return datetime.strptime(date.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()


def words_sorted(match: re.Match[bytes]) -> bytes:
    return match[1] + b"(" + b" ".join(sorted(match[2].split())) + b")"


def moment(match: re.Match[bytes], ticks: bool) -> bytes:
    when = seconds(match[2])
    if not START <= when < START + 10**7:
        return match[0]
    return match[1] + (b'"after tick %d"' % sum(when >= tick for tick in TICKS) if ticks else b'"now"')


ABOVE = rb"\A\* (LIST|LSUB) \([^)]*(?i:\\Noselect|\\NonExistent)[^)]*\).*\r\n"
Rule = tuple[str, bytes, bytes | Callable[[re.Match[bytes]], bytes]]
RULES: tuple[Rule, ...] = (
    *NORMALISED,
    ("MODSEQ: one change may be several transactions; what CHANGEDSINCE finds is compared", rb"(?<=MODSEQ )\(?\d+\)?", b"#"),
    ("the same, at the end of what a search for MODSEQ found", rb"(?<=\(MODSEQ )\d+", b"#"),
    ("the same: whether it is told at the end of a command", rb"(?<= OK )\[HIGHESTMODSEQ \S+\] (?!Highest)", b""),
    ("\\Recent: who is the first to see a message is not promised", rb" ?\\Recent\b", b""),
    ("the same", rb"\A\* \d+ RECENT\r\n", b""),
    ("the order of keywords is that in which they were met", rb"(FLAGS )\(([^()]*)\)", words_sorted),
    ("the same, where they may be stored", rb"(PERMANENTFLAGS )\(([^()]*)\)", words_sorted),
    ("the second of a command", rb'(INTERNALDATE )"([^"]*)"', lambda match: moment(match, False)),
    ("the same", rb'(SAVEDATE )"([^"]*)"', lambda match: moment(match, True)),
    ("what is only above others: a Maildir lists it only with an index of the list, which is late", ABOVE, b""),
    ("texts for people", rb"(?<= NO )((?:\[[^]]*\])?).*(?=\r\n)", lambda match: match[1]),
    ("ids of a delivery", rb"<[^>]*> \S+ Saved", b"Saved"),
)  # fmt: skip
QUOTED = re.compile(rb'PREVIEW "(?:[^"\\]|\\.)*"')
# what an index alone has: keywords that no message has any more, and whether MODSEQs are kept
NAMES = re.compile(rb"\* (FLAGS|OK \[PERMANENTFLAGS) ")
MARKS = re.compile(rb"\* OK \[HIGHESTMODSEQ ")
REMOVING = re.compile(r"^\w+ (UID )?(EXPUNGE|MOVE|CLOSE)\b|^pop3")
ADDING = re.compile(rf"{REMOVING.pattern}|^\w+ (UID )?(APPEND|COPY)|^lmtp")
UNORDERED = re.compile(r"\w+ (LIST|LSUB) ")


def pieces(answer: bytes) -> Iterator[tuple[bool, bytes]]:
    """Text and literals of an answer; True: a literal."""
    at = 0
    while at < len(answer):
        end = answer.find(b"\r\n", at)
        end = len(answer) if end < 0 else end + 2
        yield False, answer[at:end]
        literal = re.search(rb"\{(\d+)\}\r\n\Z", answer[at:end])
        at = end
        if literal:
            yield True, answer[at : at + int(literal[1])]
            at += int(literal[1])


def without_preview(answer: bytes) -> bytes:
    """PREVIEW NIL in place of any."""
    literal = re.search(rb"PREVIEW \{(\d+)\}\r\n", answer)
    if literal:
        return answer[: literal.start()] + b"PREVIEW NIL" + answer[literal.end() + int(literal[1]) :]
    return QUOTED.sub(b"PREVIEW NIL", answer)


def ruled(answer: bytes) -> bytes:
    found = b""
    for literal, text in pieces(answer):
        if not literal:
            for _, pattern, instead in RULES:
                text = re.sub(pattern, instead, text)
        found += text
    return found


def ranges(text: bytes) -> list[tuple[int, int]]:
    found = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        one, two = int(first), int(last or first)
        found.append((min(one, two), max(one, two)))
    return found


def expanded(text: bytes) -> list[int]:
    return [number for first, last in ranges(text) for number in range(first, last + 1)]


class Pairs:
    """What numbers of the bridge's are which of the Maildir's: UIDVALIDITY, UIDL, and, of
    a store that gives UIDs, in one sequence for all mailboxes, these. They are paired
    when they are met first, and must be the same pairs for ever."""

    def __init__(self, uids: bool, odd: bool) -> None:
        self.uids, self.odd = uids, odd
        self.apart: set[re.Pattern[bytes]] = set()  # answers that are not the same any more
        self.validities: dict[bytes, bytes] = {}
        self.known: dict[int, int] = {}  # UID of the bridge: of the Maildir
        self.own: dict[tuple[bytes, int], int] = {}  # UIDVALIDITY, UID of the Maildir: of the bridge

    def validity(self, mine: bytes, theirs: bytes) -> bytes:
        if self.validities.setdefault(mine, theirs) == theirs:
            return mine
        return b"%s, before %s" % (theirs, self.validities[mine])

    def learn(self, validity: bytes, mine: int, theirs: int) -> int:
        if theirs not in self.known and (validity, mine) not in self.own:
            self.known[theirs], self.own[validity, mine] = mine, theirs
        return self.known.get(theirs, -theirs)

    def for_bridge(self, validity: bytes, text: str) -> str:
        """A set of the Maildir's UIDs as the bridge's."""
        if not self.uids:
            return text
        found: list[str] = []
        known = sorted((mine, theirs) for (where, mine), theirs in self.own.items() if where == validity)
        for part in text.split(","):
            first, colon, last = part.partition(":")
            if last == "*":
                found.append(f"{min((theirs for mine, theirs in known if mine >= int(first)), default=NO_UID)}:*")
            elif part == "*":
                found.append("*")
            else:
                low, high = ranges(part.encode())[0]
                found += [str(theirs) for mine, theirs in known if low <= mine <= high]
        return ",".join(found) or str(NO_UID)

    def same(self, command: str, validity: bytes, mine: bytes, theirs: bytes) -> tuple[bytes, bytes]:
        """Both answers, the numbers of the second as those of the first."""
        for pattern in (rb"UIDVALIDITY (\d+)", rb"APPENDUID (\d+)", rb"COPYUID (\d+)"):
            one, two = re.search(pattern, mine), re.search(pattern, theirs)
            if one and two:
                start, end = two.span(1)
                theirs = theirs[:start] + self.validity(one[1], two[1]) + theirs[end:]
        if "LAZY" in command and b"PREVIEW NIL" in mine + theirs:
            # it is told of what happens to be kept
            mine, theirs = without_preview(mine), without_preview(theirs)
        if self.odd:
            # no store is told such a date (protocol.md 12.6), and a Maildir's cache has 32 bits of it
            mine, theirs = (DATE.sub(b"INTERNALDATE", text) for text in (mine, theirs))
        return self.same_uids(command, validity, mine, theirs) if self.uids else (mine, theirs)

    def same_uids(self, command: str, validity: bytes, mine: bytes, theirs: bytes) -> tuple[bytes, bytes]:
        mine, theirs = (re.sub(rb"(?<=UIDNEXT )\d+", b"#", text) for text in (mine, theirs))
        # what such a store has copied is in the index, and saved, when it is looked at
        one, two = SAVED.search(mine), SAVED.search(theirs)
        if FETCHED.match(mine) and one and two and int(two[1]) > int(one[1]):
            theirs = SAVED.sub(one[0], theirs, count=1)
        if re.match(rb"\* VANISHED ", mine):
            return self.vanished(validity, mine, theirs)
        for pattern in self.places(command, mine):
            one, two = (list(re.finditer(pattern, text)) for text in (mine, theirs))
            if len(one) != len(two):
                return mine, theirs
            at = b"APPENDUID" in mine or b"COPYUID" in mine and pattern.endswith(rb" ([\d:,]+)\]")
            told = re.search(rb"(?:APPEND|COPY)UID (\d+)", mine)
            where = told[1] if at and told else validity
            for first, second in reversed(list(zip(one, two))):
                numbers, others = expanded(first[1]), expanded(second[1])
                if len(numbers) == len(others):
                    text = b",".join(b"%d" % self.learn(where, *pair) for pair in zip(numbers, others))
                    theirs = theirs[: second.start(1)] + text + theirs[second.end(1) :]
                    start, end = first.span(1)
                    mine = mine[:start] + b",".join(b"%d" % n for n in numbers) + mine[end:]
        return mine, theirs

    @staticmethod
    def places(command: str, answer: bytes) -> list[bytes]:
        if b"COPYUID" in answer:
            return [rb"COPYUID \d+ ([\d:,]+) ", rb"COPYUID \d+ [\d:,]+ ([\d:,]+)\]"]
        if b"APPENDUID" in answer:
            return [rb"APPENDUID \d+ ([\d:,]+)\]"]
        if re.match(rb"\* ESEARCH ", answer) and b") UID" in answer:
            return [rb"(?:ALL|MIN|MAX) ([\d:,]+)"]
        if re.match(r"\w+ UID (SEARCH|SORT)", command) and re.match(rb"\* (SEARCH|SORT)", answer):
            return [rb" (\d+)"]
        if re.match(r"\w+ UID STORE", command) and b"[MODIFIED" in answer:
            return [rb"MODIFIED ([\d:,]+)"]
        return [rb"[( ]UID (\d+)"] if FETCHED.match(answer) else []

    def vanished(self, validity: bytes, mine: bytes, theirs: bytes) -> tuple[bytes, bytes]:
        """Only those of which something was known: who was gone before is in no map."""
        found = []
        for text, known in ((mine, self.own_of(validity)), (theirs, self.known)):
            match = re.match(rb"(\* VANISHED (?:\(EARLIER\) )?)([\d:,]+)", text)
            if not match:
                return mine, theirs
            there = {known[n] for n in known for low, high in ranges(match[2]) if low <= n <= high}
            found.append(match[1] + repr(sorted(there)).encode())
        return found[0], found[1]

    def own_of(self, validity: bytes) -> dict[int, int]:
        return {mine: mine for where, mine in self.own if where == validity}


def summary(answers: list[bytes]) -> list[bytes]:
    """What was told while a session idled: when it is told is nobody's promise, only
    what is true in the end."""
    flags: dict[int, bytes] = {}
    exists, gone = b"", 0
    for answer in answers:
        if match := re.match(rb"\* (\d+) EXPUNGE", answer):
            number, gone = int(match[1]), gone + 1
            flags = {n - (n > number): text for n, text in flags.items() if n != number}
        elif match := re.match(rb"\* (\d+) FETCH ", answer):
            flags[int(match[1])] = answer
        elif re.match(rb"\* \d+ EXISTS", answer):
            exists = answer
    vanished = sorted(answer for answer in answers if answer.startswith(b"* VANISHED"))
    rest = [answer for answer in answers if not answer.startswith(b"* ")]
    return [exists, b"%d expunged" % gone, *vanished, *(flags[n] for n in sorted(flags)), *rest]


# --- the two sides --------------------------------------------------------------


class Ended(Exception):
    """The server has closed the connection."""


class Session(Answers):
    """diffcheck's reader of answers, over TCP."""

    def __init__(self, port: int) -> None:  # pylint: disable=super-init-not-called
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_SECS)
        self.pending, self.tag = b"", 0

    def send(self, text: str) -> None:
        self.send_bytes(text.encode("utf-8", "surrogateescape"))

    def send_bytes(self, data: bytes) -> None:
        try:
            self.socket.sendall(data + b"\r\n")
        except OSError as error:
            raise Ended from error

    def fill(self) -> None:
        if not select.select([self.socket], [], [], ANSWER_SECS)[0]:
            raise Ended(f"no answer within {ANSWER_SECS} s")
        try:
            data = self.socket.recv(1 << 20)
        except OSError as error:
            raise Ended from error
        if not data:
            raise Ended
        self.pending += data

    def end(self) -> None:
        self.socket.close()


class Side:
    def __init__(self, name: str, folder: str, tree: str, backend: list[str], conf: tuple[str, ...]) -> None:
        self.name, self.folder, self.server = name, folder, f"{tree}/test/lib/dovecot-server"
        words = [word for line in (*CONF, *conf) for word in ("--conf", line)]
        argv = [self.server, "start", folder, "--protocols", "imap pop3 lmtp", *words, "--", *backend]
        subprocess.run(argv, check=True)
        with open(f"{folder}/env", encoding="ascii") as file:
            self.ports = {line.partition("_")[0]: int(line.partition("=")[2]) for line in file}
        self.begin("")

    def begin(self, user: str) -> None:
        self.user = user
        self.sessions: dict[str, Session] = {}
        self.boxes: dict[str, str] = {}  # what each session has selected, or is about
        self.validity: dict[str, bytes] = {}  # by mailbox, as told last
        self.modseq: dict[str, bytes] = {}

    def session(self, name: str) -> Session:
        if name not in self.sessions:
            session = self.sessions[name] = Session(self.ports["IMAP"])
            session.line()
            session.send(f"login LOGIN {self.user + 'x' * (name == 'x')} secret")
            session.until(b"login ")
        return self.sessions[name]

    def send(self, name: str, text: str, pairs: Pairs | None = None, where: bytes = b"") -> None:
        """pairs, where: of what UIDs of the Maildir are in this side's numbers."""
        session = self.session(name)
        text = re.sub(r"\{mark:([^}]*)\}", lambda match: self.modseq.get(match[1], b"1").decode(), text)
        text = re.sub(r"\{validity:([^}]*)\}", lambda match: self.validity.get(match[1], b"1").decode(), text)
        text = re.sub(r"\{uids:([^}]*)\}", lambda match: pairs.for_bridge(where, match[1]) if pairs else match[1], text)
        data = b""
        for number, part in enumerate(re.split(r"\{msg:([^}]*)\}", text)):
            message = randomcommands.message(part) if number % 2 else b""
            data += b"{%d+}\r\n%b" % (len(message), message) if number % 2 else part.encode("utf-8", "surrogateescape")
        if text != "DONE":
            session.tag += 1
            data = f"{name}{session.tag} ".encode() + data
        session.send_bytes(data)

    def can(self, text: str) -> bool:
        """What the command needs was told."""
        marks, validities = re.findall(r"\{mark:([^}]*)\}", text), re.findall(r"\{validity:([^}]*)\}", text)
        return {*marks} <= {*self.modseq} and {*validities} <= {*self.validity}

    def receive(self, name: str, text: str) -> list[bytes]:
        session = self.sessions[name]
        answers = session.until(b"+ " if text == "IDLE" else f"{name}{session.tag} ".encode())
        self.note(name, text, answers)
        return answers

    def note(self, name: str, text: str, answers: list[bytes]) -> None:
        """What was told of the mailbox that the command names, or is open."""
        if match := re.match(r'(SELECT|EXAMINE|STATUS) "?([^"]*)"?', text):
            box = match[2] if name != "x" else f"x's {match[2]}"
            if match[1] != "STATUS":
                self.boxes[name] = box if b" OK " in answers[-1] else ""
            for answer in answers:
                if told := re.search(rb"UIDVALIDITY (\d+)", answer):
                    self.validity[box] = told[1]
                if told := re.search(rb"HIGHESTMODSEQ (\d+)", answer):
                    self.modseq[box] = told[1]

    def end(self, name: str) -> None:
        if name in self.sessions:
            session = self.sessions.pop(name)
            try:
                session.send("logout LOGOUT")
                session.until(b"logout ")
            except Ended:
                pass
            session.end()

    def end_all(self) -> None:
        for name, box in list(self.boxes.items()):
            if box and name in self.sessions:
                try:
                    self.send(name, "UNSELECT")
                    self.receive(name, "UNSELECT")
                except Ended:
                    pass
        for name in list(self.sessions):
            self.end(name)

    # Others.

    def lmtp(self, who: str, message: str, box: str) -> list[bytes]:
        data = randomcommands.message(message)
        with smtplib.LMTP("127.0.0.1", self.ports["LMTP"], "localhost", timeout=ANSWER_SECS) as lmtp:
            lmtp.ehlo()
            lmtp.mail("a@example.org")
            answers = [b"%d %b" % lmtp.rcpt(f'"{self.user}{"x" * (one == "2")}+{box}"') for one in who]
            if not all(answer.startswith(b"250") for answer in answers):
                return answers
            lmtp.putcmd("DATA")
            lmtp.getreply()
            lmtp.send(smtplib._quote_periods(smtplib._fix_eols(data.decode("latin-1")).encode("latin-1")))  # type: ignore
            lmtp.send(("" if data.endswith(b"\n") else "\r\n") + ".\r\n")
            try:
                return [b"%d %b" % lmtp.getreply() for _ in who]
            except (smtplib.SMTPServerDisconnected, OSError):
                return [ENDED]

    def pop3(self, commands: list[str]) -> list[bytes]:
        session = Session(self.ports["POP3"])
        answers: list[bytes] = []
        try:
            session.line()
            for command in (f"USER {self.user}", "PASS secret", *commands, "QUIT"):
                session.send(command)
                answers.append(session.line())
                many = command.startswith(("RETR", "TOP", "CAPA")) or command in ("LIST", "UIDL")
                while many and answers[-1] != b".\r\n" and not answers[-1].startswith(b"-ERR"):
                    answers.append(session.line())
        except Ended:
            answers.append(ENDED)
        session.end()
        return answers

    def stop(self) -> None:
        subprocess.run([self.server, "stop", self.folder], check=True)

    def log(self) -> str:
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return file.read()


# --- rounds ---------------------------------------------------------------------

# the line, and what each side answered to it
Difference = tuple[int, list[bytes], list[bytes]]


class World:
    def __init__(self, store: str, tree: str, folder: str) -> None:
        self.store, self.folder, self.verbose = store, folder, False
        for name in ("maildir", "bridge", "stores"):
            os.makedirs(f"{folder}/{name}")
        os.chmod(f"{folder}/stores", 0o1777)
        program, path, *options = STORES[store]
        os.mkdir(f"{folder}/filter")
        os.chmod(f"{folder}/filter", 0o1777)
        self.faults("")
        backend = [f"{ROOT}/test/stores/filter.py", f"{folder}/filter", "--"]
        backend += [f"{tree}/backends/{program}", path.format(f"{folder}/stores/%u"), *options]
        # with an index of it, a list may lack what was just made
        plain = ("mail_plugins =", "mailbox_list_index = no", f"mail_location = maildir:{folder}/maildir/state/%u/Maildir")
        self.sides = [Side("maildir", f"{folder}/maildir", tree, ["/bin/false"], plain)]
        self.sides.append(Side("bridge", f"{folder}/bridge", tree, backend, ()))
        self.plays = 0

    def stop(self) -> None:
        for side in self.sides:
            side.stop()

    def faults(self, line: str) -> None:
        """What the bridge's store does wrong (filter.py)."""
        path = f"{self.folder}/filter/faults"
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{line}\n")
        os.chmod(path, 0o666)

    def play(self, lines: list[str]) -> Difference | None:
        """For users who have nothing yet; the first difference."""
        self.plays += 1
        odd = any(date in line for line in lines for date in randomcommands.ODD_DATES)
        # the other user has a store of his own, with the same numbers
        self.pairs, self.others = (Pairs("--uids" in self.store, odd) for _ in range(2))
        self.idling: set[str] = set()
        TICKS.clear()
        self.faults("")
        for side in self.sides:
            side.begin(f"r{self.plays}")
        logged = len(self.sides[1].log())
        try:
            for number, line in enumerate(lines):
                mine, theirs = self.line(line)
                if mine == theirs and (ADDING if self.pairs.uids else REMOVING).search(line):
                    mine, theirs = self.settle()
                if self.verbose:
                    print(f"{line}\n  maildir {b''.join(mine)!r:.2000}\n  bridge  {b''.join(theirs)!r:.2000}")
                if mine != theirs and re.match(r"\w+ RENAME ", line) and b"[ALREADYEXISTS]" in theirs[-1]:
                    # Maildir++ moves what lies below a name that is no mailbox into one that is
                    # there, though RFC 9051, 6.3.6, has no RENAME onto a name: two worlds from here
                    return None
                if mine != theirs and not self.verbose:
                    return number, mine, theirs
            if serious := [text for text in self.sides[1].log()[logged:].splitlines() if SERIOUS.search(text)]:
                return len(lines) - 1, [b"nothing in the log"], [text.encode() for text in serious[:5]]
            return None
        finally:
            for idler in sorted(self.idling):
                self.command(f"{idler} DONE", idler, "DONE")
            for side in self.sides:
                side.end_all()

    def line(self, line: str) -> tuple[list[bytes], list[bytes]]:
        name, _, text = line.partition(" ")
        bridge = self.sides[1]
        for idler in sorted(self.idling) if line == "lose" else [name] if text == "end" and name in self.idling else []:
            self.command(f"{idler} DONE", idler, "DONE")
        if line == "lose":
            for pairs in self.pairs, self.others:
                pairs.apart |= {NAMES, MARKS}
            for side in self.sides:
                side.end_all()
            for path in glob.glob(f"{self.folder}/bridge/state/{bridge.user}/**/dovecot.index*", recursive=True):
                os.unlink(path)
        elif line in ("busy", "well"):
            # what the store copies has the flags that wait to go, and those stay names of the
            # mailbox
            self.pairs.apart.add(NAMES)
            self.faults("STORE no BUSY" if line == "busy" else "")
        elif line == "tick":
            TICKS.append(int(time.time()) + 1)
            time.sleep(TICKS[-1] + 0.02 - time.time())
        elif text == "end":
            for side in self.sides:
                side.end(name)
        elif name == "lmtp":
            who, message, box = re.match(r"(\d+) \{msg:([^}]*)\} (.*)", text).groups()  # type: ignore
            return self.ruled([side.lmtp(who, message, box) for side in self.sides])
        elif name == "pop3":
            return self.pop3(text.split(";"))
        else:
            return self.command(line, name, text)
        return [], []

    @staticmethod
    def ruled(answers: list[list[bytes]]) -> tuple[list[bytes], list[bytes]]:
        mine, theirs = ([ruled(answer) for answer in some] for some in answers)
        return [answer for answer in mine if answer], [answer for answer in theirs if answer]

    def pop3(self, commands: list[str]) -> tuple[list[bytes], list[bytes]]:
        both = [side.pop3(commands) for side in self.sides]
        names = [[re.sub(rb".* (\S+)\r\n", rb"\1", line) for line in some if re.match(rb"(\+OK )?\d+ [0-9a-f]{9,}\r", line)]
                 for some in both]  # fmt: skip
        mine, theirs = ([re.sub(rb"\b[0-9a-f]{9,}\r", b"#", line) for line in some] for some in both)
        for one, two in zip(*names):
            if self.pairs.validity(b"UIDL " + one, two) != b"UIDL " + one or self.pairs.validity(b"!UIDL " + two, one) != b"!UIDL " + two:
                theirs.append(b"another UIDL for %b: %b" % (one, two))
        return mine, theirs

    def settle(self) -> tuple[list[bytes], list[bytes]]:
        """All look at their mailboxes. What was expunged by another session, and not told yet, a
        Maildir cannot show any more, and the bridge may. What is new in a store that gives
        UIDs is in the index when the mailbox is looked at, not before."""
        found: tuple[list[bytes], list[bytes]] = ([], [])
        for name, box in sorted(self.sides[0].boxes.items()):
            if box and name in self.sides[0].sessions and name not in self.idling:
                for mine, answers in zip(found, self.command(f"{name} NOOP", name, "NOOP", settling=True)):
                    mine += answers
        return found

    def command(self, line: str, name: str, text: str, settling: bool = False) -> tuple[list[bytes], list[bytes]]:
        both: list[list[bytes]] = []
        if name in self.idling and text != "DONE" or not all(side.can(text) for side in self.sides):
            return [], []  # of a round that is made smaller
        (self.idling.add if text == "IDLE" else self.idling.discard)(name)
        pairs = self.others if name == "x" else self.pairs
        where = self.sides[0].validity.get(self.sides[0].boxes.get(name, ""), b"")
        for side in self.sides:
            try:
                side.send(name, text, pairs if side.name == "bridge" else None, where)
            except Ended:
                pass  # is told when nothing comes
        for side in self.sides:
            try:
                answers = side.receive(name, text)
                if text == "DONE":
                    # what came while it idled is told by DONE or by the next command
                    side.send(name, "NOOP")
                    answers += side.receive(name, "NOOP")
                both.append(answers)
            except Ended:
                both.append([ENDED])
        if any(ENDED in some for some in both):
            for side in self.sides:
                side.end(name)
        where = self.sides[0].validity.get(self.sides[0].boxes.get(name, ""), b"")
        mine, theirs = self.ruled(both)
        if text.startswith("RENAME "):
            # names that were stored for no message are the process's alone, and a Maildir
            # that has another folder now is another one to it
            pairs.apart.add(NAMES)
        for pattern in pairs.apart:
            mine, theirs = ([one for one in some if not pattern.match(one)] for some in (mine, theirs))
        if UNORDERED.match(line):
            mine, theirs = sorted(mine), sorted(theirs)
        if text == "DONE" or settling:
            mine, theirs = summary(mine), summary(theirs)
        if len(mine) == len(theirs):
            same = [pairs.same(line, where, *pair) for pair in zip(mine, theirs)]
            mine, theirs = [one for one, _ in same], [two for _, two in same]
        if pairs.uids and mine == theirs and (settling or re.match("SELECT|EXAMINE|DONE", text)):
            # which UIDs are there, so that a set of them means the same on both sides
            return self.command(f"{name} UID SEARCH ALL", name, "UID SEARCH ALL")
        return mine, theirs

    def shrunk(self, lines: list[str], found: Difference) -> tuple[list[str], Difference]:
        """The fewest lines that show the same difference in the same line."""
        lines, last = lines[: found[0]], lines[found[0]]
        size, plays, end = max(1, len(lines) // 2), 0, time.monotonic() + SHRINK_SECS
        while True:
            at, smaller = 0, False
            while at < len(lines) and plays < SHRINK_PLAYS and time.monotonic() < end:
                some = lines[:at] + lines[at + size :]
                again, plays = self.play([*some, last]), plays + 1
                if again and again[0] == len(some):
                    lines, found, smaller = some, again, True
                else:
                    at += size
            if size == 1 and not smaller or plays >= SHRINK_PLAYS or time.monotonic() > end:
                return [*lines, last], found
            size = max(1, size // 2)


def show(store: str, seed: str, lines: list[str], found: Difference) -> None:
    _, mine, theirs = found
    print(f"DIFFERENT: {store}, {seed}; the smallest sequence:", *lines, sep="\n    ")
    number = next(n for n in range(max(len(mine), len(theirs))) if mine[n : n + 1] != theirs[n : n + 1])
    for name, some, other in (("maildir", mine, theirs), ("bridge", theirs, mine)):
        print(f"  {name:8} {len(some)} answers, number {number}: {excerpt(some, number, other)}")
    sys.stdout.flush()


def rounds(options: argparse.Namespace, share: float) -> Iterator[tuple[str, list[str]]]:
    """Name and lines of each."""
    if options.play:
        with open(0 if options.play == "-" else options.play, encoding="utf-8") as file:
            yield options.play, [line.strip() for line in file if line.strip()]
    elif options.round is not None:
        yield f"--seed {options.seed} --round {options.round}", randomcommands.made(f"{options.seed} {options.round}")
    else:
        end, number = time.monotonic() + share, 0
        while number < options.rounds if options.rounds else time.monotonic() < end:
            yield f"--seed {options.seed} --round {number}", randomcommands.made(f"{options.seed} {number}")
            number += 1


def run(store: str, options: argparse.Namespace, folder: str) -> int:
    count = lines_played = differences = 0
    world = World(store, options.tree, folder)
    try:
        for name, lines in rounds(options, options.secs / len(options.stores)):
            count, lines_played = count + 1, lines_played + len(lines)
            world.verbose = options.verbose
            found = world.play(lines)
            world.verbose = False
            if found:
                differences += 1
                show(store, name, *world.shrunk(lines, found))
                if not options.all:
                    break
    finally:
        world.stop()
    print(f"{store}, seed {options.seed}: {count} rounds, {lines_played} commands, {differences} differences", flush=True)
    return differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), metavar="N")
    parser.add_argument("--secs", type=float, default=600, metavar="S", help="shared by the stores")
    parser.add_argument("--rounds", type=int, metavar="N", help="of each store, instead of a time")
    parser.add_argument("--round", type=int, metavar="K", help="this one alone")
    parser.add_argument("--play", metavar="FILE", help="the lines of this file alone")
    parser.add_argument("--all", action="store_true", help="go on after a difference")
    parser.add_argument("--verbose", action="store_true", help="print what each side answers")
    parser.add_argument("--tree", default=ROOT, metavar="DIR")
    parser.add_argument("stores", nargs="+", choices=STORES, metavar="STORE")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end, too
    differences = 0
    for store in options.stores:
        folder = tempfile.mkdtemp(prefix="dovebridge-randomdiff.")
        os.chmod(folder, 0o755)
        try:
            differences += run(store, options, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
