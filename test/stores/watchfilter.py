#!/usr/bin/python3
"""A filter for the tests of IDLE: what it is told about WATCH and CAPS, else as the
backend behind it.

    watchfilter.py [OPTION...] -- BACKEND [ARG...]

    --caps WORDS        more words for the CAPS line
    --without WORD      this one is taken out
    --stateless         LIST gives no state
    --watch HOW         answers WATCH itself, see WAYS below
    --down FILE         while FILE is there, LIST of a mailbox is refused
    --trace FILE        append "PID REQUEST" for each request, "PID end" at the end

One request at a time, and no octets: lines are all that is looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time

HANG_SECS = 300  # ends some day, so that a failed test leaves nothing behind


def write(text: str) -> None:
    os.write(1, text.encode())


# --- how WATCH may be answered -----------------------------------------------------


def die(box: str) -> None:
    """exits without a word"""
    os._exit(3)


def babble(box: str) -> None:
    """writes what is no reply"""
    write("Connecting to host\n")


def hang(box: str) -> None:
    """answers nothing, and does not look at its input either"""
    time.sleep(HANG_SECS)


def deaf(box: str) -> None:
    """the same, and ignores SIGTERM"""
    hang(box)


def quiet(box: str) -> None:
    """waits, and nothing ever happens"""


def unsupported(box: str) -> None:
    """does not know it after all"""
    write("NO UNSUPPORTED\n")


def unavailable(box: str) -> None:
    """cannot at the moment"""
    write("NO UNAVAILABLE no connection\n")


def changed(box: str) -> None:
    """always says at once that there is a change"""
    write(f"* CHANGED {box}\nOK\n")


def same(box: str) -> None:
    """always says at once that there is none"""
    write("OK\n")


def other(box: str) -> None:
    """names another mailbox"""
    write(f"* CHANGED {box}2\nOK\n")


WAYS = {
    way.__name__: way
    for way in (die, babble, hang, deaf, quiet, unsupported, unavailable, changed, same, other)
}


# --- the filter --------------------------------------------------------------------


class Filter:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.backend = subprocess.Popen(options.backend, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def trace(self, text: str) -> None:
        if self.options.trace:
            target = os.open(self.options.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.write(target, f"{os.getpid()} {text}\n".encode())  # one write: copies do not mix
            os.close(target)

    def reply(self, line: str) -> str:
        if line.startswith("* CAPS 1"):
            words = [word for word in line.split() if word != self.options.without]
            line = " ".join(words + self.options.caps.split()) + "\n"
        if self.options.stateless and line.startswith("OK "):
            line = re.sub(" state=[^ \n]*", "", line)
        return line

    def replies(self) -> None:
        for line in self.backend.stdout:
            write(self.reply(line.decode()))

    def request(self, line: str) -> None:
        self.trace(line)
        words = line.split()
        if words[0] == "WATCH" and self.options.watch:
            WAYS[self.options.watch](words[1])
        elif words[0] == "LIST" and len(words) > 1 and self.options.down and os.path.exists(self.options.down):
            write("NO UNAVAILABLE the store is down\n")
        else:
            self.backend.stdin.write(f"{line}\n".encode())
            self.backend.stdin.flush()

    def run(self) -> None:
        replies = threading.Thread(target=self.replies)
        replies.start()
        for line in sys.stdin:
            self.request(line.rstrip("\n"))
        self.backend.stdin.close()
        replies.join()
        self.backend.wait()
        self.trace("end")


def main() -> None:
    args = sys.argv[1:]
    split = args.index("--")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--caps", default="", metavar="WORDS")
    parser.add_argument("--without", metavar="WORD")
    parser.add_argument("--stateless", action="store_true")
    parser.add_argument("--watch", choices=sorted(WAYS), metavar="HOW")
    parser.add_argument("--down", metavar="FILE")
    parser.add_argument("--trace", metavar="FILE")
    options = parser.parse_args(args[:split])
    options.backend = args[split + 1 :]
    if options.watch == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Filter(options).run()


if __name__ == "__main__":
    main()
