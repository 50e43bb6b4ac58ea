#!/usr/bin/python3
"""Reads a whole mail store through a client, and compares every byte.

    imapcheck.py imaplib DIR -- PROGRAM [ARG...]    PREAUTH on stdin and stdout
    imapcheck.py twice   DIR -- PROGRAM [ARG...]    what a second session is told from
                                                    caches is what the first was told
    imapcheck.py curl    DIR -- PROGRAM [ARG...]    the same behind a socket
    imapcheck.py curl    DIR HOST:PORT USER:PASSWORD
    imapcheck.py mbsync  DIR WORK -- PROGRAM [ARG...]

DIR is the tree of .eml files that is served (eml-dir's rules). Messages must
come in byte order of their names, with UIDs in that order, whole, line ends
apart. Each difference is a line on stdout and makes the exit status 1.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator, Sequence

from corpus import normalise
from base import STOP_SECS
from imapclient import Message, Session, mailbox_to_wire

CLIENT_SECS = 300  # for curl and mbsync, over the whole store
Store = dict[str, list[tuple[str, bytes]]]

differences = 0


def differ(text: str) -> None:
    global differences
    differences += 1
    print(text)


def read_store(root: str) -> Store:
    """What must be served: mailbox -> (file name, bytes with CRLF ends), in order."""
    store: Store = {}
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        messages = []
        for name in sorted(names, key=os.fsencode):
            if name.endswith(".eml") and not name.startswith("."):
                with open(os.path.join(folder, name), "rb") as file:
                    messages.append((name, normalise(file.read())))
        store["INBOX" if folder == root else os.path.relpath(folder, root)] = messages
    return store


def compare(where: str, expected: bytes, got: bytes | None) -> None:
    if got is None:
        differ(f"{where}: did not come")
    elif got != expected:
        at = len(os.path.commonprefix([expected, got]))
        differ(
            f"{where}: {len(got)} bytes instead of {len(expected)}, "
            f"from {at} on {got[at : at + 30]!r} instead of {expected[at : at + 30]!r}"
        )


def equal(where: str, expected: object, got: object) -> None:
    if got != expected:
        differ(f"{where}: {got!r} instead of {expected!r}")


# --- imaplib -------------------------------------------------------------------


def check_counts(session: Session, box: str, count: int) -> None:
    status = session.status_counts(box)
    equal(f"{box}: STATUS MESSAGES", count, status["MESSAGES"])
    equal(f"{box}: STATUS UNSEEN", count, status["UNSEEN"])
    equal(f"{box}: STATUS UIDNEXT", count + 1, status["UIDNEXT"])
    equal(f"{box}: SELECT", count, session.select_name(box))
    equal(f"{box}: UIDVALIDITY of SELECT", status["UIDVALIDITY"], session.uidvalidity())


def check_messages(messages: dict[int, Message], box: str, expected: list[tuple[str, bytes]]) -> None:
    equal(f"{box}: UIDs", list(range(1, len(expected) + 1)), list(messages))
    for uid, (name, data) in enumerate(expected, 1):
        message = messages.get(uid, Message(uid))
        compare(f"{box}/{name}", data, message.data)
        equal(f"{box}/{name}: RFC822.SIZE", len(data), message.size)


def by_imaplib(store: Store, argv: Sequence[str]) -> None:
    session = Session(argv)
    equal("LIST", sorted(store), sorted(session.list_names()))
    for box, expected in store.items():
        check_counts(session, box, len(expected))
        check_messages(session.messages() if expected else {}, box, expected)
    session.logout()


# --- two sessions ----------------------------------------------------------------

ITEMS = "ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE RFC822.SIZE", "BODY.PEEK[HEADER]", "BODY.PEEK[1]", "BODY.PEEK[]<9.99>"
SEARCHES = ("TEXT", "kettle"), ("SUBJECT", "rain"), ("HEADER", "X-Long", "x"), ("SENTSINCE", "1-Jan-2010")


def told(argv: Sequence[str], boxes: Sequence[str]) -> dict[str, object]:
    answers: dict[str, object] = {}
    session = Session(argv)
    for box in boxes:
        session.select_name(box)
        for item in ITEMS:
            answers[f"{box}: {item}"] = session.good(session.uid("FETCH", "1:*", f"({item})"))
        for search in SEARCHES:
            answers[f"{box}: SEARCH {search}"] = session.good(session.uid("SEARCH", *search))
    session.logout()
    return answers


def by_two_sessions(store: Store, argv: Sequence[str]) -> None:
    boxes = [box for box, messages in store.items() if messages]
    first, second = told(argv, boxes), told(argv, boxes)
    for what, answer in first.items():
        if second[what] != answer:
            differ(f"{what}: another answer in the second session")


# --- curl ------------------------------------------------------------------------


def curl_config(store: Store, address: str, work: str) -> Iterator[str]:
    for number, (box, messages) in enumerate(store.items()):
        name = urllib.parse.quote(mailbox_to_wire(box), safe="")
        for uid in range(1, len(messages) + 1):
            yield f'url = "imap://{address}/{name};UID={uid}"'
            yield f'output = "{work}/{number}.{uid}"'


class Inetd:
    """A port of 127.0.0.1 that gives each connection to a program as stdin and stdout."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = argv
        self.programs: list[subprocess.Popen[bytes]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            with connection:
                self.programs.append(subprocess.Popen(self.argv, stdin=connection, stdout=connection))

    def close(self) -> None:
        self.listener.close()
        for program in self.programs:
            program.wait(STOP_SECS)


def fetch_by_curl(store: Store, address: str, user: str, work: str) -> None:
    config = "\n".join(curl_config(store, address, work))
    argv = ["curl", "-q", "-sS", "--user", user, "--config", "-"]
    done = subprocess.run(argv, input=config.encode(), timeout=CLIENT_SECS, check=False)
    equal("curl: exit status", 0, done.returncode)


def by_curl(store: Store, login: Sequence[str], argv: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as work:
        if argv:
            server = Inetd(argv)
            fetch_by_curl(store, server.address(), "preauth:preauth", work)
            server.close()
        else:
            fetch_by_curl(store, login[0], login[1], work)
        for number, (box, messages) in enumerate(store.items()):
            for uid, (name, data) in enumerate(messages, 1):
                compare(f"{box}/{name}", data, read_file(f"{work}/{number}.{uid}"))


def read_file(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


# --- mbsync ----------------------------------------------------------------------
#
# Some things are mbsync's own: it adds an X-TUID field to each message and leaves out
# the CR of each line end. 1.4 leaves out every CR, takes no message whose header does not
# end in an empty line (1.5 ends its last line), and names folders as IMAP spells them.
# It must take all others.

MBSYNC_OLD = "isync 1.4"
MBSYNCRC = """
IMAPStore far
Tunnel "{tunnel}"

MaildirStore near
Path {work}/near/
Inbox {work}/near/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
"""


def synced(folder: str) -> dict[int, bytes | None]:
    """UID on the server -> the bytes in the Maildir, None if they were not taken."""
    files: dict[int, bytes | None] = {}
    for kind in ("new", "cur"):
        for name in os.listdir(f"{folder}/{kind}"):
            uid = re.search(r",U=(\d+)", name)
            files[int(uid[1]) if uid else 0] = read_file(f"{folder}/{kind}/{name}")
    with open(f"{folder}/.mbsyncstate", encoding="ascii") as file:
        pairs = re.findall(r"^(\d+) (\d+) ", file.read(), re.MULTILINE)
    return {int(far): files.get(int(near)) for far, near in pairs}


def as_mbsync_stores(data: bytes, version: str) -> bytes | None:
    whole = re.search(rb"(\A|\n)\r\n", data)
    if version.startswith(MBSYNC_OLD):
        return data.replace(b"\r", b"") if whole else None
    return data.replace(b"\r\n", b"\n") + (b"" if whole or data.endswith(b"\n") else b"\n")


def by_mbsync(store: Store, work: str, argv: Sequence[str]) -> None:
    tunnel = shlex.join(argv).replace("\\", "\\\\").replace('"', '\\"')
    os.makedirs(f"{work}/near")
    with open(f"{work}/mbsyncrc", "w", encoding="utf-8") as file:
        file.write(MBSYNCRC.format(tunnel=tunnel, work=work))
    argv = ["mbsync", "-q", "-c", f"{work}/mbsyncrc", "-a"]
    done = subprocess.run(argv, stdout=sys.stderr, timeout=CLIENT_SECS, check=False)
    equal("mbsync: exit status", 0, done.returncode)
    version = subprocess.run(["mbsync", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for box, messages in store.items():
        folder = mailbox_to_wire(box) if version.startswith(MBSYNC_OLD) else box
        got = synced(f"{work}/near/{os.fsdecode(folder)}")
        for uid, (name, data) in enumerate(messages, 1):
            expected, came = as_mbsync_stores(data, version), got.get(uid)
            if expected is None:
                equal(f"{box}/{name}: has no end of header", None, came)
            else:
                tuid = re.compile(rb"^X-TUID: .{12}\n", re.MULTILINE)
                compare(f"{box}/{name}", expected, came and tuid.sub(b"", came, count=1))


# --- all together ------------------------------------------------------------------


def main(args: list[str]) -> int:
    client, root, *rest = args
    options = rest[: rest.index("--")] if "--" in rest else rest
    argv = rest[len(options) + 1 :]
    store = read_store(root)
    if client == "imaplib":
        by_imaplib(store, argv)
    elif client == "twice":
        by_two_sessions(store, argv)
    elif client == "curl":
        by_curl(store, options, argv)
    elif client == "mbsync":
        by_mbsync(store, *options, argv)
    else:
        raise SystemExit(__doc__)
    print(f"{sum(map(len, store.values()))} messages in {len(store)} mailboxes, {differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
