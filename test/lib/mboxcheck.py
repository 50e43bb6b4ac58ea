#!/usr/bin/python3
"""Two readers of mbox files: backends/mbox and Dovecot's own mbox storage.

    mboxcheck.py --seed N --count N     generated mailboxes: both must see the same messages
    mboxcheck.py --lines                odd From_ lines: what each makes of them, and why

Run in an empty folder, as a user that Dovecot serves. Exit status 1 and the first
difference if there is one.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator

from base import ROOT
from dovecot import kept
from dovecotconf import configuration
from wireclient import Client, option

MBOX = f"{ROOT}/backends/mbox/mbox"
CONF = """
log_path = {work}/log
base_dir = {work}/run
state_dir = {work}/run
ssl = no
stats_writer_socket_path =
mail_location = mbox:{work}/dovecot:INBOX={work}/dovecot/inbox:INDEX=MEMORY
mail_access_groups =
first_valid_uid = 1
namespace inbox {{
  inbox = yes
}}
"""
LINE = "From bo@example.org Mon Jan  1 00:00:00 2024"
PLAIN_LINES = (
    LINE,
    "From bo@example.org  Mon Jan 01 00:00 2024",
    "From bo@example.org Sun Dec 31 19:00:00 2023 -0500",
    "From bo@example.org Mon Jan  1 00:00:00 GMT 2024",
    "From bo@example.org mon jan  1 00:00:00 2024",
    "From bo@example.org Mon, 1 Jan 2024 00:00:00 +0000",
    "From bo@example.org Mon Jan  1 00:00:00 2024 remote from host",
    "From - Mon Jan  1 00:00:00 2024",
    'From "a b"@example.org Mon Jan  1 00:00:00 2024',
    "From ???@??? Mon Jan  1 00:00:00 2024",
)
# Dovecot does not see a separator right below a line that is just "From ".
PROSE = (
    "Hello,", "", "From here on it rained.", "From me to you", ">From the start", "From", "From: x", " From y",
    "From \nx",
    "From Monday on, at 10:00, in 2024", "-- ", "From Bob: see you on Monday", "x" * 200,
)  # fmt: skip
FIELDS = (
    "Status: RO", "status: O", "X-Status: AF", "X-STATUS: DT", "X-UID: 7", "X-Keywords: Work",
    "X-IMAPbase: 1700000000 0000000009 Work\n Home", "Content-Length: 99999", "X-Other: Status: R",
    "Received: by a\n\tfor b", "To: <ann@example.org>",
)  # fmt: skip


def message(rng: random.Random, n: int) -> str:
    names = {field.split(":")[0].lower(): field for field in rng.sample(FIELDS, rng.randrange(6))}
    if n > 0:  # Dovecot writes such mailboxes anew, and not always well
        names.pop("x-imapbase", None)
    fields = [f"Subject: m{n}", *names.values()]
    rng.shuffle(fields)
    body = "".join(rng.choice(PROSE) + "\n" for _ in range(rng.randrange(6)))
    if rng.random() < 0.3:
        body += f"As you wrote:\n\n{LINE}\nSubject: quoted\n\nquoted\n"
        fields = [field for field in fields if "Length" not in field] + [f"Content-Length: {len(body)}"]
    return "\n".join(fields) + "\n\n" + body


def mailbox(rng: random.Random) -> bytes:
    text = ""
    if rng.random() < 0.2:
        text = LINE + "\nSubject: FOLDER INTERNAL DATA\nX-IMAP: 1700000000 0000000002\n\nx\n\n"
    tight = rng.random() < 0.2  # no empty lines between messages
    for n in range(rng.randrange(1, 9)):
        one = message(rng, n)
        if tight:
            one = re.sub(r"\n{2,}\Z", "\n", one) if one.split("\n\n", 1)[1].strip() else one + "x\n"
            one = re.sub(r"Content-Length: \d+\n", "", one).replace(f"\n\n{LINE}\n", "\n\n>" + LINE + "\n")
        text += rng.choice(PLAIN_LINES) + "\n" + one + ("" if tight else "\n")
    data = text.encode()
    return data.replace(b"\n", b"\r\n") if rng.random() < 0.2 and b"Content-Length: " not in data else data


def put(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (time.time() - 60,) * 2)


Seen = list[tuple[bytes, bytes, tuple[str, ...]]]  # text, date, flags


def ours(client: Client, name: str) -> Seen:
    found: Seen = []
    box = name.encode()
    for item in client.ask(b"LIST %s -" % box).items:
        text = client.ask(b"FETCH %s full %s" % (box, item.id)).items[0].content()
        flags = sorted(flag for flag in (option(item.fields, b"flags") or b"").decode().split(",") if flag[:1] == "\\")
        date = option(item.fields, b"date") or b"0"
        found.append((re.sub(rb"\r?\n", b"\r\n", text), date, tuple(flags)))
    return found


def both(mailboxes: dict[str, bytes]) -> Iterator[tuple[str, Seen, Seen]]:
    """What backends/mbox and Dovecot see in each. Dovecot must not write to them."""
    for name, data in mailboxes.items():
        for folder in ("ours", "dovecot"):
            put(f"{folder}/{name}", data)
        os.chmod(f"dovecot/{name}", 0o444)
    dovecot = Dovecot()
    with Client([MBOX, os.path.abspath("ours")], 30) as client:
        for name in mailboxes:
            yield name, ours(client, name), dovecot.see(name)


class Dovecot:
    def __init__(self) -> None:
        work = os.getcwd()
        os.makedirs("dovecot", exist_ok=True)
        os.makedirs("run", exist_ok=True)
        put("dovecot/inbox", b"")
        with open("conf", "w") as file:
            file.write(configuration(CONF.format(work=work)))
        command = ["/usr/bin/doveadm", "-c", f"{work}/conf", "exec", "imap"]
        env = {"PATH": os.environ["PATH"], "HOME": work, "USER": os.environ.get("USER", "nobody"), "TZ": "UTC"} | kept("USER", "HOME", "TZ")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        assert self.process.stdin and self.process.stdout
        self.out, self.into = self.process.stdout, self.process.stdin
        self.out.readline()

    def ask(self, command: str) -> bytes:
        self.into.write(f"a {command}\r\n".encode())
        self.into.flush()
        answer = b""
        while True:
            line = self.out.readline()
            if not line:
                sys.exit(f"Dovecot has ended: see {os.getcwd()}/log")
            answer += line
            if match := re.search(rb"\{(\d+)\}\r\n\Z", line):
                answer += self.out.read(int(match[1]))
            elif line.startswith(b"a "):
                if not line.startswith(b"a OK"):
                    sys.exit(f"{command}: {line!r}")
                return answer

    def see(self, name: str) -> Seen:
        answer = self.ask(f"EXAMINE {name}") + self.ask("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")
        found: Seen = []
        for match in re.finditer(rb'FLAGS \(([^)]*)\) INTERNALDATE "([^"]*)" BODY\[\] \{(\d+)\}\r\n', answer):
            text = answer[match.end() : match.end() + int(match[3])]
            when = time.strptime(match[2].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
            seconds = int(time.mktime(when) - when.tm_gmtoff)
            flags = sorted(flag for flag in match[1].decode().split() if flag[:1] == "\\" and flag != "\\Recent")
            found.append((text, b"%d" % max(0, seconds), tuple(flags)))
        return found


def same(one: Seen, two: Seen) -> bool:
    """Dovecot takes the line end before a From_ line for a part of it even where no empty
    line stands there; here every line of a message has its end, as in Python's mailbox."""
    bare = [[(text.rstrip(b"\r\n"), *rest) for text, *rest in seen] for seen in (one, two)]
    return bare[0] == bare[1]


def generated(seed: int, count: int) -> int:
    rng = random.Random(seed)
    mailboxes = {f"m{n}": mailbox(rng) for n in range(count)}
    for name, mine, theirs in both(mailboxes):
        if not same(mine, theirs):
            text = mailboxes[name].decode()
            print(f"seed {seed}, mailbox {name}:\n{text}", "here:", *mine, "Dovecot:", *theirs, sep="\n")
            return 1
    return 0


T = 1704067200  # Mon Jan  1 00:00:00 2024 UTC
# What a line needs, to separate: an empty line above it (b) and a field below it (f), both,
# either, or the field; or it never does. Dovecot asks for nothing but the date.
EITHER, ABOVE, BELOW, BOTH = {"bf", "b", "f"}, {"bf", "b"}, {"bf", "f"}, {"bf"}
NEVER: set[str] = set()
NO = None  # it separates, without a date
SHAPES = "Dovecot knows only the shapes of ctime() and RFC 5322"
SENDER = "a sender has no spaces for Dovecot"
ZONE = "Dovecot ignores a numeric zone before the year, and those it does not know"
CALENDAR = "Dovecot makes another day of one that does not exist"
PROSE_LIKE = "it may be prose: here that needs the empty line"
# A line; what it needs here; its date here, in seconds from T; Dovecot's, or "-"; why not ours.
LINES: tuple[tuple[str, set[str], int | None, int | None | str, str], ...] = (
    ("bo@example.org Mon Jan  1 00:00:00 2024", EITHER, 0, 0, ""),
    ("bo@example.org mon JAN  1 00:00:00 2024", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00 2024", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00 CET 2024", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00:00 gmt 2024", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00:00 2024 GMT", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00:00 2024 (CET)", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00:00 2024 -0500", EITHER, 5 * 3600, 5 * 3600, ""),
    ("bo@example.org Mon Jan  1 00:00:00 2024 remote from host", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00:00 2024 remote from host-0500", EITHER, 0, 0, ""),
    ("bo@example.org Mon Jan  1 00:00:00 America/New_York 2024", EITHER, 0, 0, ""),
    ("bo@example.org Die Jan 01 00:00:00 2024", EITHER, 0, 0, ""),
    ("bo@example.org Mon, 1 Jan 2024 00:00:00 +0000", EITHER, 0, 0, ""),
    ("bo@example.org Mon, 01 Jan 2024 00:00:00", EITHER, 0, 0, ""),
    ("- Mon Jan  1 00:00:00 2024", EITHER, 0, 0, ""),
    (" Mon Jan  1 00:00:00 2024", EITHER, 0, 0, ""),
    ("???@??? Mon Jan  1 00:00:00 2024", EITHER, 0, 0, ""),
    ('"a b c"@example.org Mon Jan  1 00:00:00 2024', EITHER, 0, 0, ""),
    ("1494545332@xxx Mon Jan 01 00:00:00 +0000 2024", EITHER, 0, 0, ""),
    ("jan Mon Jan  1 00:00:00 2024", EITHER, 0, 0, ""),
    ("mark Mon, 1 Jan 2024 00:00:00", EITHER, 0, 0, ""),
    ("MAILER-DAEMON Mon Jan  1 00:00:00 2024", EITHER, 0, 0, ""),
    ("bo@example.org Thu Jan  1 00:00:00 1970", EITHER, NO, NO, ""),
    ("bo@example.org Mon Jan  1 00:00:00 1969", EITHER, NO, NO, ""),
    ("bo@example.org Mon Jan  1 00:00:00 +0100 2024", EITHER, -3600, 0, ZONE),
    ("bo@example.org Mon Jan 01 00:00:00 GMT+0100 2024", EITHER, -3600, 0, ZONE),
    ("bo@example.org Mon Jan  1 00:00:00 2024 +01:00", EITHER, -3600, 0, ZONE),
    ("bo@example.org Mon Jan  1 00:00:00 MET DST 2024", EITHER, 0, "-", ZONE),
    ("bo@example.org Mon Jan 41 00:00:00 2024", EITHER, NO, 40 * 86400, CALENDAR),
    ("bo@example.org Mon Jan  1 25:00:00 2024", EITHER, NO, 25 * 3600, CALENDAR),
    ("bo@example.org Mon Jan 1 0:00:00 2024", EITHER, 0, "-", SHAPES),
    ("bo@example.org Mon\tJan\t1\t00:00:00\t2024", EITHER, 0, "-", SHAPES),
    ("bo@example.org Mon,  1 Jan 2024 00:00:00", EITHER, 0, "-", SHAPES),
    ("bo at example.org  Mon Jan  1 00:00:00 2024", EITHER, 0, "-", SENDER),
    ("Bo Bo <bo@example.org> Mon Jan  1 00:00:00 2024", EITHER, 0, "-", SENDER),
    ("a b c Mon Jan  1 00:00:00 2024", ABOVE, 0, "-", SENDER),
    ("Mon Jan  1 00:00:00 2024", ABOVE, 0, "-", PROSE_LIKE),
    ("our log of Mon Jan  1 00:00:00 2024", ABOVE, 0, "-", PROSE_LIKE),
    ("bo@example.org Mon ???  1 00:00:00 2024", BELOW, NO, 0, "a month that is not there is January for Dovecot"),
    ("- Mon Jan 01 2024 00:00:00", BELOW, 0, "-", SHAPES),
    ("- Mon Jan 01 2024 00:00:00 GMT+0100 (CET)", BELOW, -3600, "-", SHAPES),
    ("bo@example.org 2024-01-01T00:00:00Z", BELOW, 0, "-", SHAPES),
    ("bo@example.org 2024-01-01T00:00:00.123+01:00", BELOW, -3600, "-", SHAPES),
    ("bo@example.org 2024-01-01 00:00:00", BELOW, 0, "-", SHAPES),
    ("bo@example.org 2024/01/01 00:00", BELOW, 0, "-", SHAPES),
    ("bo@example.org 1 Jan 2024 00:00:00", BELOW, 0, "-", SHAPES),
    ("bo@example.org 1-Jan-2024 00:00:00", BELOW, 0, "-", SHAPES),
    ("bo@example.org Jan  1 00:00:00 2024", BELOW, 0, "-", SHAPES),
    ("bo@example.org Mon Jan  1 00:00:00 24", BELOW, 0, "-", SHAPES),
    ("bo@example.org Mon Jan  1 00:00:00.000 2024", BELOW, 0, "-", SHAPES),
    ("bo@example.org Monday, January 1, 2024 12:00:00 AM", BELOW, 0, "-", SHAPES),
    ("bo@example.org lun. janv.  1 00:00:00 2024", BELOW, 0, "-", SHAPES),
    ("bo@example.org Mo D\u00e9z 01 00:00:00 2024", BELOW, NO, "-", SHAPES),
    ("bo@example.org 01/02/2024 10:00", BELOW, NO, "-", SHAPES),
    ("bo@example.org 1/1/2024 12:00:00 AM", BELOW, NO, "-", SHAPES),
    ("-", BOTH, NO, "-", SHAPES),
    ("", BOTH, NO, "-", SHAPES),
    ("bo@example.org Mon Jan  1 2024", BOTH, NO, "-", SHAPES),
    ("bo@example.org 2024-01-01", BOTH, NO, "-", SHAPES),
    ("bo@example.org", NEVER, NO, "-", ""),
    ("here on it rained.", NEVER, NO, "-", ""),
    ("Monday on, at 10:00, in 2024", NEVER, NO, "-", ""),
    ("Monday 1 Jan 2024 10:00", NEVER, NO, "-", ""),
    ("1 Jan 2024 10:00", NEVER, NO, "-", ""),
    ("Anna: on Mon Jan  5 10:00 we meet in 2024", NEVER, NO, "-", ""),
    ("Bo dinner 5 10:30 at 24", NEVER, NO, "-", ""),
    ("Bo dinner 5 10:30 at 2024", NEVER, NO, "-", ""),
    ("now on, 2024-01-01 10:00 at the latest, all of us", NEVER, NO, "-", ""),
)


def between(line: str, around: str) -> bytes:
    """Such a line between two messages."""
    below = "Subject: odd\n\nx\n\n" if "f" in around else "no field\n\n"
    above = f"{LINE}\nSubject: one\n\nx\n" + "\n" * ("b" in around)
    return f"{above}From {line}\n{below}{LINE}\nSubject: two\n\nx\n\n".encode()


def odd_lines() -> int:
    mailboxes, expected = {}, {}
    for n, (line, needs, date, theirs, why) in enumerate(LINES):
        assert (why == "") == (theirs == (date if needs else "-")), line
        for around in ("bf", "b", "f", ""):
            mailboxes[f"l{n}{around}"] = between(line, around)
            expected[f"l{n}{around}"] = line, around, (date if around in needs else "-", theirs)
    wrong = 0
    for name, *seen in both(mailboxes):
        found = ["-" if len(one) == 2 else int(one[1][1]) - T if int(one[1][1]) else NO for one in seen]
        line, around, wanted = expected[name]
        if tuple(found) != wanted:
            print(f"From {line!r}, around it {around!r}: {found}, expected {wanted}")
            wrong += 1
    return min(1, wrong)


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--lines", action="store_true")
    args = parser.parse_args()
    sys.exit(odd_lines() if args.lines else generated(args.seed, args.count))
