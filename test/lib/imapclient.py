"""An IMAP session with a program on its stdin and stdout, and what the tests of
IMAP have in common. A module; imapscript.py and imapcheck.py are its programs."""

from __future__ import annotations

import base64
import imaplib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from base import STOP_SECS


def mailbox_to_wire(name: str) -> bytes:
    """A mailbox name in modified UTF-7 (RFC 3501, 5.1.3), without quotes."""

    def shifted(match: re.Match[str]) -> bytes:
        text = base64.b64encode(match[0].encode("utf-16-be")).rstrip(b"=")
        return b"&" + text.replace(b"/", b",") + b"-"

    parts = re.split("([^\x20-\x7e]+)", name)
    wire = [part.replace("&", "&-").encode() for part in parts]
    wire[1::2] = [shifted(match) for match in re.finditer("[^\x20-\x7e]+", name)]
    return b"".join(wire)


def mailbox_from_wire(wire: bytes) -> str:
    def unshifted(match: re.Match[bytes]) -> bytes:
        if not match[1]:
            return b"&"
        text = match[1].replace(b",", b"/")
        return base64.b64decode(text + b"=" * (-len(text) % 4)).decode("utf-16-be").encode()

    return re.sub(rb"&([A-Za-z0-9+,]*)-", unshifted, wire).decode()


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def unquoted(text: bytes) -> bytes:
    if text.startswith(b'"'):
        return re.sub(rb"\\(.)", rb"\1", text[1:-1])
    return text


class ImapError(Exception):
    """A command was answered with NO or BAD, or the session ended."""


class Session(imaplib.IMAP4_stream):
    """imaplib over a program; an argument vector, no shell."""

    def __init__(self, argv: Sequence[str], log: str | None = None) -> None:
        self.argv, self.log = argv, log
        super().__init__("")

    def open(self, *args: object, **more: object) -> None:
        with open(self.log or "/dev/null", "ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if self.log is None else log
            )
        assert self.process.stdin and self.process.stdout
        self.writefile, self.readfile = self.process.stdin, self.process.stdout

    def shutdown(self) -> None:
        """Never hangs and never leaves the program behind."""
        for file in (self.writefile, self.readfile):
            try:
                file.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    # What a test asks for. A NO or BAD is an exception here.

    def good(self, answer: tuple[str, list]) -> list:
        if answer[0] != "OK":
            raise ImapError(f"{answer[0]} {answer[1]!r}")
        return answer[1]

    def select_name(self, name: str) -> int:
        return int(self.good(self.select(quoted(mailbox_to_wire(name)).decode()))[0])

    def uidvalidity(self) -> int:
        return int(self.untagged_responses["UIDVALIDITY"][-1])

    def list_names(self) -> list[str]:
        names = []
        for line in self.good(self.list('""', "*")):
            if isinstance(line, tuple):  # the name came as a literal
                name = line[1]
            elif line is None:
                continue
            else:
                name = unquoted(re.fullmatch(rb'\([^)]*\) (?:"/"|NIL) (.*)', line)[1])
            names.append(mailbox_from_wire(name))
        return names

    def status_counts(self, name: str, items: str = "MESSAGES UIDNEXT UIDVALIDITY UNSEEN") -> dict[str, int]:
        wire = quoted(mailbox_to_wire(name)).decode()
        line = self.good(self.status(wire, f"({items})"))[-1]
        if isinstance(line, tuple):
            line = b"".join(line)
        words = re.search(rb"\(([^()]*)\)$", line)[1].decode().split()
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))

    def messages(self, uids: str = "1:*", body: bool = True) -> dict[int, Message]:
        """All messages of the selected mailbox by UID, in the order they came."""
        items = "(UID RFC822.SIZE FLAGS BODY.PEEK[])" if body else "(UID FLAGS)"
        found: dict[int, Message] = {}
        for part in self.good(self.uid("FETCH", uids, items)):
            if part is None or part == b")":
                continue
            text, data = part if isinstance(part, tuple) else (part, b"")
            message = Message.parse(text, data)
            found[message.uid] = message
        return found


@dataclass
class Message:
    uid: int
    size: int = 0  # RFC822.SIZE
    flags: frozenset[str] = frozenset()  # without \Recent
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, text: bytes, data: bytes) -> Message:
        uid = re.search(rb"\bUID (\d+)", text)
        if uid is None:
            raise ImapError(f"FETCH without a UID: {text!r}")
        size = re.search(rb"\bRFC822\.SIZE (\d+)", text)
        flags = re.search(rb"\bFLAGS \(([^)]*)\)", text)
        words = flags[1].decode().split() if flags else []
        return cls(int(uid[1]), int(size[1]) if size else 0, frozenset(words) - {"\\Recent"}, data)
