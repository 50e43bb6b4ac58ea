#!/usr/bin/python3
"""Asks for messages in an order in which their headers may be had alone, and compares
the answers with what the bytes are.

    wholecheck.py WORK -- DOVEBRIDGE... -- BACKEND [ARG...]

A session is DOVEBRIDGE --state DIR -- BACKEND. For each question each message is
stored by APPEND, copied and moved anew, with what Dovecot remembers of it then; the
question is the first that anybody asks of it. Python's email package is not asked:
sizes and lines are counted here.
"""

from __future__ import annotations

import os
import sys

from imapclient import Session

HEAD = b"Subject: plain\r\nFrom: a@example.org\r\n"
PARTS = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nfirst part\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>two\r\n--x--\r\n"
# name: (message, its BODY begins with)
MESSAGES = {
    "empty": HEAD + b"\r\n",
    "small": HEAD + b"\r\n" + b"a line of it\r\n" * 3,
    "large": HEAD + b"\r\n" + b"a line of it\r\n" * 30_000,
    "middle": HEAD + b"\r\n" + b"a line of it\r\n" * 6_000,
    "parts": HEAD + PARTS,
    "long header": HEAD + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n" + b"a line of it\r\n" * 3,
    "bare": b"no header\r\n\r\nat all\r\n",
}
OFTEN = ("small", "parts")  # asked for in all ways that they came
FIRST = (
    "BODYSTRUCTURE", "BODY", "PREVIEW", "ENVELOPE BODYSTRUCTURE", "BODY.PEEK[HEADER] BODY", "BODY.PEEK[1.MIME] BODY",
    "BINARY.SIZE[1]", "BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]<7.20>",
)  # fmt: skip
THEN = "(RFC822.SIZE BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[1])"
WAYS = ("Appended", "Copied", "Moved")


def fetched(session: Session, number: int, items: str) -> bytes:
    parts = session.good(session.fetch(str(number), items))
    return b"\r\n".join(b"".join(part) if isinstance(part, tuple) else part for part in parts if part)


def wanted(message: bytes) -> list[bytes]:
    body = message.partition(b"\r\n\r\n")[2]
    size = b"RFC822.SIZE %d" % len(message)
    whole = b"BODY[] {%d}%s" % (len(message), message)
    text = b"BODY[TEXT] {%d}%s" % (len(body), body)
    if PARTS in message:
        return [size, whole, text, b"BODY[1] {10}first part", b'"text" "html"']
    plain = b'BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d NIL' % (len(body), body.count(b"\n"))
    return [size, whole, text, b"BODY[1] {%d}%s" % (len(body), body), plain]


class Check:
    def __init__(self, work: str, dovebridge: list[str], backend: list[str]) -> None:
        self.state = os.path.join(work, "state")
        self.argv = [*dovebridge, "--state", self.state, "--", *backend]
        self.log = os.path.join(work, "log")
        self.questions = self.wrong = 0

    def session(self) -> Session:
        return Session(self.argv, self.log)

    def store(self, number: int) -> None:
        """The mailboxes for one question."""
        session = self.session()
        for way in (*WAYS, "Other"):
            session.good(session.create(f"{way}{number}"))
        for box in (f"{WAYS[0]}{number}", f"Other{number}"):
            for message in MESSAGES.values():
                session.good(session.append(box, "", "", message))
        session.select_name(f"Other{number}")
        session.good(session.copy("1:*", f"Copied{number}"))
        session.good(session.xatom("MOVE", "1:*", f"Moved{number}"))
        session.logout()

    def ask(self, box: str, number: int, first: str) -> bytes:
        """The first question in one session, all of them in it and in the next."""
        text = b""
        for items in ((f"({first})", THEN, "BODYSTRUCTURE"), ("BODYSTRUCTURE", THEN)):
            session = self.session()
            session.select_name(box)
            text += b"\r\n".join(fetched(session, number, each) for each in items)
            session.logout()
        self.questions += 1
        return text

    def compare(self, box: str, number: int, name: str, first: str) -> None:
        seen = self.ask(box, number, first)
        for text in wanted(MESSAGES[name]):
            if seen.count(text) < 2:
                self.wrong += 1
                print(f"{box}, {name}, {first} first: {text[:200]!r} is not in each of {seen[:600]!r}")

    def run(self) -> None:
        for question, first in enumerate(FIRST):
            self.store(question)
            for number, name in enumerate(MESSAGES, 1):
                for way in WAYS if name in OFTEN or question == 0 else WAYS[1:2]:
                    self.compare(f"{way}{question}", number, name, first)


def main() -> None:
    work, rest = sys.argv[1], sys.argv[3:]
    split = rest.index("--")
    check = Check(work, rest[:split], rest[split + 1 :])
    check.run()
    print(f"{check.questions} questions, {check.wrong} wrong")
    sys.exit(1 if check.wrong else 0)


if __name__ == "__main__":
    main()
