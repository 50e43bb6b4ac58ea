#!/usr/bin/python3
"""The faults of faultimap.py, met by POP3, LMTP and doveadm.

    faultservices.py [--sample N --seed S] [--only SERVICE:COMMAND:FAULT:LINE:PART]

A Dovecot of its own (dovecot-server) serves backends/sqlite through backend.py. One answer
is broken while a POP3 client, somebody who delivers by LMTP, or doveadm is at work; what
breaks, and where, is one of faultimap.py's positions. It must end in time, with an answer:
success, if all was done, or a failure that is for now. Then it is over, and IMAP and
the store must have the same: every message once, with its bytes, flags and UID, but for
what was asked for. In the end it tells how many faults the backend did meet: a service
may have what it needs without that answer.
"""

from __future__ import annotations

import os
import poplib
import random
import re
import smtplib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import faultimap
from base import ROOT
from dovecot import alone
from faultcheck import DOVEBRIDGE, Failure, Imap, check
from faultimap import Asked, Position, Stage, arm, check_store, check_view, digest, disarm
from soak import become_nobody

SERVER = os.path.join(ROOT, "test", "lib", "dovecot-server")
# a list that gives what has just come another id is believed: there is nothing to tell it by
BELIEVED = "wrong-id=never"
USER, PASSWORD = "alice", "secret"
END_SECS = 60  # a service, whatever its backend does, on a busy machine
# what a service asks of a backend for each command: no LIST if BOX says that all is as it was
COMMANDS = {
    "pop3": {"RETR": ["CAPS", "BOXES", "LIST", "FETCH"], "DELE": ["EXPUNGE", "LIST"]},
    "lmtp": {"DATA": ["CAPS", "BOXES", "APPEND"]},
    "doveadm": {
        "fetch": ["CAPS", "BOXES", "FETCH"],
        "search": ["SEARCH"],
        "flags": ["LIST", "STORE"],
        "expunge": ["EXPUNGE"],
        "save": ["APPEND"],
        "copy": ["COPY"],
        "move": ["MOVE"],
        "create": ["BOXES", "CREATE"],
        "delete": ["DELETE"],
        "rename": ["RENAME"],
    },
}


@dataclass(frozen=True)
class Place:
    service: str
    command: str
    position: Position

    def __str__(self) -> str:
        return f"{self.service}:{self.command}:{self.position}"


def places() -> list[Place]:
    return [
        Place(service, command, position)
        for service, commands in COMMANDS.items()
        for command, verbs in commands.items()
        for position in faultimap.positions()
        if position.verb in verbs and position.scenario not in faultimap.OWN
        and (position.scenario, position.fault) != ("LIST", BELIEVED)
    ]


def sample(todo: list[Place], count: int, rng: random.Random) -> list[Place]:
    """As many of each service."""
    each = [[place for place in todo if place.service == service] for service in COMMANDS]
    return [place for some in each for place in rng.sample(some, min(count // len(each), len(some)))]


class Services(Stage):
    """The same store and state, and a Dovecot master with the same backend."""

    def __init__(self) -> None:
        super().__init__()
        self.stop()
        timeout = f"{faultimap.TIMEOUT_MSECS}ms"
        conf = ["pop3_no_flag_updates = yes", f"mail_temp_dir = {self.temporary}"]
        conf += ["plugin {", f"  bridge_timeout = {timeout}", "  bridge_caps_timeout = 8s", "}"]
        words = [word for line in conf for word in ("--conf", line)]
        backend = [faultimap.BACKEND, "--spot", self.spot]
        backend += ["--over", f"{faultimap.SQLITE} --synchronous off {self.database}", self.folder]
        self.server = self.path("server")
        argv = [SERVER, "start", self.server, "--protocols", "pop3 lmtp", *words, "--", *backend]
        subprocess.run(argv, check=True)
        with open(f"{self.server}/env", encoding="ascii") as file:
            self.ports = dict(re.findall(r"(\w+)_PORT=(\d+)", file.read()))

    def path(self, name: str) -> str:
        """The state of the server's user is the one that the IMAP client has."""
        return super().path(f"server/state/{USER}" if name == "state" else name)

    def remove(self) -> None:
        subprocess.run([SERVER, "stop", self.server], check=True)
        super().remove()

    def tail(self) -> str:
        with open(f"{self.server}/log", encoding="utf-8", errors="replace") as file:
            return file.read()[-1000:]

    def doveadm(self, *words: str, data: bytes = b"") -> tuple[bool, bytes]:
        argv = ["doveadm", "-c", f"{self.server}/dovecot.conf", words[0], *words[1:]]
        env = {"PATH": os.environ["PATH"], "USER": USER, "HOME": f"{self.server}/home/{USER}"}
        done = subprocess.run(argv, input=data, capture_output=True, timeout=END_SECS, env=env)
        check(done.returncode >= 0, f"doveadm {words}: signal {-done.returncode}")
        return done.returncode == 0, done.stdout


# --- what is done: each returns what was asked for, and what does it ------------------

Deed = tuple[Asked, Callable[[], bool]]


def pop3(stage: Services, command: str, uid: int) -> Deed:
    mail = stage.view["INBOX"].mail
    number = sorted(mail).index(uid) + 1

    def work() -> bool:
        try:
            client = poplib.POP3("127.0.0.1", int(stage.ports["POP3"]), timeout=END_SECS)
            client.user(USER)
            client.pass_(PASSWORD)
            if command == "RETR":
                _, lines, _ = client.retr(number)
                check(digest(b"".join(line + b"\r\n" for line in lines)) == mail[uid][0], f"RETR gives {lines}")
            else:
                client.dele(number)
            client.quit()
        except (poplib.error_proto, EOFError, ConnectionError):
            return False
        return True

    return Asked("INBOX", leaves=uid if command == "DELE" else 0), work


def lmtp(stage: Services, command: str, uid: int) -> Deed:
    data = stage.message()

    def work() -> bool:
        with smtplib.LMTP("127.0.0.1", int(stage.ports["LMTP"]), local_hostname="localhost", timeout=END_SECS) as client:
            try:
                client.sendmail("a@example.org", [USER], data)
            except smtplib.SMTPRecipientsRefused as refused:
                codes = [code for code, _ in refused.recipients.values()]
                check(all(400 <= code < 500 for code in codes), f"LMTP refuses for good: {refused.recipients}")
                return False
            except smtplib.SMTPDataError as refused:
                check(400 <= refused.smtp_code < 500, f"LMTP refuses for good: {refused}")
                return False
        return True

    return Asked(arrives="INBOX"), work


def doveadm(stage: Services, command: str, uid: int) -> Deed:
    one = ["-u", USER] if os.geteuid() == 0 else alone()
    mail = stage.view["INBOX"].mail
    query = ["mailbox", "INBOX", "uid", str(uid)]
    stage.serial += 1
    old, new = f"old{stage.serial}", f"new{stage.serial}"
    data = stage.message()
    if command in ("delete", "rename"):
        stage.start()
        stage.client.works(f"CREATE {old}")
        stage.view = stage.look()
        stage.stop()
    sign = "remove" if "\\Flagged" in mail[uid][1] else "add"
    table = {
        "fetch": (Asked(), ["fetch", *one, "text", *query]),
        "search": (Asked(), ["search", *one, "mailbox", "INBOX", "subject", "message"]),
        "flags": (Asked("INBOX", flagged=uid), ["flags", sign, *one, "\\Flagged", *query]),
        "expunge": (Asked("INBOX", leaves=uid), ["expunge", *one, *query]),
        "save": (Asked(arrives="Other", digest=digest(data)), ["save", *one, "-m", "Other"]),
        "copy": (Asked(arrives="Other", digest=mail[uid][0]), ["copy", *one, "Other", *query]),
        "move": (Asked("INBOX", uid, "Other", mail[uid][0]), ["move", *one, "Other", *query]),
        "create": (Asked(makes=new), ["mailbox", "create", *one, new]),
        "delete": (Asked(unmakes=old), ["mailbox", "delete", *one, old]),
        "rename": (Asked(makes=new, unmakes=old), ["mailbox", "rename", *one, old, new]),
    }
    asked, words = table[command]

    def work() -> bool:
        done, text = stage.doveadm(*words, data=data)
        if command == "fetch" and done:
            _, _, body = text.partition(b"text:\n")
            check(digest(body.rstrip(b"\f\n") + b"\n") == mail[uid][0], f"doveadm fetch gives {text!r}")
        return done

    return asked, work


SERVICES = {"pop3": pop3, "lmtp": lmtp, "doveadm": doveadm}


def attempt(stage: Services, place: Place) -> bool:
    """Returns whether the fault was met."""
    mail = stage.view["INBOX"].mail
    uid = sorted(mail)[stage.serial % len(mail)]
    asked, work = SERVICES[place.service](stage, place.command, uid)
    before = {name: dict(box.mail) for name, box in stage.view.items()}
    arm(stage, place.position)
    began = time.monotonic()
    done = work()
    took = time.monotonic() - began
    disarm(stage)
    check(took < END_SECS, f"it takes {took:.0f} s")
    stage.start()
    now = stage.look()
    if place.service == "lmtp":  # what came has headers of Dovecot's own
        new = now["INBOX"].mail.keys() - before["INBOX"].keys()
        asked.digest = now["INBOX"].mail[max(new)][0] if new else ""
    check_view(stage.view, now, asked, done, place.position.fault in faultimap.RENEWING)
    check_store(stage, now)
    stage.view = now
    if len(mail) < 21:
        stage.view = faultimap.refill(stage)
    stage.stop()
    return faultimap.was_met(stage)


def run(todo: list[Place]) -> tuple[list[str], Counter[str]]:
    """What is wrong, and how many faults each service met."""
    problems: list[str] = []
    met: Counter[str] = Counter()
    stage = Services()
    for place in todo:
        try:
            met[place.service] += attempt(stage, place)
        except (Failure, AssertionError, OSError, KeyError, subprocess.TimeoutExpired) as failure:
            problems.append(f"{place}: {failure!r}\nits log ends with\n{stage.tail()}\nrun it alone: make faults ONLY={place}")
            stage.remove()
            stage = Services()
    stage.remove()
    return problems, met


def main() -> None:
    if os.geteuid() == 0:
        become_nobody()
    os.umask(0o022)
    chosen, began = faultimap.options(), time.monotonic()
    todo = places()
    if chosen.only:
        todo = [place for place in todo if re.fullmatch(chosen.only, str(place))]
    elif chosen.sample:
        print(f"seed {chosen.seed}")
        todo = sample(todo, chosen.sample, random.Random(chosen.seed))
    if not todo:
        sys.exit(faultimap.NOTHING)
    problems, met = run(todo)
    print(*problems[:10], sep="\n\n")
    tried = Counter(place.service for place in todo)
    spared = [name for name in tried if not met[name]]
    print(f"met: {', '.join(f'{met[name]} of {tried[name]} by {name}' for name in sorted(tried))}")
    print(f"services: {len(todo)} positions tried, {met.total()} met, {len(problems)} failures, {time.monotonic() - began:.0f} seconds")
    sys.exit(1 if problems or spared else 0)


if __name__ == "__main__":
    main()
