#!/usr/bin/python3
"""Strings that would do harm where they are taken for something else, and a backend
that says them wherever it may say something of its own.

    nasty.py PLACE      the backend; places below
    nasty.py --judge[=bidi] NAME <OUTPUT
                        status 1, and what is wrong, if OUTPUT holds a byte that a
                        terminal obeys, or a line that only a string can have begun;
                        with =bidi marks of the direction of text are right

Places: names of mailboxes, ids of messages, keywords, states, words of the handshake
(caps), the text of NO and of FAIL, lines on stderr, and stray output.
"""

from __future__ import annotations

import os
import re
import sys

MARK = "forged"  # each string that tries to begin a line begins it with this word

TEXTS = [
    f"\x1b]0;{MARK}\x07", "\x1b[2J\x1b[1;1H", f"\r\n{MARK} OK done", f"\n{MARK} BYE", f"\r{MARK}\x08\x08",
    "\x85", "\u0085" + MARK, "\u009b31m", "\u009d0;t\u009c", "\u0090q\u009c", "\u2028" + MARK, "\u2029" + MARK,
    "\u202egnp.exe", "\u2066\u2067\u2069", "\u200e\u200f", "\u061c", "\ufeff", "\x00", "a\x00b", "\t\t", " ", "  x  ", "\x7f",
    "-rf", "--help", "-", "-o/etc/x", "@file", "=1+1", "!x", "*", "+", "%", "%n%s%x%p", "%41", "%u", "%{home}",
    ".", "..", "../../../etc/passwd", "/etc/passwd", "a/../../b", "a//b", "/", "~root", "~/x", "a\\b", "NUL", ".lock",
    "[ALERT] pay now", "[UIDVALIDITY 1] x", "] [ALERT] x", "(", ")", '"', "'", "{3}", "{3+}", "\\Seen", "\\Noselect", "NIL",
    "&", "&-", "&AAA-", "&AAoAcg-", "inbox", "INBOX", "InBoX/x", "$(id)", "`id`", ";id", "|id", "a,b", "a=b", "retry=99999999999",
    "x" * 255, "x" * 256, "é" * 127, "é" * 600, "e\u0301", "\U000e0041", "\uffff",
]
STRINGS = [text.encode("utf-8", "surrogatepass") for text in TEXTS]
STRINGS += [b"\x9b31m", b"\x9d0;t\x9c", b"\xc0\x8a" + MARK.encode(), b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"]

# What a terminal obeys: C0 and DEL, C1 alone or as UTF-8, line separators; \udc80 and up
# are bytes that are no UTF-8. CR, LF and TAB are looked at as lines.
OBEYED = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff"
# What lets a text read as another: marks of direction, a byte order mark.
BIDI = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"


def field(raw: bytes) -> bytes:
    """A field, with nothing encoded that need not be."""
    if raw == b"-":
        return b"%2D"
    return re.sub(rb"[\x00-\x20\x7f%]", lambda m: b"%%%02X" % m[0][0], raw)


def element(raw: bytes) -> bytes:
    return field(raw).replace(b",", b"%2C")


def text(raw: bytes) -> bytes:
    """What may stand in a text: all but control bytes."""
    return re.sub(rb"[\x00-\x1f\x7f]", b"", raw)


def say(*lines: bytes) -> None:
    data = b"".join(line + b"\n" for line in lines)
    while data:
        data = data[os.write(1, data) :]


def boxes(place: str) -> list[bytes]:
    lines = [b"* BOX INBOX"]
    if place == "names":
        lines += [b"* BOX " + field(s) + b" id=" + field(s) + b" state=" + field(s) + b" flags=" + element(s) for s in STRINGS if s != b"INBOX"]
    if place in ("no", "stray"):
        lines += [b"* BOX box%d" % i for i in range(len(STRINGS))]
    return lines


def messages(place: str) -> list[bytes]:
    if place == "ids":
        return [b"* MSG " + field(s) for s in STRINGS if len(s) <= 1024]
    if place == "keywords":
        return [b"* MSG m%d flags=\\Seen,%s" % (i, element(s)) for i, s in enumerate(STRINGS)]
    return [b"* MSG m%d" % i for i in range(len(STRINGS))] if place == "fail" else [b"* MSG m0"]


def listed(place: str, box: bytes) -> list[bytes]:
    which = re.match(rb"box(\d+)$", box)
    if place == "no" and which:
        return [b"NO " + (b"CANNOT ", b"UNAVAILABLE ")[int(which[1]) % 2] + text(STRINGS[int(which[1])])]
    if place == "stray" and which:
        return [STRINGS[int(which[1])]]
    final = b"OK full"
    if place == "states":
        final += b" state=" + field(b"\xc2\x9b31m" + STRINGS[os.getpid() % len(STRINGS)])
    return messages(place) + [final]


def fetched(place: str, ids: list[bytes]) -> list[bytes]:
    lines = []
    for name in ids:
        which = int(name[1:]) if place == "fail" else 0
        if place == "fail":
            lines.append(b"* FAIL " + name + b" CANNOT " + text(STRINGS[which]))
        else:
            lines.append(b"* DATA " + name + b" 12\nSubject: x\n")
    return [*lines, b"OK"]


def serve(place: str) -> None:
    if place == "stderr":
        os.write(2, b"\n".join(s + b"\nwarning: " + s + b"\nerror: " + s for s in STRINGS) + b"\n")
    for line in sys.stdin.buffer:
        verb, *words = line.split()
        if verb == b"CAPS":
            more = [b"* FLAGS backend=all"]
            if place == "caps":
                more = [b"* FLAGS backend=" + b",".join(map(element, STRINGS)), b"* KEYS " + b" ".join(map(field, STRINGS))]
            say(b"* CAPS 1 batch=1 delta" + b"".join(b" " + field(s) for s in STRINGS if place == "caps"), *more, b"OK")
        elif verb == b"LIST":
            say(*(listed(place, words[0]) if words else [*boxes(place), b"OK full"]))
        elif verb == b"FETCH":
            say(*fetched(place, words[2:]))
        else:
            say(b"NO UNSUPPORTED")


def judge(what: str, characters: str) -> int:
    obeyed, wrong = re.compile(f"[{characters}]"), 0
    for number, line in enumerate(sys.stdin.buffer.read().replace(b"\r\n", b"\n").split(b"\n"), 1):
        found = obeyed.search(line.decode("utf-8", "surrogateescape"))
        if found or b"\r" in line or line.startswith(MARK.encode()):
            print(f"{what}:{number}: {found and ascii(found[0])}: {line!r:.300}")
            wrong = 1
    return wrong


if __name__ == "__main__":
    if sys.argv[1].startswith("--judge"):
        sys.exit(judge(sys.argv[2], OBEYED if sys.argv[1] == "--judge=bidi" else OBEYED + BIDI))
    serve(sys.argv[1])
