#!/usr/bin/python3
"""peak.py [--limit MIB] [--command TEXT]... -- PROGRAM [ARG...]: what an IMAP
session costs.

Plays the commands (SELECT INBOX) on PROGRAM and prints a line for each: its tagged
answer; how many messages there are; the most memory that the process had so far,
MiB resident and MiB of addresses (VmHWM, VmPeak); its processor time so far and the
time for this command, both in seconds. With --limit the process has no more than
that of addresses: RLIMIT_AS, which is what Dovecot's vsz_limit sets. In a command
<N*TEXT> is TEXT N times, with its number for each #, and \\n a CRLF; one that begins
so brings its tag, x, itself. Exit status 1 if the session ends.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import threading
import time

MIB = 1 << 20


class Session:
    def __init__(self, argv: list[str], limit: int) -> None:
        def limit_memory() -> None:
            if limit:
                resource.setrlimit(resource.RLIMIT_AS, (limit * MIB, limit * MIB))

        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=limit_memory
        )
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout
        self.messages = 0
        self.line()  # the greeting

    def line(self) -> str:
        line = self.output.readline().decode(errors="replace")
        if not line.endswith("\n"):
            sys.exit(f"the session has ended after {line!r}")
        return line.rstrip()

    def send(self, text: str) -> None:
        try:
            self.input.write(expand(text))
            self.input.flush()
        except BrokenPipeError:
            pass  # whoever reads sees that it has ended

    def command(self, text: str) -> str:
        # beside the reading: both pipes may be full
        threading.Thread(target=self.send, args=(text,), daemon=True).start()
        while True:
            line = self.line()
            if exists := re.match(r"\* (\d+) EXISTS", line):
                self.messages = int(exists[1])
            elif line.startswith("x "):
                return re.sub(r" \([0-9.]+( \+ [0-9.]+)* secs\)\.$", "", line[2:])

    def memory(self, field: str) -> int:
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as file:
            found = re.search(rf"^{field}:\s*(\d+) kB", file.read(), re.MULTILINE)
        assert found
        return round(int(found[1]) / 1024)

    def cpu(self) -> float:
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def expand(text: str) -> bytes:
    def repeat(found: re.Match[str]) -> str:
        if "#" not in found[2]:
            return found[2] * int(found[1])
        return "".join(found[2].replace("#", str(number)) for number in range(int(found[1])))

    whole = ("" if text.startswith("<") else "x ") + text + "\\n"
    return re.sub(r"<(\d+)\*([^>]*)>", repeat, whole.replace("\\n", "\r\n")).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=0, metavar="MIB")
    parser.add_argument("--command", action="append", metavar="TEXT")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    session = Session(options.program, options.limit)
    for text in options.command or ["SELECT INBOX"]:
        start = time.monotonic()
        answer = session.command(text)
        wall = time.monotonic() - start
        print(
            f"{text}: {answer}: {session.messages} messages, {session.memory('VmHWM')} MiB resident, "
            f"{session.memory('VmPeak')} MiB of addresses, {session.cpu():.2f} s processor, {wall:.2f} s",
            flush=True,
        )
    session.input.close()
    session.process.wait()


main()
