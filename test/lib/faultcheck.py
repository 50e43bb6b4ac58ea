#!/usr/bin/python3
"""Break a backend in one way, and look at what users and the log get to see.

    faultcheck.py prepare HOME                  once for each file of tests
    faultcheck.py run [option...] HOME FAULT... for each fault, see backend.py

prepare makes an archive below HOME, serves it over IMAP while all is well,
changes some flags, and notes everything that a client can see. run does this:

    seen    a copy of that state; the fault strikes in the middle of a session
    fresh   no state at all; the fault is there from the start
    tools   the same through `dovebridge ls` and `dovebridge cat`

While the fault lasts, each command must end as --expect says: a tagged NO with
that response code, or OK with the old view; no BYE, and exactly one line of the
log, which names the program, the request and what --log says. Then the fault is
taken away. The same commands, in the same session, must work, and everything
must be as it was, there and in a new session. No process, no zombie and no
file in the folder for temporary files may be left, and imap may not have grown.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import select
import shlex
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Iterator, NoReturn, Sequence

from base import ROOT

DOVEBRIDGE = os.path.join(ROOT, "build", "dovebridge")
BACKEND = os.path.join(ROOT, "test", "stores", "backend.py")

MESSAGES = {"INBOX": 24, "Other": 20}  # so many that the brake cares
ANSWER_SECS = 180  # no command takes so long, whatever the backend does
EXIT_SECS = 60
RESIDENT_MAX_KB = 100 * 1024
LINES_MAX = 1000  # of the log for one command, with what the backend itself writes to it
FETCHED = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"
LOGGED = re.compile(r"\b(Error|Warning|Fatal|Panic): ")

Snapshot = dict[str, dict[str, object]]


class Failure(Exception):
    """Something is not as it must be."""


def check(good: bool, text: str) -> None:
    if not good:
        raise Failure(text)


# --- IMAP ----------------------------------------------------------------------


@dataclass
class Answer:
    status: str  # OK, NO or BAD
    code: str  # the response code without its arguments
    text: str
    untagged: list[bytes] = field(default_factory=list)  # literals stand in them

    def number(self, pattern: bytes) -> int:
        for line in self.untagged:
            match = re.search(pattern, line)
            if match:
                return int(match[1])
        raise Failure(f"{pattern!r} is not in the answer: {self.untagged}")


class Imap:
    """A session on stdin and stdout of `dovebridge imap`."""

    def __init__(self, argv: Sequence[str], log: str, words: str, memory: int) -> None:
        self.log, self.logged, self.words = log, 0, words

        def limit() -> None:
            if memory > 0:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

        with open(log, "wb") as stderr:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0, preexec_fn=limit
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.buffer = b""
        self.tag = 0
        greeting = self.response()
        check(greeting.startswith(b"* PREAUTH"), f"it greets with {greeting!r}")

    def fill(self) -> None:
        ready, _, _ = select.select([self.stdout], [], [], ANSWER_SECS)
        check(bool(ready), "no answer comes from imap")
        data = os.read(self.stdout.fileno(), 1 << 20)
        check(bool(data), "imap has closed the connection: " + self.tail())
        self.buffer += data

    def tail(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-1000:]

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self.fill()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line + b"\r\n"

    def response(self) -> bytes:
        whole = line = self.line()
        while match := re.search(rb"\{(\d+)\}\r\n\Z", line):
            while len(self.buffer) < int(match[1]):
                self.fill()
            literal, self.buffer = self.buffer[: int(match[1])], self.buffer[int(match[1]) :]
            line = self.line()
            whole += literal + line
        return whole

    def command(self, text: str) -> Answer:
        self.tag += 1
        tag = f"t{self.tag}"
        self.stdin.write(f"{tag} {text}\r\n".encode())
        untagged: list[bytes] = []
        while True:
            response = self.response()
            if response.startswith(tag.encode() + b" "):
                break
            check(text == "LOGOUT" or not response.startswith(b"* BYE"), f"{text}: {response!r}")
            untagged.append(response)
        match = re.fullmatch(r"\S+ (OK|NO|BAD) (?:\[([^] ]*)[^]]*\] )?(.*)\r\n", response.decode())
        check(match is not None, f"{text}: {response!r}")
        assert match is not None
        return Answer(match[1], match[2] or "", match[3], untagged)

    def works(self, text: str) -> Answer:
        answer = self.command(text)
        check(answer.status == "OK", f"{text}: {answer.status} [{answer.code}] {answer.text}\n{self.tail()}")
        return answer

    def new_lines(self) -> list[str]:
        """Errors and warnings since the last call."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(self.logged)
            text = file.read()
            self.logged = file.tell()
        lines = [line for line in text.splitlines() if LOGGED.search(line)]
        check(len(lines) < LINES_MAX, f"{len(lines)} lines are logged")
        return [line for line in lines if not self.own_words(line)]

    def own_words(self, line: str) -> bool:
        """What the backend itself wrote to its stderr."""
        return self.words != "" and re.search(f"bridge: [^ ]+: {self.words}", line) is not None

    def status_of(self, pid: int, key: str) -> str:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return dict(line.split(":", 1) for line in file if ":" in line).get(key, "").strip()

    def check_children(self, unnoticed: bool = False) -> None:
        """At most one copy, and none that is dead and not reaped. A copy that ended
        while nobody asked it anything (unnoticed) is reaped with the next request."""
        states = [state for _, parent, state in processes() if parent == self.process.pid]
        check(len(states) <= 1, f"imap has children in the states {states}")
        check(unnoticed or "Z" not in states, "imap has a child that is dead and not reaped")

    def check_size(self) -> None:
        peak = int(self.status_of(self.process.pid, "VmHWM").split()[0])
        check(peak < RESIDENT_MAX_KB, f"imap has grown to {peak} kB")

    def leave(self) -> None:
        self.check_size()
        self.works("LOGOUT")
        self.stdin.close()
        check(self.process.wait(EXIT_SECS) == 0, "imap exits with an error: " + self.tail())
        self.stdout.close()


def processes() -> Iterator[tuple[int, int, str]]:
    """Process id, parent and state of everything that runs."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue  # it has ended
            yield int(name), int(parent), state


def children_named(folder: str) -> list[str]:
    """Command lines of processes, other than this one, that name the folder."""
    found = []
    for pid, _, _ in processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = os.fsdecode(file.read()).split("\0")
        except OSError:
            continue
        if pid not in ancestors() and any(folder + "/" in word for word in words):
            found.append(f"{pid}: {shlex.join(words)}")
    return found


def ancestors() -> set[int]:
    parents = {pid: parent for pid, parent, _ in processes()}
    pid, found = os.getpid(), set[int]()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = parents.get(pid, 0)
    return found


# --- what a client can see -------------------------------------------------------


def message_of(response: bytes) -> tuple[int, list[object]]:
    def part(pattern: bytes) -> str:
        match = re.search(pattern, response)
        check(match is not None, f"{pattern!r} is not in {response[:300]!r}")
        assert match is not None
        return match[1].decode()

    flags = sorted(set(part(rb"FLAGS \(([^)]*)\)").split()) - {"\\Recent"})
    size = int(part(rb"BODY\[\] \{(\d+)\}"))
    start = response.index(b"}\r\n") + 3
    body = response[start : start + size].decode()
    return int(part(rb"UID (\d+)")), [flags, part(rb'INTERNALDATE "([^"]*)"'), part(rb"RFC822\.SIZE (\d+)"), body]


def snapshot(imap: Imap) -> Snapshot:
    listed = imap.works('LIST "" "*"').untagged
    names = sorted(line.split()[-1].decode() for line in listed if line.startswith(b"* LIST"))
    check(names == sorted(MESSAGES), f"these mailboxes are listed: {names}")
    seen: Snapshot = {}
    for name in names:
        answer = imap.works(f"EXAMINE {name}")
        box: dict[str, object] = {
            "uidvalidity": answer.number(rb"\[UIDVALIDITY (\d+)\]"),
            "uidnext": answer.number(rb"\[UIDNEXT (\d+)\]"),
        }
        fetched = [r for r in imap.works(f"UID FETCH 1:* {FETCHED}").untagged if b" FETCH (" in r]
        box["messages"] = {str(uid): rest for uid, rest in map(message_of, fetched)}
        seen[name] = box
    check(imap.new_lines() == [], "it logs while all is well: " + imap.tail())
    return seen


def check_same(now: Snapshot, before: Snapshot, when: str) -> None:
    for name in sorted(before.keys() | now.keys()):
        a, b = before.get(name), now.get(name)
        check(a == b, f"{when}, {name} is not as before:\n{a}\nnow:\n{b}")


def body_of(box: str, number: int) -> str:
    lines = [f"Subject: {box} {number}", "Date: Tue, 05 Mar 2024 10:20:30 +0000", "", f"Text {number} in {box}"]
    return "".join(line + "\r\n" for line in lines + ["more of it"] * number)


def check_complete(seen: Snapshot) -> None:
    """Every message of the archive, in order, with the first UIDs there are."""
    for name, count in MESSAGES.items():
        messages = seen[name]["messages"]
        assert isinstance(messages, dict)
        bodies = [rest[3] for _, rest in sorted(messages.items(), key=lambda item: int(item[0]))]
        check(bodies == [body_of(name, n) for n in range(1, count + 1)], f"{name} has other messages")
        check(sorted(map(int, messages)) == list(range(1, count + 1)), f"{name} has the UIDs {list(messages)}")
        check(seen[name]["uidnext"] == count + 1, f"{name} says UIDNEXT {seen[name]['uidnext']}")


# --- the stage -------------------------------------------------------------------


class Stage:
    """A folder for one run: state, temporary files, and the switch of the fault."""

    def __init__(self, home: str, options: argparse.Namespace | None = None) -> None:
        self.home, self.options = home, options
        self.archive = os.path.join(home, "archive")
        self.folder = os.path.join(home, f"run-{os.getpid()}")
        self.temporary = os.path.join(self.folder, "tmp")
        self.switch = os.path.join(self.folder, "switch", "on")
        self.logs = 0
        for path in (self.folder, self.temporary, os.path.dirname(self.switch)):
            os.mkdir(path)
            os.chmod(path, 0o1777 if path == self.temporary else 0o777)
        if options is not None and options.program:
            self.disarm()

    # The switch. A fault of the program itself is made and unmade here; all
    # others look for the file.

    @property
    def program(self) -> str:
        broken = self.options is not None and bool(self.options.program)
        return os.path.join(self.folder, "program") if broken else BACKEND

    def write_program(self, first: str, mode: int) -> None:
        with open(self.program + ".new", "w", encoding="utf-8", newline="") as file:
            file.write(f'{first}\nexec {shlex.quote(BACKEND)} "$@"\n')
            os.fchmod(file.fileno(), mode)
        os.rename(self.program + ".new", self.program)

    def arm(self) -> None:
        kind = self.options.program if self.options is not None else ""
        if kind == "missing":
            os.unlink(self.program)
        elif kind == "not-executable":
            self.write_program("#!/bin/sh", 0o644)
        elif kind == "no-interpreter":
            self.write_program("#!/nonexistent/interpreter", 0o755)
        elif kind == "crlf":
            self.write_program("#!/bin/sh\r", 0o755)
        elif kind == "folder":
            os.unlink(self.program)
            os.mkdir(self.program)
        else:
            with open(self.switch, "wb"):
                pass
            os.chmod(self.switch, 0o666)

    def late(self) -> int:
        """How often the backend has said more after an answer (backend.py, --once)."""
        path = f"{self.switch}.then"
        return os.path.getsize(path) if os.path.exists(path) else 0

    def disarm(self) -> None:
        if self.options is not None and self.options.program:
            if os.path.isdir(self.program):
                os.rmdir(self.program)
            self.write_program("#!/bin/sh", 0o755)
        elif os.path.exists(self.switch):
            os.unlink(self.switch)

    # Programs.

    def backend(self) -> list[str]:
        if self.options is None:
            return [BACKEND, self.archive]
        words = [self.program, "--latch" if self.options.transient else "--once", self.switch]
        words += shlex.split(self.options.backend)
        for fault in self.options.fault:
            words += ["--fault", fault]
        return words + [self.archive]

    def imap(self, state: str) -> Imap:
        settings = {"mail_temp_dir": self.temporary}
        words, memory = "", 0
        if self.options is not None:
            words, memory = self.options.words, self.options.memory << 20
            settings["bridge_timeout"] = self.options.timeout
            settings["bridge_caps_timeout"] = self.options.caps_timeout
        argv = [DOVEBRIDGE, "imap", "--state", os.path.join(self.folder, state)]
        for key, value in settings.items():
            argv += ["-o", f"{key}={value}"]
        self.logs += 1
        return Imap([*argv, "--", *self.backend()], os.path.join(self.folder, f"log-{self.logs}"), words, memory)

    def tool(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [DOVEBRIDGE, *words, "--", *self.backend()],
            env=dict(os.environ, TMPDIR=self.temporary),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=ANSWER_SECS,
            check=False,
        )

    def check_clean(self) -> None:
        check(children_named(self.folder) == [], f"left behind: {children_named(self.folder)}")
        check(os.listdir(self.temporary) == [], f"left behind: {os.listdir(self.temporary)}")


# --- one fault ---------------------------------------------------------------------


@dataclass
class Step:
    command: str
    request: str  # what the log quotes
    quiet: bool = False  # OK and the old view, whatever happens: so Dovecot wants it


def steps(verb: str, fresh: bool) -> list[Step]:
    """Commands that make the bridge ask for verb. Each FETCH asks for another
    message: Dovecot ends a session that asks again for one that it could not
    read (imap_fetch_failure)."""
    if verb == "FETCH":
        return [
            Step("UID FETCH 2 (BODY.PEEK[])", 'FETCH INBOX full 002.eml"'),
            Step("UID FETCH 3 (BODY.PEEK[TEXT])", 'FETCH INBOX full 003.eml"'),
            Step('UID SEARCH UID 4 BODY "Text 4"', 'FETCH INBOX full 004.eml"'),
        ]
    if verb == "LIST":
        again = [] if fresh else [Step("NOOP", 'LIST INBOX -"', quiet=True)]
        return again + [
            Step("STATUS Other (MESSAGES UIDNEXT UIDVALIDITY)", 'LIST Other -"'),
            Step("SELECT INBOX", 'LIST INBOX -"'),
        ]
    if verb == "NOINBOX":
        return [Step("NOOP", 'LIST"', quiet=True), Step("UID FETCH 2 (BODY.PEEK[])", 'LIST"')]
    request = 'LIST"' if verb == "BOXES" else "CAPS 1 mode=imap user="
    return [Step(text, request) for text in ('LIST "" "*"', "STATUS Other (MESSAGES)", "SELECT INBOX")]


def check_line(stage: Stage, options: argparse.Namespace, line: str, step: Step) -> None:
    check(stage.program in line, f"the program is not named: {line}")
    check(options.no_request or '"' + step.request in line, f'the request "{step.request} is not named: {line}')
    check(re.search(options.log, line) is not None, f"not as /{options.log}/: {line}")


def strike(stage: Stage, options: argparse.Namespace, imap: Imap, step: Step) -> int:
    """One command while the fault lasts; returns how many lines it logged."""
    if options.transient:
        stage.arm()
    answer = imap.command(step.command)
    lines = imap.new_lines()
    shown = f"{step.command}: {answer.status} [{answer.code}] {answer.text}\n" + "\n".join(lines)
    code = "SERVERBUG" if "FETCH" in step.command and options.expect != "OLD" else options.expect
    if code == "OLD" or step.quiet:
        check(answer.status == "OK", shown)
        check(len(lines) <= 1 or options.any_lines, "more than one line: " + shown)
        check(not any(re.search(rb" (EXPUNGE|VANISHED)\b", line) for line in answer.untagged), shown)
        if "PEEK[])" in step.command:
            check(body_of("INBOX", 2).encode() in b"".join(answer.untagged), f"{step.command}: {answer.untagged}")
        if step.command.startswith("SELECT"):
            check(answer.number(rb"(\d+) EXISTS") == MESSAGES["INBOX"], f"{step.command}: {answer.untagged}")
    else:
        check(answer.status == "NO" and answer.code == code, f"NO [{code}] is expected: {shown}")
        check(len(lines) == 1, "not one line: " + shown)
    for line in lines:
        check_line(stage, options, line, step)
    imap.check_children(unnoticed=any(fault.startswith("die-after=") for fault in options.fault))
    return len(lines)


def wait_for(event: Callable[[], bool], secs: float = 10) -> None:
    """Until it has come, or for so long."""
    end = time.monotonic() + secs
    while not event() and time.monotonic() < end:
        time.sleep(0.02)


def strikes(stage: Stage, options: argparse.Namespace, imap: Imap, fresh: bool) -> None:
    todo = steps(options.verb, fresh)[: options.steps]
    logged = 0
    for step in todo:
        late = stage.late()
        logged += strike(stage, options, imap, step)
        if any(fault.startswith("afterwards") for fault in options.fault):
            wait_for(lambda: stage.late() > late)  # a step that asks for nothing has none
        time.sleep(options.pause)
        if step.command.startswith("SELECT") and options.expect != "OLD":
            check(imap.command("CHECK").status == "BAD", "a mailbox is open that could not be listed")
    stage.disarm()
    if options.pause:
        imap.works(todo[-1].command)
        logged += len(imap.new_lines())
    wanted = options.lines if options.lines is not None else len(todo)
    enough = logged > 0 if options.any_lines else logged == wanted
    check(enough, f"{logged} lines are logged, not {wanted}: {imap.tail()}")
    for step in reversed(todo):
        if options.final:
            answer = imap.command(step.command)
            check(answer.status == "NO" or step.quiet, f"{step.command}: {answer}")
            if step.quiet:
                continue
            check_line(stage, options, "".join(imap.new_lines()), step)
        else:
            imap.works(step.command)
    for line in imap.new_lines() if options.any_lines else []:
        check_line(stage, options, line, todo[-1])
    check(options.final or imap.new_lines() == [], "it logs when all is well again: " + imap.tail())


def run_seen(stage: Stage, options: argparse.Namespace, before: Snapshot) -> None:
    shutil.copytree(os.path.join(stage.home, "state"), os.path.join(stage.folder, "seen"), symlinks=True)
    own_as(os.path.join(stage.home, "state"), os.path.join(stage.folder, "seen"))
    early = options.verb in ("CAPS", "NOINBOX")
    if early:
        stage.arm()
    imap = stage.imap("seen")
    if options.verb != "CAPS":
        exists = imap.works("SELECT INBOX").number(rb"(\d+) EXISTS")
        check(exists == MESSAGES["INBOX"], f"only {exists} messages are there")
    if not early:
        stage.arm()
    strikes(stage, options, imap, fresh=False)
    if not options.final:
        check_same(snapshot(imap), before, "in the session that saw the fault")
    imap.leave()
    imap = stage.imap("seen")
    check_same(snapshot(imap), before, "in a new session")
    imap.leave()
    stage.check_clean()


def run_fresh(stage: Stage, options: argparse.Namespace) -> None:
    early = options.verb != "FETCH"
    if early:
        stage.arm()
    imap = stage.imap("fresh")
    if not early:
        imap.works("SELECT INBOX")
        stage.arm()
    strikes(stage, options, imap, fresh=True)
    first = None if options.final else snapshot(imap)
    imap.leave()
    imap = stage.imap("fresh")
    again = snapshot(imap)
    check_complete(again)
    check_same(again, first or again, "in a new session")
    imap.leave()
    stage.check_clean()


def run_tools(stage: Stage, options: argparse.Namespace) -> None:
    words = {"FETCH": ["cat", "INBOX", "002.eml"], "LIST": ["ls", "INBOX"]}.get(options.verb, ["ls"])
    request = {"FETCH": 'FETCH INBOX full 002.eml"', "LIST": 'LIST INBOX -"', "BOXES": 'LIST"'}
    step = Step(shlex.join(words), request.get(options.verb, "CAPS 1 mode=cli user="))
    stage.arm()
    done = stage.tool(*words)
    ignored = "started as root|: (error|warning): .*" + (options.words or "$^")
    said = [line for line in done.stderr.splitlines() if not re.search(ignored, line)]
    wanted = {"OLD": 0, "UNAVAILABLE": 69, "SERVERBUG": 70}[options.expect]
    check(done.returncode == wanted, f"{step.command}: status {done.returncode}, not {wanted}: {done.stderr}")
    check(len(said) == (0 if options.lines == 0 else 1), f"{step.command}: not one line: {done.stderr}")
    for line in said:
        check_line(stage, options, line, step)
    check((done.stdout != "") == (options.expect == "OLD"), f"{step.command} writes {done.stdout!r}")
    stage.disarm()
    done = stage.tool(*words)
    check(done.returncode == 0 and done.stdout != "", f"{step.command}: {done.stderr}")
    stage.check_clean()


# --- all together --------------------------------------------------------------------


def own_as(model: str, copy: str) -> None:
    """As root the state belongs to nobody; so must its copy."""
    if os.geteuid() != 0:
        return
    for folder, _, files in os.walk(model):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            info = os.lstat(path)
            os.chown(os.path.join(copy, os.path.relpath(path, model)), info.st_uid, info.st_gid, follow_symlinks=False)


def prepare(home: str) -> None:
    for box, count in MESSAGES.items():
        folder = os.path.join(home, "archive", "" if box == "INBOX" else box)
        os.makedirs(folder, exist_ok=True)
        for number in range(1, count + 1):
            with open(os.path.join(folder, f"{number:03}.eml"), "w", encoding="utf-8", newline="") as file:
                file.write(body_of(box, number).replace("\r\n", "\n"))
    stage = Stage(home)
    imap = stage.imap("state")
    for box in MESSAGES:
        imap.works(f"SELECT {box}")
        imap.works("UID STORE 1,3 +FLAGS (\\Seen)")
        imap.works("UID STORE 2 +FLAGS (\\Flagged \\Answered $Important)")
    before = snapshot(imap)
    check_complete(before)
    imap.leave()
    stage.check_clean()
    os.rename(os.path.join(stage.folder, "state"), os.path.join(home, "state"))
    shutil.rmtree(stage.folder)
    with open(os.path.join(home, "before.json"), "w", encoding="utf-8") as out:
        json.dump(before, out)


def run(options: argparse.Namespace) -> None:
    with open(os.path.join(options.home, "before.json"), encoding="utf-8") as file:
        before: Snapshot = json.load(file)
    stage = Stage(options.home, options)
    for part in options.parts.split(","):
        try:
            if part == "seen":
                run_seen(stage, options, before)
            elif part == "fresh":
                run_fresh(stage, options)
            else:
                run_tools(stage, options)
        except Failure as failure:
            raise Failure(f"{part}: {failure}") from None
    shutil.rmtree(stage.folder)


def parse() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("action", choices=("prepare", "run"))
    add("home", metavar="HOME")
    add("fault", nargs="*", metavar="FAULT")
    add("--verb", choices=("CAPS", "BOXES", "LIST", "FETCH", "NOINBOX"), default="LIST", help="the request that goes wrong")
    add("--expect", default="UNAVAILABLE", metavar="CODE", help="response code of NO, or OLD: OK with the old view")
    add("--log", default="", metavar="REGEX", help="what the line in the log says")
    add("--lines", type=int, metavar="N", help="lines in all, if not one for each command")
    add("--any-lines", action="store_true", help="one line or more: what comes late meets what is asked for ahead")
    add("--words", default="", metavar="REGEX", help="what the backend itself writes to stderr")
    add("--final", action="store_true", help="the session does not start the backend again")
    add("--no-request", action="store_true", help="the line does not name a request")
    add("--transient", action="store_true", help="the fault strikes once for each command")
    add("--program", default="", metavar="KIND", help="the program itself is missing, ...")
    add("--steps", type=int, default=9, metavar="N", help="only so many commands")
    add("--parts", default="seen,fresh,tools", metavar="LIST")
    add("--backend", default="", metavar="WORDS", help="more options for backend.py")
    add("--memory", type=int, default=0, metavar="MIB", help="RLIMIT_AS of imap, as vsz_limit is")
    add("--pause", type=float, default=0, metavar="SECS", help="after each command, for what comes late")
    add("--timeout", default="60s", metavar="TIME", help="bridge_timeout")
    add("--caps-timeout", default="60s", metavar="TIME", help="bridge_caps_timeout")
    return parser.parse_args()


def main() -> None:
    os.umask(0o022)
    options = parse()
    options.home = os.path.abspath(options.home)
    try:
        if options.action == "prepare":
            prepare(options.home)
        else:
            run(options)
    except Failure as failure:
        sys.exit(f"faultcheck.py: {failure}")


if __name__ == "__main__":
    main()
