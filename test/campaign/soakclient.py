"""An IMAP session that believes only what it is told: its view of the selected
mailbox is built from untagged answers, as a mail client's is. A module of soak.py.

What no client may be told (a message that changes its UID, a sequence number that is
none, an EXPUNGE where RFC 3501, 7.4.1 forbids it) is a Violation.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TextIO

ANSWER_SECS = 120  # longer than any command takes
STOP_SECS = 15  # a session that was told to end and has not by then is killed
NO_EXPUNGE = re.compile(r"(FETCH|STORE|SEARCH) ")  # while these are answered, unless UID stands before
SECS = re.compile(r" \([0-9.]+( \+ [0-9.]+)* secs\)\.$")  # that Dovecot says it took
TOKEN = re.compile(rb'\s*(?:([()])|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^\s()"{]+(?:\[[^]]*\])?))')


class Violation(Exception):
    """The bridge has done what it must not."""


class Slow(Violation):
    """It does not answer."""


class Dead(Exception):
    """The session has ended."""


def uid_set(uids: Iterable[int]) -> str:
    return ",".join(map(str, sorted(uids)))


def uids_of(text: str) -> list[int]:
    """1:3,5 as 1,2,3,5, in the order given."""
    uids: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition(":")
        uids += range(int(first), int(last or first) + 1)
    return uids


def parse(data: bytes, at: int = 0) -> list:
    """What stands in parentheses: words, strings as bytes, and lists."""
    stack: list[list] = [[]]
    while match := TOKEN.match(data, at):
        at = match.end()
        bracket, string, literal, word = match.groups()
        if bracket == b"(":
            stack.append([])
        elif bracket == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif string is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", string))
        elif literal is not None:
            stack[-1].append(data[at : at + int(literal)])
            at += int(literal)
        else:
            stack[-1].append(word.decode())
    return stack[0]


@dataclass(eq=False)
class Seen:
    """What a client knows of one message; None = it was not told."""

    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int | None = None
    guid: str | None = None

    def learn(self, told: dict, who: str) -> None:
        """What a FETCH says of it."""
        for name, attribute in (("UID", "uid"), ("X-GUID", "guid")):
            if name in told:
                value = int(told[name]) if name == "UID" else told[name]
                if getattr(self, attribute) not in (None, value):
                    raise Violation(f"{who}: UID {self.uid} is another message now: {told}")
                setattr(self, attribute, value)
        if "MODSEQ" in told:
            modseq = int(told["MODSEQ"][0])
            if modseq < (self.modseq or 0):
                raise Violation(f"{who}: MODSEQ of UID {self.uid} goes back from {self.modseq} to {modseq}")
            self.modseq = modseq
        if "FLAGS" in told:
            self.flags = frozenset(told["FLAGS"]) - {"\\Recent"}


@dataclass
class Answer:
    """What came in reply to one command."""

    command: str
    status: str = ""  # OK, NO; DEAD if the session ended
    text: str = ""
    codes: list[str] = field(default_factory=list)  # response codes with their arguments
    fetched: list[dict] = field(default_factory=list)
    untagged: list[bytes] = field(default_factory=list)  # all of them

    def argument(self, name: str) -> list[str]:
        """The words behind this response code, wherever it stood."""
        return next((code.split(" ")[1:] for code in self.codes if code.startswith(f"{name} ")), [])


class Client:
    """A session on stdin and stdout of a program. With qresync it is told what
    vanished and what changed (RFC 7162)."""

    def __init__(self, name: str, argv: Sequence[str], log: str, transcript: TextIO, qresync: bool) -> None:
        self.name, self.transcript, self.qresync = name, transcript, qresync
        with open(log, "ab") as stderr:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0
            )
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout
        self.traced = argv[0] == "strace"
        self.buffer, self.tag = b"", 0
        self.box = ""  # selected
        self.running = Answer("the greeting")
        self.resyncing: dict[int, Seen] | None = None  # what QRESYNC has told so far
        self.forget()
        try:
            self.response()
        except Dead:
            self.close()
            raise
        if qresync:
            self.command("ENABLE QRESYNC")

    def forget(self) -> None:
        self.messages: list[Seen] = []
        self.uidvalidity = self.uidnext = self.highest = 0

    def note(self, sign: str, data: bytes) -> None:
        text = data.decode(errors="backslashreplace").replace("\r\n", "\n").rstrip("\n")
        if len(text) > 1000:
            text = f"{text[:500]} ... {text[-300:]}"
        self.transcript.write(f"{time.time() % 10000:.3f} {self.name} {sign} {text}\n")
        self.transcript.flush()

    # Bytes.

    def fill(self) -> None:
        if not select.select([self.output], [], [], ANSWER_SECS)[0]:
            raise Slow(f"{self.name}: no answer within {ANSWER_SECS} s to {self.running.command}")
        data = os.read(self.output.fileno(), 1 << 20)
        if not data:
            raise Dead
        self.buffer += data

    def response(self) -> bytes:
        """One, with its literals."""
        end = 0
        while True:
            while (newline := self.buffer.find(b"\r\n", end)) < 0:
                self.fill()
            line, end = self.buffer[end : newline + 2], newline + 2
            literal = re.search(rb"\{(\d+)\}\r\n\Z", line)
            if not literal:
                whole, self.buffer = self.buffer[:end], self.buffer[end:]
                self.note("<", whole)
                return whole
            end += int(literal[1])
            while len(self.buffer) < end:
                self.fill()

    # Commands.

    def begin(self, command: str, data: bytes = b"") -> None:
        """Send one. data is sent behind it as it stands."""
        self.tag += 1
        self.running = Answer(command)
        line = f"{self.name}{self.tag} {command}".encode() + data + b"\r\n"
        self.note(">", line)
        try:
            while line:
                line = line[self.input.write(line) :]
        except BrokenPipeError:
            pass

    def finish(self) -> Answer:
        """The answer to what was sent. A session that ends says DEAD."""
        answer, tag = self.running, f"{self.name}{self.tag} ".encode()
        try:
            while not (response := self.response()).startswith(tag):
                answer.untagged.append(response)
                self.untagged(answer, response)
            match = re.fullmatch(r"\S+ (OK|NO) (?:\[([^]]*)\] )?(.*)\r\n", response.decode(), re.S)
            if match is None:
                raise Violation(f"{self.name}: {answer.command}: {response!r}")
            answer.status, answer.text = match[1], f"[{match[2] or ''}] {SECS.sub('', match[3])}"
            self.response_code(answer, match[2] or "")
        except Dead:
            answer.status = "DEAD"
            self.note("<", b"(dead)")
        return answer

    def command(self, command: str, data: bytes = b"") -> Answer:
        self.begin(command, data)
        return self.finish()

    # IDLE.

    def idle(self) -> None:
        """Begin it; done() is its end."""
        self.begin("IDLE")
        while not (response := self.response()).startswith(b"+ "):
            self.untagged(self.running, response)

    def hear(self, secs: float) -> bool:
        """Whether anything was told within so many seconds."""
        if b"\r\n" not in self.buffer and not select.select([self.output], [], [], secs)[0]:
            return False
        self.untagged(self.running, self.response())
        return True

    def done(self) -> Answer:
        self.input.write(b"DONE\r\n")
        return self.finish()

    # What is told.

    def untagged(self, answer: Answer, response: bytes) -> None:
        match = re.match(rb"\* (?:(\d+) )?([A-Z]+)(?: |\r\n)", response)
        if match is None:
            raise Violation(f"{self.name}: {response!r}")
        kind, rest = match[2].decode(), response[match.end() :]
        if match[1] is not None:
            self.numbered(answer, int(match[1]), kind, rest)
        elif kind == "VANISHED":
            self.vanished(answer, uids_of(rest.decode().strip().removeprefix("(EARLIER) ")))
        elif kind == "OK" and (code := re.match(r"\[([^]]*)\]", rest.decode())):
            self.response_code(answer, code[1])

    def response_code(self, answer: Answer, code: str) -> None:
        answer.codes.append(code)
        word, _, value = code.partition(" ")
        if word == "UIDVALIDITY":
            self.uidvalidity = int(value)
        elif word == "UIDNEXT":
            self.uidnext = int(value)
        elif word == "HIGHESTMODSEQ":
            if int(value) < self.highest:
                raise Violation(f"{self.name}: HIGHESTMODSEQ goes back from {self.highest} to {value}")
            self.highest = int(value)

    def numbered(self, answer: Answer, number: int, kind: str, rest: bytes) -> None:
        there = len(self.messages)
        if number < there if kind == "EXISTS" else kind in ("EXPUNGE", "FETCH") and not 0 < number <= there:
            raise Violation(f"{self.name}: {number} {kind}, there are {there}")
        if kind == "EXISTS":
            self.messages += [Seen() for _ in range(number - there)]
        elif kind == "EXPUNGE":
            self.may_expunge(answer)
            del self.messages[number - 1]
        elif kind == "FETCH":
            items = parse(rest)[0]
            told = dict(zip(items[::2], items[1::2], strict=True))
            answer.fetched.append(told)
            if self.resyncing is not None:
                self.resyncing.setdefault(int(told["UID"]), Seen()).learn(told, self.name)
            else:
                self.messages[number - 1].learn(told, self.name)

    def may_expunge(self, answer: Answer) -> None:
        if NO_EXPUNGE.match(answer.command):
            raise Violation(f"{self.name}: a message goes while {answer.command!r} is answered")

    def vanished(self, answer: Answer, uids: list[int]) -> None:
        if self.resyncing is None:
            self.may_expunge(answer)
        for uid in uids:
            if self.resyncing is not None:
                self.resyncing.pop(uid, None)
            else:
                del self.messages[self.place_of(uid)]

    def place_of(self, uid: int) -> int:
        """Where the message with this UID is. There may be ones of which nothing was told, but
        UIDs ascend, and all that it could be look the same."""
        at = max((n for n, seen in enumerate(self.messages) if seen.uid and seen.uid <= uid), default=-1)
        if at >= 0 and self.messages[at].uid == uid:
            return at
        if at + 1 < len(self.messages) and self.messages[at + 1].uid is None:
            return at + 1
        raise Violation(f"{self.name}: VANISHED {uid}, which is not there")

    # What a client does to learn more.

    def learn(self) -> None:
        """Ask for what was not told of the messages that are there."""
        todo = [n for n, seen in enumerate(self.messages, 1) if None in (seen.uid, seen.flags, seen.guid)]
        if todo:
            self.command(f"FETCH {uid_set(todo)} (UID FLAGS X-GUID{' MODSEQ' * self.qresync})")

    def select(self, box: str, resync: bool = False) -> Answer:
        """resync: say what is remembered of the mailbox, which was the last selected."""
        command = f'SELECT "{box}"'
        if resync:
            command += f" (QRESYNC ({self.uidvalidity} {self.highest}))"
            self.resyncing = {seen.uid: seen for seen in self.messages if seen.uid}
        self.box = ""
        self.forget()
        answer, told = self.command(command), self.resyncing
        self.resyncing = None
        if answer.status == "OK":
            self.box = box
            if told is not None:
                # how many there are comes first, then who vanished, then what is new:
                # together it means something only when it is over (RFC 7162, 3.2.5)
                if len(told) != len(self.messages):
                    raise Violation(f"{self.name}: {command}: {len(self.messages)} EXISTS, told of {sorted(told)}")
                self.messages = [told[uid] for uid in sorted(told)]
        return answer

    # The end.

    def below(self) -> Iterator[int]:
        """The processes below the session, youngest generation last."""
        todo = [self.process.pid]
        while todo:
            pid = todo.pop(0)
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    children = [int(word) for word in file.read().split()]
            except OSError:
                continue
            yield from children
            todo += children

    def close(self) -> None:
        """Never hangs and never leaves the program behind."""
        for file in (self.input, self.output):
            file.close()
        try:
            self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Violation(f"{self.name}: the session did not end") from None
