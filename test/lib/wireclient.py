#!/usr/bin/python3
"""A strict client of the line protocol, for tests of backends.

    wireclient.py [--content] [--timeout SECS] -- BACKEND [ARG...]  <requests

sends each line of stdin as a request, waits for its answer and prints it as
received. An answer against the grammar ends it with status 1 and a message.
With --content the bytes behind each FILE line are printed too, below it.
At the end it closes the backend's stdin and exits with the backend's status.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass

KEYWORDS = frozenset(b"CAPS FLAGS KEYS BOX MSG GONE DATA FILE FAIL NEW HIT CHANGED WAIT".split())
FIELD = re.compile(rb"(?:[\x21-\x24\x26-\x7e\x80-\xff]|%[0-9A-Fa-f]{2})+")
LINE_MAX = 65_535
ANSWER_MAX = 1 << 26  # bytes; nothing that a test asks for is so large


class WireError(Exception):
    """The backend broke the grammar, died, or kept silent."""


def decode(text: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text)


def encode(raw: bytes) -> bytes:
    if raw == b"-":
        return b"%2D"
    return re.sub(rb"[\x00-\x20\x7f%]", lambda m: b"%%%02X" % m[0][0], raw)


def option(fields: list[bytes], key: bytes) -> bytes | None:
    for text in fields:
        name, equals, value = text.partition(b"=")
        if name == key and equals:
            return value
    return None


def decimal(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]+", text):
        raise WireError(f"not a number: {text!r}")
    return int(text)


def read_regular(path: bytes) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise WireError(f"cannot open {path!r}: {error.strerror}") from error
    try:
        if not path.startswith(b"/") or not stat.S_ISREG(os.fstat(handle).st_mode):
            raise WireError(f"not an absolute path of a regular file: {path!r}")
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


@dataclass
class Item:
    line: bytes
    fields: list[bytes]  # the keyword first
    octets: bytes = b""

    @property
    def keyword(self) -> bytes:
        return self.fields[0]

    @property
    def id(self) -> bytes:
        return self.fields[1]

    def content(self) -> bytes:
        """The message of a DATA or FILE item; a FILE is opened as the bridge does."""
        if self.keyword == b"DATA":
            return self.octets
        data = read_regular(decode(self.fields[2]))
        offset = decimal(option(self.fields, b"offset") or b"0")
        length = decimal(option(self.fields, b"length") or b"%d" % (len(data) - offset))
        if offset + length > len(data):
            raise WireError(f"the slice ends behind the file: {self.line!r}")
        return data[offset : offset + length]


@dataclass
class Answer:
    items: list[Item]
    final: bytes

    @property
    def ok(self) -> bool:
        return self.final.split(b" ")[0] == b"OK"

    def ids(self) -> list[bytes]:
        return [item.id for item in self.items if item.keyword in (b"MSG", b"BOX")]


class Client:
    def __init__(self, command: list[str], timeout: float = 10, env: dict[str, str] | None = None) -> None:
        self.timeout = timeout
        self.tmp = tempfile.TemporaryDirectory(prefix="wireclient-")
        ours = {"BRIDGE_TMP": self.tmp.name, "BRIDGE_PROTOCOL": "1", "BRIDGE_USER": "alice"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **ours, **(env or {})}
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.stdout, selectors.EVENT_READ)
        self.buffer = bytearray()
        self.at = 0
        self.received = 0  # bytes, in this answer

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """Closes stdin and waits; the exit status of the backend."""
        try:
            self.stdin.close()
        except BrokenPipeError:
            pass
        try:
            status = self.process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.stdout.close()
        self.selector.close()
        self.tmp.cleanup()
        return status

    def send(self, request: str | bytes) -> None:
        self.stdin.write(os.fsencode(request) + b"\n")
        self.stdin.flush()

    def ask(self, request: str | bytes) -> Answer:
        self.send(request)
        return self.receive()

    def receive(self) -> Answer:
        items: list[Item] = []
        self.received = 0
        while True:
            line = self._line()
            if line.startswith(b"!"):
                continue
            if not line.startswith(b"* "):
                return Answer(items, self._final(line))
            item = Item(line, self._fields(line[2:], line))
            if item.keyword == b"DATA":
                item.octets = self._octets(decimal(item.fields[2]))
            items.append(item)

    def _final(self, line: bytes) -> bytes:
        word = line.split(b" ")[0]
        if word not in (b"OK", b"NO"):
            raise WireError(f"stray output: {line!r}")
        if word == b"NO" and not re.match(rb"NO [A-Z]+(?: |\Z)", line):
            raise WireError(f"NO without a code: {line!r}")
        if word == b"OK" and line != b"OK":
            self._fields(line[3:], line)
        return line

    def _fields(self, text: bytes, line: bytes) -> list[bytes]:
        fields = [word for word in text.split(b" ") if word]
        if not fields or not all(FIELD.fullmatch(word) for word in fields):
            raise WireError(f"not a line of fields: {line!r}")
        if line.startswith(b"* ") and fields[0] not in KEYWORDS:
            raise WireError(f"not an item: {line!r}")
        return fields

    # The bytes received and not used yet are buffer[at:].

    def _line(self) -> bytes:
        while (end := self.buffer.find(b"\n", self.at)) < 0 and len(self.buffer) - self.at <= LINE_MAX:
            self._more()
        if end < 0 or end - self.at > LINE_MAX:
            raise WireError("a line over 65,535 bytes")
        line, self.at = bytes(self.buffer[self.at : end]), end + 1
        return line

    def _octets(self, count: int) -> bytes:
        while len(self.buffer) - self.at < count:
            self._more()
        octets, self.at = bytes(self.buffer[self.at : self.at + count]), self.at + count
        return octets

    def _more(self) -> None:
        del self.buffer[: self.at]
        self.at = 0
        if not self.selector.select(self.timeout):
            raise WireError(f"no answer for {self.timeout} s, got {bytes(self.buffer[:80])!r}")
        data = os.read(self.stdout.fileno(), 1 << 20)
        if not data:
            raise WireError(f"the backend ended after {bytes(self.buffer[:80])!r}")
        self.received += len(data)
        if self.received > ANSWER_MAX:
            raise WireError("an answer without end")
        self.buffer += data


def show(answer: Answer, content: bool) -> None:
    out = sys.stdout.buffer
    for item in answer.items:
        out.write(item.line + b"\n" + item.octets)
        if content and item.keyword == b"FILE":
            out.write(item.content())
    out.write(answer.final + b"\n")
    out.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", action="store_true", help="print what FILE lines name")
    parser.add_argument("--timeout", type=float, default=10, metavar="SECS")
    parser.add_argument("backend", nargs="+", metavar="BACKEND")
    options = parser.parse_args()
    with Client(options.backend, options.timeout) as client:
        try:
            for line in sys.stdin.buffer:
                show(client.ask(line.rstrip(b"\n")), options.content)
        except (WireError, BrokenPipeError) as error:
            print(f"wireclient: {error}", file=sys.stderr)
            return 1
        return client.close()


if __name__ == "__main__":
    sys.exit(main())
