#!/usr/bin/python3
"""Searches the same store twice, once with its SEARCH and once without, and compares.

    searchcheck.py WORK [--seed N] [--count N]

Makes WORK/mail.sqlite, a store of backends/sqlite. One session has it as it is, the
other behind a backend that takes the word SEARCH out of CAPS: there Dovecot reads
every message. Both get the same searches, fixed ones and COUNT (200) made of pieces
of the messages themselves. Each answer must be the same. Differences are shown and make the
exit status 1.
"""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import subprocess
import sys
from random import Random

import corpus
import diffcheck
from base import ROOT

SQLITE = os.path.join(ROOT, "backends", "sqlite", "sqlite")
sys.path.insert(0, os.path.dirname(SQLITE))

import words  # noqa: E402

LENGTHS = (1, 2, 3, 4, 5, 6, 8, 12, 20, 40)  # of a piece, in characters
WITHOUT = '{ read -r caps; printf "%s\\n" "${caps%SEARCH*}${caps#*SEARCH}"; cat; }'

# What the kinds of corpus.py do not have.
MORE: tuple[bytes, ...] = tuple(text.encode() for text in (
    "Subject: folded\n\twith a tab,\n   and spaces\nFrom:\n\tAda\n Quill <ada@example.org>\n\nfolded\n\twith a tab\n",
    "Subject: two  spaces   and three\nTo: bo@example.org (Bo Lund), Ann\n <ann@example.org>\n\ntwo  spaces\n",
    "Subject: =?utf-8?q?cut_in?= =?utf-8?q?_two=2C_and?= three\n\nno-break\u00a0space, \uff26ull width\n",
    'From: "Quill, Ada" <ada@example.org>\nCc: "A \\"B\\" C" <abc@example.org>\n\nIrmak, \u0131rmak, \u0130rmak\n',
    "Subject:no space\nX-Note:none here\n\nCAF\u00c9 cafe\u0301 caf\u00e9 \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2\n",
    "Subject: 100% of *?[a-z]* \\ \"quoted\" {1}\n\n100% of *?[a-z]* \\ \"quoted\" {1}\n-- \nx\n",
    "Content-Type: text/html\nSubject: html\n\n<p>one<b>two</b>&nbsp;three</p>\n",
))  # fmt: skip
SEARCHES = (
    *diffcheck.SEARCH_TEXTS,
    *(f"{key} {text}" for key in ("SUBJECT", "TEXT", "BODY", "HEADER SUBJECT", "FROM", "HEADER FROM", "TO", "CC") for text in (
        '"folded with"', '"with a tab, and"', '"two spaces"', '"two  spaces"', '"in two, and three"', '"no-break space"',
        '"Ada Quill"', '"ada@"', '"Bo Lund"', '"\\"Quill, Ada\\""', '"Quill, Ada"', '"bo@example.org (Bo"', "irmak",
        '"subject:no"', '"subject: no"', '"x-note:none"', "cafe", '"100%"', '"*?[a-z]*"', '"?"', '"\\\\"', "{3+}\r\n\"qu",
        '" "', '"-- "', '"<p>"', '"twothree"', "SMALLER 500", '"example.org>"', '"e"',
    )),
    *(f"CHARSET UTF-8 {key} {diffcheck.literal(text)}" for key in ("BODY", "TEXT") for text in (
        "CAFÉ", "cafe\u0301", "ırmak", "IRMAK", "İ", "ΣΊΣΥΦΟΣ", "σίσυφος", "ＦＵＬＬ", "no-break\u00a0space", "日", "🌧️ und")),
    "BODY rain FLAGGED", "BODY rain NOT SEEN", "SUBJECT kettle UID 20:90", "TEXT the 1:50 SINCE 1-Jan-2005", "BODY a LARGER 2000",
    "FROM ada NOT BODY rain", "SUBJECT re OR FROM bo TO bo", "BODY rain TEXT kettle FROM example", "BODY rain KEYWORD Work",
    "BODY rain UNDELETED SENTSINCE 1-Jan-2005", "RETURN (MIN MAX COUNT) BODY rain", "RETURN (SAVE) TEXT kettle", "$ BODY the",
    "NOT (BODY rain)", "(BODY rain SUBJECT re)", "OR (BODY rain FLAGGED) SUBJECT kettle", "BODY rain NOT 1:30 UNKEYWORD Work",
    "INTHREAD REFS SUBJECT kettle", "INTHREAD REFS (BODY rain) SUBJECT e",
)  # fmt: skip


class Store:
    """The messages, and what they say to sqlite."""

    def __init__(self, work: str) -> None:
        self.path = f"{work}/mail.sqlite"
        kinds = [*corpus.USUAL, *corpus.RARE, corpus.with_nul]
        made = [kind(Random(f"search {n}")) for n, kind in enumerate(kinds) if kind is not corpus.big_attachment]
        made += [*diffcheck.conversation(), *MORE]
        Random(5).shuffle(made)
        self.texts = [self.unfolded(data) for data in made]
        subprocess.run([SQLITE, self.path], input=b"LIST\n", stdout=subprocess.DEVNULL, check=True)
        database = sqlite3.connect(self.path)
        for number, data in enumerate(made):
            flags = ",".join(name for name, every in (("\\Flagged", 3), ("\\Seen", 4), ("Work", 5)) if number % every == 0)
            row = (flags, 900_000_000 + number * 9_000_000, data)
            database.execute("INSERT INTO mail (mailbox, flags, date, data) VALUES ('INBOX', ?, ?, ?)", row)
        database.commit()
        database.close()
        os.chmod(self.path, 0o666)

    @staticmethod
    def unfolded(data: bytes) -> list[str]:
        fold, words.fold = words.fold, lambda text: text
        try:
            return words.texts(data)[0]
        finally:
            words.fold = fold

    def piece(self, rng: Random) -> str | None:
        """A search for a piece of a message, found there or not."""
        texts = rng.choice(self.texts)
        name, column = rng.choice((*((name.upper(), n) for n, name in enumerate(words.FIELDS)), ("TEXT", 5), ("TEXT", 6), ("BODY", 6)))
        if column < 5 and rng.random() < 0.3:
            name = f"HEADER {name}"
        length = rng.choice(LENGTHS)
        start = rng.randrange(max(1, len(texts[column]) - length))
        if rng.random() < 0.6:
            start += len(re.match(r"\w*\W*", texts[column][start : start + 100])[0])  # type: ignore[index]
        text = re.sub("[\0\ufffd]", "", texts[column][start : start + length])
        if not text.strip():
            return None
        if rng.random() < 0.3:
            text = text.swapcase()
        return f"CHARSET UTF-8 {name} {diffcheck.literal(text)}"


def backend(work: str, name: str, relay: str) -> str:
    path = f"{work}/{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nexport LC_ALL=C\n{relay}\n")
    os.chmod(path, 0o755)
    return path


def side(work: str, program: str) -> diffcheck.Side:
    state = f"{work}/state-{os.path.basename(program)}"
    argv = [os.path.join(ROOT, "build", "dovebridge"), "imap", "--state", state, "--", program]
    return diffcheck.Side(os.path.basename(program), argv, f"{work}/log")


def answers(one: diffcheck.Side, command: str) -> list[bytes]:
    one.send("a", command)
    given = [diffcheck.normalised(answer) for answer in one.receive("a", "")]
    # what a slow machine says, too
    return [answer for answer in given if not answer.startswith(b"* OK Hang in there")]


def run(work: str, seed: int, count: int) -> int:
    store, rng = Store(work), Random(seed)
    asked = f"{work}/asked"
    open(asked, "wb").close()
    os.chmod(asked, 0o666)
    sides = [
        side(work, backend(work, "with", f"tee -a {asked} | {SQLITE} {store.path}")),
        side(work, backend(work, "without", f"{SQLITE} {store.path} | {WITHOUT}")),
    ]
    for one in sides:
        answers(one, "SELECT INBOX")
    pieces = [search for search in (store.piece(rng) for _ in range(count)) if search]
    found = differences = 0
    for search in (*SEARCHES, *pieces):
        mine, other = (answers(one, f"UID SEARCH {search}") for one in sides)
        found += any(re.search(rb"SEARCH.* \d", answer) for answer in other)
        if mine != other:
            differences += 1
            print(f"DIFFERENT: {search!r}\n  with    {mine}\n  without {other}")
    for one in sides:
        one.end("a")
    with open(asked, "rb") as file:
        requests = sum(line.startswith(b"SEARCH ") for line in file)
    print(f"{len(SEARCHES) + len(pieces)} searches, {found} found something, {requests} asked, {differences} differences")
    return 1 if differences else 0


def main() -> int:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", metavar="WORK")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--count", type=int, default=200, metavar="N")
    options = parser.parse_args()
    return run(options.work, options.seed, options.count)


if __name__ == "__main__":
    sys.exit(main())
