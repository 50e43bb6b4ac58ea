#!/usr/bin/python3
"""Gives the same IMAP commands to Dovecot on a Maildir and behind the bridge, and
compares every answer.

    diffcheck.py prepare WORK           the messages: WORK/mail, WORK/Maildir
    diffcheck.py run GROUP,... WORK [OPTION...] -- BACKEND [ARG...]
    diffcheck.py groups                 names and sizes of the groups of commands

WORK/mail is the tree for the backend. Both sides are opened for the first time and
have one order, the same UIDs and, with a backend that lists mtimes, the same dates;
one that lists none is asked first for the dates that the bridge finds (--ask-dates),
and the Maildir gets those. OPTION is also --set NAME=VALUE for Dovecot, both sides.

Answers must be the same byte for byte, in one order. What may differ is said at
NORMALISED, and below it what is not asked at all. A difference is shown with both
answers, from where they part, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import glob
import os
import pwd
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from random import Random

import corpus
from base import ROOT, STOP_SECS
from dovecot import dovecot_is, kept, libexec
from dovecotconf import configuration

ANSWER_SECS = 180  # longer than anything that is asked for
SHOWN_BYTES = 600  # of an answer, on each side of the place where two part
SHOWN_BEFORE = 120
ZONE = "Asia/Kathmandu"  # neither UTC nor whole hours

# --- what may differ ------------------------------------------------------------

NORMALISED: tuple[tuple[str, bytes, bytes], ...] = (
    ("how long it took", rb" \([0-9.]+( \+ [0-9.]+)* secs\)\.(?=\r\n\Z)", b""),
    ("UIDVALIDITY: each store makes up its own", rb"(?<=[\[( ]UIDVALIDITY )\d+", b"#"),
    # a Maildir looks at the times of its folders, the bridge into no mailbox to list it
    ("whether a mailbox may have news", rb" ?\\(?:Un)?[Mm]arked(?=[ )])", b""),
)
# Mailboxes of a Maildir come as the folder has them, those of the bridge as listed.
UNORDERED = re.compile(r"\w+ (LIST|LSUB) ")
MODSEQ = re.compile(rb"[\[( ](?:HIGHESTMODSEQ |MODSEQ \(|MODSEQ )(\d+)")
# A piece of a message: what is before its data, how long that is, and it.
PIECE = re.compile(rb"(.*\]<\d+> \{(\d+)\}\r\n)(.*)\)\r\n", re.DOTALL)
# Left out:
#   SAVEDATE        a Maildir has the file's ctime, the bridge when it first listed it;
#                   SAVEDSINCE and its like are asked for days long before both
#   X-GUID, STATUS (X-GUID)   names that each store makes up
#   APPEND, COPY, MOVE, EXPUNGE   the bridge does not write (readonly.bats)
#   mail_attachment_detection_options=add-flags   of a message that is read for the
#                   first time, the bridge tells FLAGS before it has the keyword, a
#                   Maildir after; both tell it again at the end of the command

# --- the messages ---------------------------------------------------------------

BOXES = ("INBOX", "Other", "Empty")
BIG_BYTES = 400_000
HEAD = "From: Ada <ada@example.org>\nTo: bo@example.org\nDate: {date}\n"

# (own id, References, In-Reply-To, subject) of messages that belong together
CONVERSATION: tuple[tuple[str, str, str, str], ...] = (
    ("<t1@x>", "", "", "Kettle"),
    ("<t2@x>", "<t1@x>", "<t1@x>", "Re: Kettle"),
    ("<t3@x>", "<t1@x> <t2@x>", "", "RE: kettle "),
    ("<t4@x>", "", "<t2@x>", "Re: Re: Kettle (fwd)"),
    ("<t5@x>", "<t1@x> <missing@x>", "<missing@x>", "[list] Re: Kettle"),
    ("<t6@x>", "<missing@x>", "", "Fwd: Kettle"),
    ("<t7@x>", "<never@x> <seen@x>", "", "=?utf-8?Q?Re=3A_Gr=C3=BC=C3=9Fe?="),
    ("<t8@x>", "<seen@x>", "", "Grüße"),
    ("<loop1@x>", "<loop2@x>", "", "Loop"),
    ("<loop2@x>", "<loop1@x>", "", "Re: Loop"),
    ("<self@x>", "<self@x>", "<self@x>", "Re: Myself"),
    ("<t1@x>", "", "", "A second one with the id of the first"),
    ("", "<t1@x>", "", "Re: no id at all"),
    ("not an id", "not <t3@x> <broken", "also not", "Re: [Fwd: Kettle]"),
    ("<t9@x>", "<t3@x> <t2@x> <t1@x>", "", "Re: backwards"),
    ("<t10@x>", "", "", "Kettle"),
    ("<t11@x>", "", "", "Re:"),
    ("<t12@x>", "", "", ""),
)


def conversation() -> list[bytes]:
    found = []
    for number, (own, references, reply, subject) in enumerate(CONVERSATION):
        text = HEAD.format(date=f"{1 + number % 9} Mar 2020 {number:02}:00:00 +0{number % 7}00")
        fields = {"Message-ID": own, "References": references, "In-Reply-To": reply, "Subject": subject}
        text += "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
        found.append(f"{text}\nText number {number}.\n".encode())
    return found


def big(rng: Random) -> bytes:
    return corpus.attachment(rng, BIG_BYTES)


def encoded_parts(rng: Random) -> bytes:
    """Longer than what a decoder takes at once, shorter than what is kept in memory."""
    quoted = "\n".join(corpus.sentence(rng).replace("e", "=65") for _ in range(100))
    parts = [
        f"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n{corpus.base64_lines(rng, 36_000)}",
        f"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n{quoted}\n",
    ]
    return (corpus.header(rng, "MIME-Version: 1.0", corpus.typed("mixed", "b")) + "\n" + corpus.multipart("b", parts)).encode()


def messages() -> dict[str, list[bytes]]:
    """By mailbox, in order."""
    kinds: list[corpus.Kind] = [*corpus.USUAL, *corpus.USUAL, *corpus.RARE, encoded_parts, corpus.with_nul, corpus.with_nul]
    kinds = [big if kind is corpus.big_attachment else kind for kind in kinds]
    made = [kind(Random(f"differ {n}")) for n, kind in enumerate(kinds)] + conversation()
    Random(3).shuffle(made)
    other = [corpus.plain(Random(f"other {n}")) for n in range(5)]
    return {"INBOX": made, "Other": other, "Empty": []}


def mtimes(count: int) -> list[int]:
    """Seconds apart, years apart, equal, at midnight, and of the last days."""
    rng, now = Random(7), int(time.time())
    times = [rng.randrange(900_000_000, 1_700_000_000) for _ in range(max(count, 50))]
    times[3:6] = [times[2]] * 3
    times[10:13] = [1_600_041_599, 1_600_041_600, 1_600_020_900]  # midnight of UTC and of ZONE
    times[20:23] = [now - 1800, now - 2 * 86400, now - 20 * 86400]
    times[30:33] = [1, 2**31 - 1, 2**31 + 100]
    return times[:count]


def write_file(path: str, data: bytes, mtime: int) -> None:
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (mtime, mtime))


def maildir_file(folder: str, number: int) -> str:
    return f"{folder}/new/{1_000_000_000 + number}.M{number}P1.example"


def late_message(number: int) -> tuple[bytes, int]:
    """One that comes later: its bytes and its date, which its header has as well."""
    text = f"Date: Fri, 1 Mar 2024 12:00:{number % 60:02} +0000\nMessage-ID: <late{number}@x>\nSubject: Re: Kettle\n"
    return f"{text}References: <t1@x>\n\nLate number {number}.\n".encode(), 1_709_294_400 + number % 60


def deliver(work: str, number: int) -> None:
    """Into both stores, each from a file with another name, as a delivery has to."""
    for path in (f"{work}/mail/{number:04}.eml", maildir_file(f"{work}/Maildir", number)):
        write_file(f"{path}.part", *late_message(number))
        if os.getuid() == 0:
            shutil.chown(f"{path}.part", "nobody")
        os.rename(f"{path}.part", path)


def remove(work: str, number: int) -> None:
    os.unlink(f"{work}/mail/{number:04}.eml")
    for path in glob.glob(f"{work}/Maildir/*/*.M{number}P1.*"):
        os.unlink(path)


def maildir_folder(work: str, box: str) -> str:
    return f"{work}/Maildir" + ("" if box == "INBOX" else f"/.{box}")


def prepare(work: str) -> None:
    for box, texts in messages().items():
        mail, maildir = f"{work}/mail" + ("" if box == "INBOX" else f"/{box}"), maildir_folder(work, box)
        os.makedirs(mail)
        for kind in ("new", "cur", "tmp"):
            os.makedirs(f"{maildir}/{kind}")
        for number, (data, mtime) in enumerate(zip(texts, mtimes(len(texts)))):
            write_file(f"{mail}/{number:04}.eml", data, mtime)
            write_file(maildir_file(maildir, number), data, mtime)
    open(f"{work}/mail/Empty/.keep", "wb").close()


# --- a session ------------------------------------------------------------------


class Session:
    """IMAP over a program's stdin and stdout; answers as they are."""

    def __init__(self, argv: list[str], log: str, more: dict[str, object]) -> None:
        with open(log, "ab") as file:
            self.process = subprocess.Popen(
                argv, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, **more  # type: ignore
            )
        self.log, self.pending, self.tag = log, b"", 0

    def send(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode("utf-8", "surrogateescape") + b"\r\n")

    def fill(self) -> None:
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], ANSWER_SECS)[0]:
            raise SystemExit(f"no answer within {ANSWER_SECS} s")
        data = os.read(self.process.stdout.fileno(), 1 << 20)
        if not data:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                raise SystemExit("a session ended; its log:\n" + file.read())
        self.pending += data

    def take(self, count: int) -> bytes:
        while len(self.pending) < count:
            self.fill()
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def line(self) -> bytes:
        while (end := self.pending.find(b"\r\n")) < 0:
            self.fill()
        return self.take(end + 2)

    def answer(self) -> bytes:
        """One answer, its literals included."""
        text = last = self.line()
        while literal := re.search(rb"\{(\d+)\}\r\n\Z", last):
            text += self.take(int(literal[1]))
            last = self.line()
            text += last
        return text

    def until(self, start: bytes) -> list[bytes]:
        answers = [self.answer()]
        while not answers[-1].startswith(start):
            answers.append(self.answer())
        return answers

    def end(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Side:
    """One of the two: how its sessions start, those that run, and what its numbers
    were: {modseq} in a command is the highest that it told, {mark} what that was
    at the last "mark", {validity} its UIDVALIDITY."""

    def __init__(self, name: str, argv: list[str], log: str, **more: object) -> None:
        self.name, self.argv, self.log, self.more = name, argv, log, more
        self.sessions: dict[str, Session] = {}
        self.numbers = {"modseq": 1, "mark": 1, "validity": 1}

    def session(self, name: str) -> Session:
        if name not in self.sessions:
            self.sessions[name] = Session(self.argv, self.log, self.more)
            self.sessions[name].answer()  # the greeting, which tells the capability
        return self.sessions[name]

    def send(self, name: str, text: str) -> None:
        session = self.session(name)
        for key, value in self.numbers.items():
            text = text.replace("{%s}" % key, str(value))
        if text != "DONE":
            session.tag += 1
            text = f"{name}{session.tag} {text}"
        session.send(text)

    def receive(self, name: str, start: str) -> list[bytes]:
        session = self.session(name)
        answers = session.until(start.encode() or f"{name}{session.tag} ".encode())
        for answer in answers:
            self.numbers["modseq"] = max([self.numbers["modseq"], *map(int, MODSEQ.findall(answer))])
            if validity := re.search(rb"\[UIDVALIDITY (\d+)", answer):
                self.numbers["validity"] = int(validity[1])
        return answers

    def end(self, name: str) -> None:
        self.sessions.pop(name).end()


# --- the two sides --------------------------------------------------------------

CONFIGURATION = """protocols =
log_path = /dev/stderr
ssl = no
imap_fetch_failure = no-after
base_dir = {work}/run
state_dir = {work}/run
mail_location = maildir:{work}/Maildir
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


def settings(options: argparse.Namespace) -> list[str]:
    pairs = ["mail_fsync=never", *options.set]
    return [word for pair in pairs for word in ("-o", pair)]


def maildir_side(options: argparse.Namespace) -> Side:
    """Dovecot's imap as dovebridge imap runs it: as root it becomes nobody."""
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    more: dict[str, object] = {"env": {"USER": user.pw_name, "HOME": user.pw_dir, "TZ": ZONE, "PATH": "/usr/bin:/bin"} | kept("USER", "HOME", "TZ")}
    if os.getuid() == 0:
        more |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        for folder, _, names in os.walk(f"{options.work}/Maildir"):
            for path in (folder, *(f"{folder}/{name}" for name in names)):
                os.chown(path, user.pw_uid, user.pw_gid)
    with open(f"{options.work}/maildir.conf", "w", encoding="utf-8") as file:
        file.write(configuration(CONFIGURATION.format(work=options.work)))
    argv = [libexec("imap"), "-c", f"{options.work}/maildir.conf", *settings(options)]
    return Side("maildir", argv, f"{options.work}/maildir.log", **more)


def bridge_side(options: argparse.Namespace) -> Side:
    argv = [f"{ROOT}/build/dovebridge", "imap", "--state", f"{options.work}/state", *settings(options)]
    return Side("bridge", [*argv, "--", *options.backend], f"{options.work}/bridge.log", env=os.environ | {"TZ": ZONE})


def take_dates(work: str, bridge: Side) -> None:
    """The Maildir gets the dates that the bridge finds. EXAMINE leaves \\Recent."""
    for box in BOXES:
        bridge.send("dates", f"EXAMINE {box}")
        bridge.receive("dates", "")
        bridge.send("dates", "UID FETCH 1:* INTERNALDATE")
        for answer in bridge.receive("dates", ""):
            if found := re.search(rb'UID (\d+) INTERNALDATE "([^"]*)"', answer):
                date = time.mktime(time.strptime(found[2].decode()[:20], "%d-%b-%Y %H:%M:%S"))
                os.utime(maildir_file(maildir_folder(work, box), int(found[1]) - 1), (date, date))
    bridge.end("dates")


# --- the comparison -------------------------------------------------------------


def normalised(answer: bytes) -> bytes:
    head, brace, rest = answer.partition(b"}\r\n")
    texts = [head + brace, rest] if brace else [head]
    for _, pattern, instead in NORMALISED:
        texts = [re.sub(pattern, instead, text) for text in texts]
    return b"".join(texts)


def is_cut_wrongly(maildir: bytes, bridge: bytes) -> bool:
    """Where a piece begins between CR and LF, Dovecot 2.4 begins it with that CR, of a Maildir
    whose files have none."""
    theirs, ours = PIECE.fullmatch(maildir), PIECE.fullmatch(bridge)
    if not (dovecot_is("2.4") and theirs and ours):
        return False
    return theirs[1] == ours[1] and theirs[3] == (b"\r" + ours[3])[: int(theirs[2])] and ours[3][:1] == b"\n"


def excerpt(answers: list[bytes], number: int, other: list[bytes]) -> str:
    if number >= len(answers):
        return "no more answers"
    answer, against = answers[number], other[number] if number < len(other) else b""
    start = max(0, len(os.path.commonprefix([answer, against])) - SHOWN_BEFORE)
    shown = answer[start : start + SHOWN_BEFORE + SHOWN_BYTES]
    return (f"(from byte {start}) " if start else "") + repr(shown)[1:]


def report(line: str, sides: list[Side], answers: list[list[bytes]]) -> None:
    print(f"DIFFERENT: {line!r}")
    first, second = answers
    for number in range(max(len(first), len(second))):
        if first[number : number + 1] != second[number : number + 1]:
            break
    for side, mine, other in ((sides[0], first, second), (sides[1], second, first)):
        print(f"  {side.name:8} {len(mine)} answers, number {number}: {excerpt(mine, number, other)}")


class Player:
    """Plays lines on both sides. A line is a session's name and a command, or
    "NAME end"; "NAME wait TEXT", untagged answers until one starts so; "mark";
    "deliver NUMBER" and "remove NUMBER" in the stores themselves."""

    def __init__(self, work: str, sides: list[Side]) -> None:
        self.work, self.sides, self.commands, self.differences = work, sides, 0, 0

    def play(self, line: str) -> None:
        name, _, text = line.partition(" ")
        if name == "mark":
            for side in self.sides:
                side.numbers["mark"] = side.numbers["modseq"]
        elif name in ("deliver", "remove"):
            {"deliver": deliver, "remove": remove}[name](self.work, int(text))
        elif text == "end":
            for side in self.sides:
                side.end(name)
        elif text.startswith("wait "):
            self.compare(line, name, text.removeprefix("wait "))
        else:
            for side in self.sides:
                side.send(name, text)
            self.compare(line, name, "+ " if text == "IDLE" else "")

    def compare(self, line: str, name: str, start: str) -> None:
        answers = [list(map(normalised, side.receive(name, start))) for side in self.sides]
        if UNORDERED.match(line):
            answers = [sorted(some) for some in answers]
        self.commands += 1
        maildir, bridge = answers
        answers[0] = [ours if is_cut_wrongly(theirs, ours) else theirs for theirs, ours in zip(maildir, bridge)] + maildir[len(bridge) :]
        if answers[0] != answers[1]:
            self.differences += 1
            report(line, self.sides, answers)


# --- the commands ---------------------------------------------------------------
#
# A table is of commands for one session; reading() makes the lines that play it on
# fresh indexes, and backwards in a second session, which has the caches of the first.


def reading(table: Iterable[str], opener: str = "SELECT INBOX") -> list[str]:
    commands = list(table)
    lines = [f"a {opener}", *(f"a {command}" for command in commands), "a end"]
    return lines + [f"b {opener}", *(f"b {command}" for command in reversed(commands)), "b end"]


def fetches(items: Iterable[str], messages_: str = "1:*") -> list[str]:
    return [f"FETCH {messages_} {item}" for item in items]


def literal(text: str, charset: str = "utf-8") -> str:
    data = text.encode(charset)
    return "{%d+}\r\n" % len(data) + data.decode("utf-8", "surrogateescape")


FETCH_ITEMS = (
    "ALL", "FAST", "FULL", "ENVELOPE", "BODY", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "FLAGS", "UID",
    "MODSEQ", "(UID)", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", "(BODYSTRUCTURE BODY ENVELOPE UID)",
    "(FLAGS FLAGS UID)", "RFC822.HEADER", "PREVIEW", "(PREVIEW)", "PREVIEW (LAZY)", "(PREVIEW (LAZY) UID)", "SNIPPET",
)  # fmt: skip
FETCH_SETS = ("1", "*", "1:3,7", "*:1", "5:2", "3,3,3", "90:*", "500", "1:500", "1:*", "$")
SECTIONS = (
    "", "HEADER", "TEXT", "MIME", "1", "1.MIME", "1.HEADER", "1.TEXT", "1.1", "1.1.1", "2", "2.MIME", "2.HEADER",
    "2.TEXT", "2.1", "2.1.MIME", "2.1.HEADER", "2.2", "2.2.MIME", "3", "3.HEADER", "6", "1999", "2000.MIME", "2001",
    "1.1.1.1.1", "HEADER.FIELDS (SUBJECT)", "HEADER.FIELDS (Subject From)", "HEADER.FIELDS (from SUBJECT x-none)",
    "HEADER.FIELDS (X-None)", "HEADER.FIELDS (RECEIVED)", "HEADER.FIELDS (CONTENT-TYPE DATE MESSAGE-ID)",
    "HEADER.FIELDS (X-Space X-Empty)", "HEADER.FIELDS.NOT (RECEIVED X-LONG CC)", "HEADER.FIELDS.NOT (X-None)",
    "HEADER.FIELDS.NOT (From To Subject Date)", "2.HEADER.FIELDS (SUBJECT)", "2.HEADER.FIELDS.NOT (SUBJECT)",
    '"HEADER"', 'HEADER.FIELDS ("Subject")', "HEADER.FIELDS (a:b)",
)  # fmt: skip
PARTIALS = (
    "[]<0.10>", "[]<5.100000>", "[]<0.0>", "[]<0.1>", "[]<100.1>", "[]<300.200>", "[]<399.2>", "[]<4000.4000>",
    "[]<10000000.10>", "[]<0.4294967295>", "[]<4294967295.1>", "[]<0.99999999999>", "[]<1>", "[]<-1.5>", "[]<1.>",
    "[HEADER]<0.10>", "[HEADER]<50.50>", "[HEADER]<5.100000>", "[HEADER]<100000.5>", "[TEXT]<0.10>", "[TEXT]<1.7>",
    "[TEXT]<5.100000>", "[TEXT]<100000.5>", "[1]<0.10>", "[1]<3.100000>", "[2]<1.100>", "[2.MIME]<4.20>",
    "[HEADER.FIELDS (SUBJECT)]<3.9>", "[HEADER.FIELDS.NOT (SUBJECT)]<3.90>", "[1.MIME]<2.5>",
)  # fmt: skip
BINARY = ("BINARY.PEEK[]", "BINARY.PEEK[1]", "BINARY.PEEK[2]", "BINARY.SIZE[1]", "BINARY.SIZE[2]", "BINARY.SIZE[]")
BINARY_MORE = ("BINARY.PEEK[1]<0.10>", "BINARY.PEEK[2]<5.10000>", "BINARY.PEEK[2.1]", "BINARY.PEEK[1.1]",
               "BINARY.PEEK[HEADER]", "BINARY.SIZE[2.1]", "BINARY[1]", "BINARY.PEEK[]<3.4>")  # fmt: skip
FETCH_ERRORS = (
    "FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH 0:* FLAGS", "FETCH a FLAGS", "FETCH 1: FLAGS", "FETCH 1,, FLAGS",
    "FETCH 4294967296 FLAGS", "FETCH 1 NONSENSE", "FETCH 1 (FLAGS", "FETCH 1 ()", "FETCH 1 BODY[", "FETCH 1 BODY[0]",
    "FETCH 1 BODY[1.]", "FETCH 1 BODY[1.0]", "FETCH 1 BODY[.1]", "FETCH 1 BODY[1..2]", "FETCH 1 BODY[-1]",
    "FETCH 1 BODY[NONSENSE]", "FETCH 1 BODY[HEADER.FIELDS]", "FETCH 1 BODY[HEADER.FIELDS ()]",
    "FETCH 1 BODY[HEADER.FIELDS (SUBJECT]", "FETCH 1 BODY[]<a.b>", "FETCH 1 BODY.PEEK", "FETCH 1 RFC822.PEEK",
    "FETCH 1 (ALL UID)", "FETCH 1 BODY[4294967296]", "UID FETCH 0 FLAGS", "UID FETCH 99999 FLAGS", "UID FETCH 1",
    "FETCH 1 FLAGS (CHANGEDSINCE)", "FETCH 1 FLAGS (CHANGEDSINCE x)", "FETCH 1 FLAGS (VANISHED)", "NONSENSE", "",
    "SEARCH", "SEARCH NONSENSE", "SEARCH OR ALL", "SEARCH NOT", "SEARCH (ALL", "SEARCH BEFORE yesterday",
    "SEARCH LARGER x", "SEARCH 0", "SEARCH 500", "SEARCH UID a", "SEARCH HEADER", "SEARCH CHARSET NONE TEXT x",
    "SEARCH RETURN (NONSENSE) ALL", "SEARCH RETURN (ALL", "SORT (DATE)", "SORT () UTF-8 ALL", "SORT (NONSENSE) UTF-8 ALL",
    "SORT (REVERSE) UTF-8 ALL", "SORT (DATE) NONE ALL", "THREAD NONSENSE UTF-8 ALL", "THREAD REFERENCES NONE ALL",
    "STORE 1 FLAGS", "STORE 1 NONSENSE (\\Seen)", "STORE 1 +FLAGS (\\Nonsense)", "STORE 1 +FLAGS (\\Recent)",
    "STORE 0 +FLAGS (\\Seen)", "STORE 500 +FLAGS (\\Seen)", "UID STORE 5000 +FLAGS (\\Seen)", "STORE 1 +FLAGS (a]b)",
    "STORE 1 +FLAGS (%x)", "STORE 1 +FLAGS (" + "k" * 300 + ")", "STORE 1 (UNCHANGEDSINCE x) +FLAGS (\\Seen)",
    "STATUS INBOX", "STATUS INBOX ()", "STATUS INBOX (NONSENSE)", "STATUS None (MESSAGES)", "EXAMINE None",
    "SELECT", "SELECT None", "FETCH 1 FLAGS",
)  # fmt: skip

SEARCH_KEYS = (
    "ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "NEW", "OLD", "RECENT", "SEEN", "UNANSWERED", "UNDELETED",
    "UNDRAFT", "UNFLAGGED", "UNSEEN", "KEYWORD Label", "UNKEYWORD Label", "KEYWORD Never", "KEYWORD $Forwarded",
    "UNKEYWORD Never", "1:10", "*", "5,9:7,*", "1:500", "UID 1:10", "UID 5000:*", "UID *", "UID 5000", "NOT ALL",
    "NOT 1:100", "OR 1:3 5:7", "OR NOT SEEN FLAGGED", "NOT (OR SEEN FLAGGED)", "(SEEN FLAGGED)", "SEEN NOT FLAGGED",
    "OR (OR SEEN DELETED) (NOT KEYWORD Label)", "((ALL))", "MODSEQ 1", "MODSEQ {mark}", "MODSEQ 99999999",
    'MODSEQ "/flags/\\\\draft" all 1',
)  # fmt: skip
SEARCH_TEXTS = (
    "FROM ada", "FROM example.org", "FROM nobody", "FROM \"\"", "TO bo", "TO user1", "CC user", "CC undisclosed",
    "BCC a@example.org", "BCC group", "SUBJECT kettle", "SUBJECT \"Re: \"", "SUBJECT rain", "SUBJECT \"a b\"",
    
    "CHARSET US-ASCII SUBJECT kettle", "HEADER Message-ID t1@x", "HEADER Subject rain",
    'HEADER Subject ""', 'HEADER X-Long ""', 'HEADER X-None ""', "HEADER X-Long xxx", "HEADER Received host7",
    "HEADER Content-Type multipart", "HEADER Received host399.example.net", "HEADER X-Space colon", "BODY rain",
    "BODY kernel", "BODY \"see below\"", "BODY caf", "BODY \"part 1999\"", "BODY nowhere-at-all", 'BODY ""',
    "BODY \"leading dot\"", "BODY Content-Type", "BODY filename", "BODY \"soft break\"", "BODY epilogue", "BODY several",
    "BODY \"the parent\"", "BODY Hello", 
    "CHARSET ISO-8859-1 BODY caf", "TEXT rain", "TEXT kettle", "TEXT example.net", "TEXT report.bin", "TEXT boundary",
    "TEXT nowhere-at-all", 
    "NOT BODY rain", "OR BODY rain BODY train", "BODY rain BODY train", "NOT TEXT the", "FROM ada BODY rain",
    "OR FROM ada NOT TO bo", "FUZZY BODY rain", "OR HEADER X-Long x TEXT abcdefghijab", "TEXT \"naïve\"",
    *(f"CHARSET UTF-8 {key} {literal(text)}" for key, text in (
        ("SUBJECT", "Grüße"), ("SUBJECT", "GRÜSSE"), ("SUBJECT", "łódź"), ("FROM", "weiß"), ("SUBJECT", "käse"),
        ("BODY", "café"), ("BODY", "さようなら"), ("BODY", "🌧"), ("TEXT", "łódź"), ("TEXT", "山本"), ("TEXT", "Grüße"),
        ("HEADER From", "山"), ("BODY", "naïve"), ("TEXT", "bis bald"), ("SUBJECT", "über alles"))),
    "CHARSET ISO-8859-1 BODY " + literal("café", "iso-8859-1"), "CHARSET UTF-8 SUBJECT unquoted-ü",
    "CHARSET UTF-16 TEXT " + literal("Łódź", "utf-16"), "CHARSET UTF-8 BODY {3+}\r\n\udcff\udcfe\udcfd",
)  # fmt: skip
SIZES = (0, 1, 2, 100, 300, 500, 1000, 5000, 20_000, 200_000, 500_000, 4_294_967_295)
DAYS = ("1-Jan-1970", "1-Jan-1999", "14-Sep-2020", "13-Sep-2020", "1-Mar-2020", "5-Mar-2020", "1-Jan-2100", '" 1-Mar-2020"')
SEARCH_NUMBERS = (
    *(f"{key} {size}" for key in ("LARGER", "SMALLER") for size in SIZES),
    *(f"{key} {day}" for key in ("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE") for day in DAYS),
    *(f"{key} 1-Jan-2001" for key in ("SAVEDBEFORE", "SAVEDON", "SAVEDSINCE", "NOT SAVEDSINCE")),
    *(f"{key} {age}" for key in ("YOUNGER", "OLDER") for age in (900, 7200, 3 * 86400, 30 * 86400, 400_000_000)),
    "SINCE 1-Jan-2005 BEFORE 1-Jan-2010", "OR SENTON 1-Mar-2020 LARGER 20000", "NOT SENTSINCE 1-Jan-2010",
)  # fmt: skip
RETURNS = (
    *(f"SEARCH RETURN ({words}) {key}" for words in
      ("", "MIN", "MAX", "COUNT", "ALL", "MIN MAX", "MIN MAX COUNT ALL", "COUNT MIN", "PARTIAL 1:5", "PARTIAL 90:200",
       "PARTIAL 1:2 COUNT", "ALL MAX", "SAVE COUNT", "MIN SAVE", "MAX SAVE", "MIN MAX SAVE")
      for key in ("FLAGGED", "NOT ALL", "SUBJECT kettle")),
    "UID SEARCH RETURN (MIN MAX COUNT ALL) SEEN", "UID SEARCH RETURN (ALL) 500", "SEARCH RETURN (SAVE) FLAGGED",
    "FETCH $ UID", "SEARCH $", "UID SEARCH $ SMALLER 1000", "SEARCH RETURN (SAVE) $ SMALLER 1000", "UID FETCH $ FLAGS",
    "SEARCH RETURN (COUNT) $", "SORT (SIZE) UTF-8 $", "THREAD REFS UTF-8 $", "SEARCH NOT $", "SEARCH OR $ 1",
    "SEARCH RETURN (SAVE) NOT ALL", "SEARCH $", "FETCH $ UID", "SEARCH RETURN (SAVE) NONSENSE", "SEARCH RETURN (COUNT) $",
    "UID SEARCH RETURN (COUNT MAX) MODSEQ 1", "SEARCH RETURN (ALL) MODSEQ {mark}", "SEARCH RETURN (MIN) MODSEQ {mark}",
)  # fmt: skip

SORT_KEYS = ("ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO")
SORTS = (
    *(f"SORT ({order}{key}) UTF-8 ALL" for key in SORT_KEYS for order in ("", "REVERSE ")),
    "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "SORT (FROM TO CC SIZE) UTF-8 ALL", "SORT (REVERSE SUBJECT ARRIVAL) UTF-8 ALL",
    "SORT (ARRIVAL) US-ASCII 1:40", "SORT (DATE) UTF-8 SUBJECT kettle", "SORT (SIZE) UTF-8 NOT ALL", "UID SORT (DATE) UTF-8 ALL",
    "UID SORT (REVERSE SIZE) UTF-8 BODY rain", "SORT (X-SCORE) UTF-8 ALL",
    *(f"SORT RETURN ({words}) (SUBJECT) UTF-8 ALL" for words in
      ("", "MIN", "MAX", "COUNT", "ALL", "MIN MAX COUNT ALL", "PARTIAL 1:7", "PARTIAL 100:300", "SAVE")),
    "SEARCH RETURN (ALL) $", "UID SORT RETURN (ALL COUNT) (REVERSE DATE) UTF-8 LARGER 500",
)  # fmt: skip
THREADS = tuple(
    f"{uid}THREAD {algorithm} UTF-8 {key}"
    for algorithm in ("REFERENCES", "REFS", "ORDEREDSUBJECT")
    for key in ("ALL", "SUBJECT kettle", "NOT ALL", "1:60", "FROM ada")
    for uid in ("", "UID ")
)

# Two sessions and then a third; the second has the mailbox open all the time.
FLAGS = (
    "(\\Seen)", "(\\Flagged \\Answered)", "(\\Deleted)", "(\\Draft)", "\\Seen", "()", "(Label)", "(Label $Forwarded)",
    "(label)", "(\\Seen Label)", "(NonJunk)", "(" + " ".join(f"k{n}" for n in range(30)) + ")", '("quoted")', "(ünicode)",
)  # fmt: skip


def storing() -> list[str]:
    lines = ["a SELECT INBOX", "b SELECT INBOX"]
    for number, flags in enumerate(FLAGS):
        some = f"{number + 1}:{number + 4}"
        for how in ("+FLAGS", "-FLAGS.SILENT", "+FLAGS.SILENT", "FLAGS", "-FLAGS", "FLAGS.SILENT"):
            lines += [f"a STORE {some} {how} {flags}", f"b {'NOOP' if number % 2 else 'CHECK'}"]
        lines += [f"a UID STORE {some} +FLAGS {flags}", "a FETCH 1:20 FLAGS", "b FETCH 1:20 FLAGS"]
    lines += ["b UID STORE 2:* -FLAGS (k1 k2)", "b STORE 1:* +FLAGS.SILENT (\\Seen)", "a NOOP", "a STATUS INBOX (UNSEEN)"]
    lines += ["b UNSELECT", "b SELECT INBOX", "b FETCH 1:* FLAGS", "a end", "b end"]
    return [*lines, "c SELECT INBOX", "c FETCH 1:* FLAGS", "c SEARCH UNSEEN", "c SEARCH KEYWORD k5", "c end"]


MARKING = ("BODY[]", "BODY[TEXT]", "BODY[HEADER]", "BODY[1]", "BODY[]<0.10>", "RFC822", "RFC822.TEXT", "RFC822.HEADER",
           "BINARY[1]", "BODY.PEEK[]", "BODY[HEADER.FIELDS (SUBJECT)]", "(FLAGS BODY[1])", "(BODY[2.MIME] FLAGS)",
           "(BODY.PEEK[TEXT] FLAGS)", "BODY[9]", "(UID RFC822.SIZE RFC822.TEXT)")  # fmt: skip


def marking() -> list[str]:
    lines = ["a SELECT INBOX", "b SELECT INBOX"]
    for number, item in enumerate(MARKING):
        some = f"{5 * number + 1}:{5 * number + 5}"
        lines += [f"a FETCH {some} {item}", f"a FETCH {some} {item}", "b NOOP", f"b FETCH {some} FLAGS"]
    lines += ["a EXAMINE INBOX", "a FETCH 96:100 BODY[]", "a FETCH 96:100 FLAGS", "a end", "b end"]
    return [*lines, "c EXAMINE INBOX", "c FETCH 1:* FLAGS", "c SEARCH SEEN", "c end"]


FLAGGED = ("STORE 2:9 +FLAGS (\\Flagged)", "STORE 5:20 +FLAGS.SILENT (\\Seen)", "STORE 30:33 FLAGS (\\Draft Label)",
           "STORE 40 +FLAGS ($Forwarded \\Answered)", "STORE 70:* +FLAGS (\\Deleted label)")  # fmt: skip


def searching(keys: Iterable[str]) -> list[str]:
    """With some flags that the first and the second session set."""
    lines = ["z SELECT INBOX", *(f"z {store}" for store in FLAGGED[:3]), "mark", *(f"z {store}" for store in FLAGGED[3:])]
    return [*lines, "z end", *reading(keys)]


def bad(commands: Iterable[str]) -> list[str]:
    return ["a SELECT INBOX", "a STORE 3 +FLAGS (\\Flagged)", *(f"a {command}" for command in commands), "a end"]


def examining() -> list[str]:
    table = ["STORE 1 +FLAGS (\\Seen)", "FETCH 1:3 BODY[]", "FETCH 1:3 FLAGS", "SEARCH RECENT", "SEARCH UNSEEN", "CLOSE"]
    table += ["FETCH 1 FLAGS", "EXAMINE INBOX", "UID STORE 1 FLAGS.SILENT (Label)", "UNSELECT", "SEARCH ALL"]
    return reading([*table, "SELECT Empty", "FETCH 1:* FLAGS", "UID FETCH 1:* FLAGS", "SEARCH ALL", "SORT (DATE) UTF-8 ALL",
                    "THREAD REFS UTF-8 ALL", "STORE 1:* +FLAGS (\\Seen)", "SELECT Other", "FETCH 1:* ALL"], "EXAMINE INBOX")  # fmt: skip


STATUS = ("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE", "MESSAGES UNSEEN SIZE UIDNEXT",
          "SIZE HIGHESTMODSEQ", "UNSEEN UNSEEN")  # fmt: skip


def statuses() -> list[str]:
    table = [f"STATUS {box} ({items})" for box in BOXES for items in STATUS]
    lines = [f"a {command}" for command in table] + ["a SELECT INBOX", "a STORE 1:50 +FLAGS.SILENT (\\Seen)"]
    lines += [f"a {command}" for command in reversed(table)] + ["a SELECT Other", "b STATUS Other (RECENT)"]
    lines += ["a FETCH 2 BODY[]", "b STATUS Other (RECENT UNSEEN SIZE)", "a end", *(f"b {command}" for command in table)]
    return [*lines, "b end"]


def condstore() -> list[str]:
    lines = ["a SELECT INBOX (CONDSTORE)", "b SELECT INBOX", "a FETCH 1:5 (FLAGS MODSEQ)", "a FETCH 1:* UID (CHANGEDSINCE 1)"]
    lines += ["a FETCH 1:* FLAGS (CHANGEDSINCE 99999999)", "mark", "b STORE 3:6 +FLAGS (\\Flagged Label)", "a NOOP"]
    lines += ["a FETCH 1:* FLAGS (CHANGEDSINCE {mark})", "a UID FETCH 1:* (FLAGS) (CHANGEDSINCE {mark})"]
    lines += ["a STORE 1:8 (UNCHANGEDSINCE {mark}) +FLAGS (\\Seen)", "a FETCH 1:10 (FLAGS MODSEQ)", "b NOOP", "mark"]
    lines += ["a UID STORE 1:8 (UNCHANGEDSINCE {mark}) -FLAGS.SILENT (\\Seen)", "b NOOP", "b FETCH 1:10 FLAGS"]
    lines += ["a STORE 1:8 (UNCHANGEDSINCE 0) +FLAGS (Never)", "a STORE 2 (UNCHANGEDSINCE {mark}) FLAGS.SILENT (Label)"]
    lines += ["a SEARCH MODSEQ {mark}", "a UID SEARCH RETURN (ALL MAX) MODSEQ {mark}", "a SORT (SIZE) UTF-8 MODSEQ {mark}"]
    lines += ["a STATUS INBOX (HIGHESTMODSEQ)", "b STATUS Empty (HIGHESTMODSEQ)", "mark", "b STORE 10 FLAGS (\\Draft)"]
    lines += ["a NOOP", "a FETCH 1:* (UID) (CHANGEDSINCE {mark})", "b ENABLE CONDSTORE", "b STORE 11 +FLAGS (\\Draft)"]
    lines += ["b STORE 12 -FLAGS.SILENT (\\Draft)", "b FETCH 9:12 FLAGS", "a NOOP", "a end", "b NOOP", "b end"]
    return [*lines, "c SELECT INBOX (CONDSTORE)", "c FETCH 1:* FLAGS (CHANGEDSINCE {mark})", "c FETCH 1:* FLAGS", "c end"]


def qresync() -> list[str]:
    lines = ["a ENABLE QRESYNC", "a SELECT INBOX (QRESYNC (1 1))", "a UNSELECT", "a SELECT INBOX", "mark"]
    lines += ["b SELECT INBOX", "b STORE 3:6 +FLAGS (\\Flagged Label)", "a NOOP", "a UNSELECT", "b STORE 8 FLAGS (\\Seen)"]
    resync = "(QRESYNC ({validity} {mark}%s))"
    lines += [f"a SELECT INBOX {resync % known}" for known in ("", " 1:5", " 1:300", " 5:6,200:210", " 1:50 (1,10,50 1,10,50)")]
    lines += ["a SELECT INBOX (QRESYNC ({validity} 1))", "a SELECT INBOX (QRESYNC (7 {mark}))", "a SELECT INBOX (QRESYNC)"]
    lines += ["a SELECT INBOX (QRESYNC (x y))", f"a EXAMINE INBOX {resync % ''}", f"a SELECT Other {resync % ''}"]
    lines += ["a SELECT INBOX", "a UID FETCH 1:* FLAGS (CHANGEDSINCE {mark} VANISHED)", "a UID FETCH 100:300 FLAGS (CHANGEDSINCE 1 VANISHED)"]
    lines += ["a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "b SELECT INBOX (QRESYNC ({validity} {mark}))", "b end", "a end"]
    return [*lines, "c ENABLE QRESYNC", f"c SELECT INBOX {resync % ' 1:*'}", f"c SELECT INBOX {resync % ''}", "c end"]


def changing() -> list[str]:
    lines = ["a SELECT INBOX", "b SELECT INBOX", "b STORE 3 +FLAGS (\\Flagged)", "a NOOP", "b STORE 4:5 +FLAGS (Label)", "a CHECK"]
    lines += ["b STORE 6 +FLAGS (\\Seen)", "a FETCH 6 FLAGS", "b STORE 7 +FLAGS (\\Seen)", "a FETCH 1 UID", "a NOOP"]
    lines += ["b STORE 8 +FLAGS (\\Draft)", "a SEARCH DRAFT", "a NOOP", "b STORE 8 -FLAGS (\\Draft)", "a STORE 8 +FLAGS (\\Seen)"]
    lines += ["a IDLE", "b STORE 9 +FLAGS (\\Answered)", "a wait * 9 FETCH", "a DONE", "a NOOP", "a SEARCH RETURN (UPDATE) FLAGGED"]
    lines += ["b STORE 10:12 +FLAGS (\\Flagged)", "a NOOP", "b STORE 11 FLAGS ()", "a NOOP", 'a CANCELUPDATE "a12"', "a NOOP", 'a CANCELUPDATE "a12"', "a IDLE"]
    lines += ["a DONE", "b STORE 13 +FLAGS.SILENT (New)", "a IDLE", "a DONE", "a NOOP", "a FETCH 1:15 FLAGS", "b FETCH 1:15 FLAGS"]
    return [*lines, "a LOGOUT", "b CLOSE", "b STATUS INBOX (UNSEEN RECENT)", "b end"]


def arriving() -> list[str]:
    lines = ["a SELECT INBOX", "b EXAMINE INBOX", "deliver 200", "a NOOP", "a FETCH * (UID FLAGS INTERNALDATE ENVELOPE)", "b NOOP"]
    lines += ["a SEARCH RECENT", "b SEARCH RECENT", "deliver 201", "deliver 202", "b STATUS INBOX (MESSAGES UIDNEXT RECENT UNSEEN)"]
    lines += ["b NOOP", "a CHECK", "a FETCH *:116 (UID BODY[])", "mark", "remove 201", "a NOOP", "a UID SEARCH ALL", "b NOOP"]
    lines += ["a THREAD REFS UTF-8 ALL", "a SORT (ARRIVAL) UTF-8 ALL", "remove 10", "remove 3", "deliver 203", "a NOOP", "b NOOP"]
    lines += ["a UID FETCH 1:12 UID", "a STATUS INBOX (MESSAGES UIDNEXT RECENT UNSEEN SIZE)", "deliver 204", "a FETCH * UID", "a NOOP"]
    lines += ["b UNSELECT", "b SELECT INBOX", "b SEARCH RECENT", "b UID FETCH 1:* FLAGS", "a end", "b end", "c ENABLE QRESYNC"]
    lines += ["c SELECT INBOX (QRESYNC ({validity} {mark}))", "c UID FETCH 1:* FLAGS (CHANGEDSINCE {mark} VANISHED)", "remove 204"]
    lines += ["c NOOP", "deliver 205", "c UID FETCH 117:* (UID FLAGS)", "c NOOP", "c UID FETCH 117:* (UID FLAGS)", "c THREAD REFS UTF-8 ALL"]
    return [*lines, "c STATUS INBOX (MESSAGES UIDNEXT)", "c end"]


LISTS = (
    'LIST "" *', 'LIST "" %', 'LIST "" ""', 'LIST "" INBOX', 'LIST "" inbox', 'LIST "" O*', 'LIST "" None', 'LIST "Ot" her',
    'LIST "" (Other Empty)', 'LIST "" * RETURN (CHILDREN)', 'LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE))',
    'LIST (SUBSCRIBED) "" *', 'LSUB "" *', "SUBSCRIBE Other", 'LSUB "" *', 'LIST (SUBSCRIBED) "" *',
    'LIST "" * RETURN (SUBSCRIBED)', "SUBSCRIBE None", "UNSUBSCRIBE Other", "UNSUBSCRIBE Other", 'LIST (RECURSIVEMATCH) "" *',
    "NAMESPACE", "CAPABILITY", "ENABLE CONDSTORE", "NOTIFY NONE", "NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))", "NOTIFY NONE",
)  # fmt: skip


def binaries() -> list[str]:
    """Each message by itself: one that cannot be decoded ends the command."""
    ones = [f"FETCH {number} ({' '.join(items)})" for number in range(1, 61) for items in (BINARY[0:1], BINARY[1:5])]
    return reading([*ones, *fetches(BINARY), *fetches(BINARY_MORE, "61:90"), *fetches(BINARY_MORE)])


GROUPS: dict[str, Callable[[], list[str]]] = {
    "items": lambda: reading([*fetches(FETCH_ITEMS), *(f"FETCH {s} UID" for s in FETCH_SETS),
                              *(f"UID FETCH {s} FLAGS" for s in FETCH_SETS)]),
    "whole": lambda: reading(fetches(("RFC822.SIZE", "RFC822.HEADER", "BODY.PEEK[]", "(BODY.PEEK[] RFC822.SIZE)"))),
    "sections": lambda: reading(fetches(f"BODY.PEEK[{section}]" for section in SECTIONS)),
    "partials": lambda: reading(fetches(f"BODY.PEEK{partial}" for partial in PARTIALS)),
    "binary": binaries,
    "marking": marking,
    "search-keys": lambda: searching(f"{uid}SEARCH {key}" for key in SEARCH_KEYS for uid in ("", "UID ")),
    "search-texts": lambda: searching(f"SEARCH {key}" for key in SEARCH_TEXTS),
    "search-numbers": lambda: searching(f"SEARCH {key}" for key in SEARCH_NUMBERS),
    "search-returns": lambda: searching(RETURNS),
    "sort": lambda: reading(SORTS),
    "thread": lambda: reading(THREADS),
    "store": storing,
    "examine": examining,
    "status": statuses,
    "condstore": condstore,
    "qresync": qresync,
    "changes": changing,
    "arrivals": arriving,
    "lists": lambda: reading(LISTS),
    "errors": lambda: bad(FETCH_ERRORS),
}  # fmt: skip


# --- all together ---------------------------------------------------------------


def play(options: argparse.Namespace) -> Player:
    bridge = bridge_side(options)
    if options.ask_dates:
        take_dates(options.work, bridge)
    player = Player(options.work, [maildir_side(options), bridge])
    for group in options.groups:
        for line in group():
            player.play(line)
    return player


def run(options: argparse.Namespace) -> int:
    player = play(options)
    print(f"{player.commands} commands, {player.differences} differences")
    return 1 if player.differences else 0


def main() -> int:
    args = sys.argv[1:]
    split = args.index("--") if "--" in args else len(args)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("groups")
    what.add_parser("prepare").add_argument("work", metavar="WORK")
    runner = what.add_parser("run")
    runner.add_argument("groups", metavar="GROUP", type=lambda text: [GROUPS[name] for name in text.split(",")])
    runner.add_argument("work", metavar="WORK")
    runner.add_argument("--ask-dates", action="store_true")
    runner.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(args[:split])
    options.backend = args[split + 1 :]
    os.environ["TZ"] = ZONE
    time.tzset()
    if options.what == "groups":
        for group, lines in GROUPS.items():
            print(f"{group:16} {len(lines())}")
    elif options.what == "prepare":
        prepare(options.work)
    else:
        return run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
