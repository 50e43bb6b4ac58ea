#!/usr/bin/python3
"""Is the mail in two places the same, byte for byte?

    mailsame.py fill DIR FILE           a tree of .eml files into a store of
                                        backends/sqlite, by SQL, in byte order of names
    mailsame.py [OPTION...] THIS THAT

A place is a store of backends/sqlite (a file), a folder of Maildirs (each below it with
`cur` is a mailbox; INBOX, if the folder is one itself), or a tree of .eml files as
eml-dir has it. In each mailbox there must be the same messages as often. CR is left
out everywhere: no two clients agree on it. Options:

    --drop FIELD    leave a field out of the headers: clients add some
    --one           look at all mailboxes of a place as one

Each difference is a line on stdout and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import sys
from collections import Counter

from imapclient import mailbox_from_wire

Mail = dict[str, Counter[bytes]]


def of_store(file: str) -> list[tuple[str, bytes]]:
    db = sqlite3.connect(file, timeout=20)
    return db.execute("SELECT mailbox, data FROM mail ORDER BY mailbox").fetchall()


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def of_folder(root: str) -> list[tuple[str, bytes]]:
    found = []
    for folder, below, files in os.walk(root):
        box = "INBOX" if folder == root else os.path.relpath(folder, root)
        if "cur" in below:
            box = mailbox_from_wire(box.encode())
            below[:] = [word for word in below if word not in ("cur", "new", "tmp")]
            files = [f"{kind}/{file}" for kind in ("cur", "new") for file in os.listdir(f"{folder}/{kind}")]
        else:
            files = [file for file in files if file.endswith(".eml")]
        found += [(box, read(f"{folder}/{file}")) for file in sorted(files, key=os.fsencode)]
    return found


def without(fields: list[str], data: bytes) -> bytes:
    data = data.replace(b"\r", b"")
    end = re.match(rb"(.+\n)*", data).end()
    head = data[:end]
    for field in fields:
        head = re.sub(rb"(?mi)^%s:.*\n([ \t].*\n)*" % re.escape(field.encode()), b"", head)
    return head + data[end:]


def mail_of(place: str, options: argparse.Namespace) -> Mail:
    mail: Mail = {}
    for box, data in of_store(place) if os.path.isfile(place) else of_folder(place):
        mail.setdefault("all" if options.one else box, Counter())[without(options.drop, data)] += 1
    return mail


def differences(this: Mail, that: Mail) -> list[str]:
    found = []
    for box in sorted(this.keys() | that.keys()):
        ours, theirs = this.get(box, Counter()), that.get(box, Counter())
        for sign, only in (("-", ours - theirs), ("+", theirs - ours)):
            found += [f"{sign} {box}: {n} times, {len(data)} bytes: {data[:70]!r}" for data, n in sorted(only.items())]
    return found


def fill(tree: str, file: str) -> None:
    db = sqlite3.connect(file, timeout=20)
    for box, data in of_folder(tree):
        db.execute("INSERT OR IGNORE INTO mailbox (name) VALUES (?)", (box,))
        db.execute("INSERT INTO mail (mailbox, data) VALUES (?, ?)", (box, data))
    db.commit()


def main() -> int:
    if sys.argv[1:2] == ["fill"]:
        fill(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs=2, metavar="PLACE")
    parser.add_argument("--drop", action="append", default=[], metavar="FIELD")
    parser.add_argument("--one", action="store_true")
    options = parser.parse_args()
    this, that = (mail_of(place, options) for place in options.places)
    found = differences(this, that)
    print(*found, f"{sum(n.total() for n in this.values())} messages, {len(found)} differences", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
