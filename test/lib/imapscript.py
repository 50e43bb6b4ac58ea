#!/usr/bin/python3
"""Plays a script of IMAP commands and shell commands, and prints every answer.

    imapscript.py [--log FILE] -- PROGRAM [ARG...]  <script

Each line is one of
    a SELECT INBOX      a command of the session "a", which is started at its
                        first line; a command that ends in {N+} goes on with the
                        next line
    a show              "a shows", a line for each message of the selected
                        mailbox (UID, subject, flags but \\Recent), "."
    a append INBOX one,two (\\Seen)  an APPEND of a message for each subject, with
                        the flags and date behind them, if any
    a idle              IDLE, until the server waits
    a begin UID FETCH 1:* FLAGS      send it, and go on with the script meanwhile
    a finish            what is answered to that
    a within 5 EXISTS   wait at most 5 seconds for an untagged answer with EXISTS in
                        it; what comes is printed, "a waited" if that did not
    a done              DONE, to the end of IDLE
    a end               close its input, wait for it
    a kill              kill -9, wait for it
    ! rm "$TMP/x"       a line for bash
    # text              nothing

Untagged answers are printed as they come, the tagged one with the session's
name as its tag and without the time that Dovecot says at its end. The sessions
end with the script. FILE gets their stderr, and a line that begins with "Fatal:" if
a signal ended one.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from base import STOP_SECS

SHOWN = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY\[.*\n(?:Subject: (.*))?\n")
ANSWER_SECS = 240  # longer than anything that a test asks for


class Session:
    def __init__(self, name: str, argv: list[str], log: str) -> None:
        self.log = log
        with open(log, "ab") as file:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file)
        assert self.process.stdin and self.process.stdout
        self.name, self.input, self.output = name, self.process.stdin, self.process.stdout
        self.text = b""  # what was read and is not used yet
        self.answer()  # the greeting, which nobody asked for

    def more(self, secs: float | None = None) -> bool:
        """Read more; False at the end of the session, or when so many seconds have passed."""
        if secs is not None and not select.select([self.output], [], [], max(0, secs))[0]:
            return False
        data = os.read(self.output.fileno(), 1 << 16)
        self.text += data
        return bool(data)

    def take(self, size: int) -> bytes:
        taken, self.text = self.text[:size], self.text[size:]
        return taken

    def line(self) -> bytes:
        while b"\n" not in self.text and self.more():
            pass
        return self.take(self.text.find(b"\n") + 1 or len(self.text))

    def answer(self) -> bytes:
        """One answer, its literals included; empty at the end of the session."""
        text = self.line()
        while literal := re.search(rb"\{(\d+)\}\r\n$", text):
            while len(self.text) < int(literal[1]) and self.more():
                pass
            text += self.take(int(literal[1])) + self.line()
        return text.replace(b"\r\n", b"\n")

    def answers(self, text: str) -> Iterator[bytes]:
        """Of one command, the tagged one last."""
        self.begin(text)
        yield from self.finish()

    def begin(self, text: str) -> None:
        self.send(text if text == "DONE" else f"{self.name} {text}")

    def finish(self) -> Iterator[bytes]:
        tag = f"{self.name} ".encode()
        while answer := self.answer():
            if answer.startswith(tag):
                yield re.sub(rb" \([0-9.]+( \+ [0-9.]+)* secs\)\.\n$", b"\n", answer)
                return
            yield answer
        yield tag + b"ended\n"

    def command(self, text: str) -> None:
        if text != "finish":
            self.begin(text.removeprefix("begin "))
        if not text.startswith("begin "):
            for answer in self.finish():
                show(answer)

    def messages(self) -> None:
        """What `show` shows; every other answer before it, as it came."""
        lines = [f"{self.name} shows\n".encode()]
        for answer in self.answers("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
            message = SHOWN.match(answer)
            if message:
                flags = sorted(set(message[2].split()) - {b"\\Recent"})
                lines.append(b" ".join([message[1], message[3] or b"-", *flags]) + b"\n")
            elif not answer.startswith(f"{self.name} OK".encode()):
                show(answer)
        show(b"".join(lines) + b".\n")

    def append(self, args: str) -> None:
        mailbox, subjects, *more = args.split(" ", 2)
        text = f"APPEND {mailbox}"
        for subject in subjects.split(","):
            message = f"Subject: {subject}\r\n\r\nThe text of {subject}\r\n"
            text += "".join(f" {part}" for part in more) + f" {{{len(message.encode())}+}}\r\n{message}"
        self.command(text)

    def send(self, text: str) -> None:
        try:
            self.input.write(f"{text}\r\n".encode())
            self.input.flush()
        except BrokenPipeError:
            pass

    def idle(self) -> None:
        self.send(f"{self.name} IDLE")
        while answer := self.answer():
            show(answer)
            if answer.startswith((b"+", f"{self.name} ".encode())):
                break

    def within(self, secs: float, text: str) -> None:
        deadline = time.monotonic() + secs
        while True:
            while b"\n" not in self.text:
                if not self.more(deadline - time.monotonic()):
                    show(f"{self.name} waited\n".encode())
                    return
            answer = self.answer()
            show(answer)
            if text.encode() in answer:
                return

    def end(self, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        try:
            self.input.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        if not kill and self.process.returncode < 0:
            # a crash at the very end, which nobody would notice
            with open(self.log, "a", encoding="ascii") as file:
                print(f"Fatal: {self.name} was killed by signal {-self.process.returncode}", file=file)


def show(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def play(lines: list[str], argv: list[str], log: str) -> None:
    sessions: dict[str, Session] = {}
    while lines:
        name, _, text = lines.pop(0).lstrip().partition(" ")
        while re.search(r"\{\d+\+\}$", text):
            text += "\r\n" + lines.pop(0)
        signal.alarm(ANSWER_SECS)  # its default action ends us, and so the sessions
        if name == "!":
            subprocess.run(["bash", "-ec", text], check=True)
        elif text == "show":
            sessions[name].messages()
        elif text.startswith("append ") and name in sessions:
            sessions[name].append(text.removeprefix("append "))
        elif text == "idle":
            sessions[name].idle()
        elif text == "done":
            sessions[name].command("DONE")
        elif text.startswith("within "):
            secs, found = text.split(" ", 2)[1:]
            sessions[name].within(float(secs), found)
        elif text in ("end", "kill"):
            sessions.pop(name).end(kill=text == "kill")
        elif name and not name.startswith("#"):
            if name not in sessions:
                sessions[name] = Session(name, argv, log)
            sessions[name].command(text)
    for session in sessions.values():
        session.end()


def main() -> None:
    args = sys.argv[1:]
    split = args.index("--") if "--" in args else len(args)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default="/dev/null", metavar="FILE")
    options = parser.parse_args(args[:split])
    play(sys.stdin.read().splitlines(), args[split + 1 :], options.log)


if __name__ == "__main__":
    main()
