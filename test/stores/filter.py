#!/usr/bin/python3
"""filter.py [OPTION...] DIR -- BACKEND [ARG...]: a backend that spoils another one.

Every request goes on to BACKEND, every reply comes back, but for what the lines of
DIR/faults say. All copies share that file; it is read for each request. A line is

    [N] VERB ACTION [ARGUMENT...]

for the next N requests of VERB, or for all of them. With several lines for a verb the
first that is left holds. VERB is as in a request; LIST with a mailbox is LISTBOX. ACTION is

    pass                it goes on (to reach the third APPEND: "2 APPEND pass")
    no CODE [TEXT]      it does not go on, the answer is NO
    lost CODE           it goes on, the answer is NO
    twice               of APPEND: it goes on twice, without a key the first time
    fail CODE ID...     it goes on without these ids, for which the answer is FAIL; an ID
                        may be #1, the first id of the request
    gone ID...          the same, the answer is GONE
    skip ID...          the same, there is no item for them
    die-before          exit before it goes on
    die-after           exit when the whole answer has come, but say nothing of it
    die-mid             exit after half of the answer
    delay SECS          wait, then go on
    hang                wait for ever
    late SECS           go on, and answer so much later
    say LINE            it does not go on; the answer is LINE, spaces as ~, then OK
    rewrite FROM TO     the answer, with TO for FROM
    stamp HEADER        of APPEND: the message goes on with one more header line

DIR/trace gets every request, DIR/pids the pid of each copy. Options:

    --without WORD,...  leave these out of the caps: verbs, features
    --with WORD,...     and put these in
    --flags TEXT        * FLAGS in the caps
    --jitter SECS:SEED  at random wait up to SECS before a request goes on, and before its
                        answer does: a list may be older than what was stored meanwhile
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import re
import subprocess
import sys
import time

IDS_AT = {"FETCH": 3, "STORE": 3, "EXPUNGE": 2, "COPY": 3, "MOVE": 3}  # words before them
DOZE = 0.3  # how often it does
HANG_SECS = 300  # a hang ends some day, so that a failed test leaves nothing behind


def fault_of(directory: str, verb: str) -> list[str]:
    """The words of the action for this request; what is counted is used up."""
    try:
        with open(f"{directory}/faults", "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = file.read().splitlines()
            for n, line in enumerate(lines):
                count, words = 0, line.split()
                if words and words[0].isdigit():
                    count = int(words.pop(0))
                    if count == 0:
                        continue
                if not words or words[0] != verb:
                    continue
                if count:
                    lines[n] = " ".join([str(count - 1), *words])
                    file.seek(0)
                    file.truncate()
                    file.write("".join(text + "\n" for text in lines))
                return words[1:]
    except FileNotFoundError:
        pass
    return ["pass"]


class Filter:
    def __init__(self, options: argparse.Namespace, argv: list[str]) -> None:
        self.options = options
        self.trace = open(f"{options.dir}/trace", "ab", buffering=0)
        with open(f"{options.dir}/pids", "a+", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
            file.seek(0)
            copies = len(file.readlines())
        secs, _, seed = options.jitter.partition(":")
        self.jitter_secs, self.rng = float(secs), random.Random(f"{seed}.{copies}")
        self.backend = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.backend.stdin and self.backend.stdout
        self.to, self.back = self.backend.stdin, os.fdopen(os.dup(self.backend.stdout.fileno()), "rb")

    def ask(self, line: bytes) -> list[bytes]:
        """The reply of the backend: items with their octets, and the final line."""
        self.to.write(line + b"\n")
        reply: list[bytes] = []
        while True:
            item = self.back.readline()
            if not item.endswith(b"\n"):
                os._exit(1)
            if match := re.match(rb"\* DATA \S+ (\d+)", item):
                item += self.back.read(int(match[1]))
            reply.append(item)
            if not item.startswith((b"* ", b"! ")):
                return reply

    def caps(self, line: bytes) -> list[bytes]:
        reply = self.ask(line)
        without = set(filter(None, self.options.without.split(",")))
        words = [word for word in reply[0].decode().split() if word.partition("=")[0] not in without]
        words += filter(None, self.options.having.split(","))
        reply[0] = " ".join(words).encode() + b"\n"
        if self.options.flags:
            reply = [item for item in reply if not item.startswith(b"* FLAGS")]
            reply.insert(1, f"* FLAGS {self.options.flags}\n".encode())
        return reply

    def without_ids(self, line: bytes, verb: str, ids: list[str], item: str) -> list[bytes]:
        """Ask for the other ids; for these the answer is this item."""
        words = line.decode().split(" ")
        head, given = words[: IDS_AT[verb]], words[IDS_AT[verb] :]
        chosen = {given[int(i[1:]) - 1] if i.startswith("#") and int(i[1:]) <= len(given) else i for i in ids}
        rest = [i for i in given if i not in chosen]
        reply = self.ask(" ".join(head + rest).encode()) if rest else [b"OK\n"]
        said = [item.format(i).encode() + b"\n" for i in given if i in chosen and item]
        return said + reply

    def stamped(self, line: bytes, header: str) -> bytes:
        """The request to store the message with one more header line."""
        words = line.decode().split(" ")
        with open(words[2], "rb") as file:
            data = f"{header}\n".encode() + file.read()
        words[2] += ".stamped"
        with open(words[2], "wb") as file:
            file.write(data)
        return re.sub(rb" size=\d+", b" size=%d" % len(data), " ".join(words).encode())

    def answer(self, line: bytes, action: list[str]) -> list[bytes]:
        verb = line.split(b" ")[0].decode()
        match action:
            case ["pass"]:
                return self.ask(line)
            case ["no", code, *text]:
                return [f"NO {code} {' '.join(text)}\n".encode()]
            case ["lost", code]:
                self.ask(line)
                return [f"NO {code}\n".encode()]
            case ["twice"]:
                self.ask(re.sub(rb" key=\S+", b"", line))
                return self.ask(line)
            case ["fail", code, *ids]:
                return self.without_ids(line, verb, ids, f"* FAIL {{}} {code} by-filter")
            case ["gone", *ids]:
                return self.without_ids(line, verb, ids, "* GONE {}")
            case ["skip", *ids]:
                return self.without_ids(line, verb, ids, "")
            case ["die-before"]:
                os._exit(1)
            case ["die-after"]:
                self.ask(line)
                os._exit(1)
            case ["die-mid"]:
                reply = b"".join(self.ask(line))
                os.write(1, reply[: len(reply) // 2])
                os._exit(1)
            case ["delay", secs]:
                time.sleep(float(secs))
                return self.ask(line)
            case ["late", secs]:
                reply = self.ask(line)
                time.sleep(float(secs))
                return reply
            case ["hang"]:
                time.sleep(HANG_SECS)
                os._exit(1)
            case ["say", *items]:
                return [f"* {item.replace('~', ' ')}\n".encode() for item in items] + [b"OK\n"]
            case ["stamp", header]:
                return self.ask(self.stamped(line, header))
            case ["rewrite", old, new]:
                return [item.replace(old.encode(), new.encode()) for item in self.ask(line)]
        raise SystemExit(f"filter.py: no such action: {action}")

    def doze(self) -> None:
        if self.jitter_secs and self.rng.random() < DOZE:
            time.sleep(self.jitter_secs * self.rng.random() ** 2)

    def serve(self) -> None:
        for line in sys.stdin.buffer:
            line = line.rstrip(b"\n")
            self.trace.write(line + b"\n")
            verb = line.split(b" ")[0].decode()
            if verb == "LIST" and b" " in line:
                verb = "LISTBOX"
            self.doze()
            action = fault_of(self.options.dir, verb)
            reply = self.caps(line) if action == ["pass"] and verb == "CAPS" else self.answer(line, action)
            self.doze()
            sys.stdout.buffer.write(b"".join(reply))
            sys.stdout.buffer.flush()
        self.to.close()
        self.backend.wait()


def main() -> None:
    args = sys.argv[1:]
    split = args.index("--")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", metavar="DIR")
    parser.add_argument("--without", default="")
    parser.add_argument("--with", default="", dest="having")
    parser.add_argument("--flags", default="")
    parser.add_argument("--jitter", default="0", metavar="SECS:SEED")
    try:
        Filter(parser.parse_args(args[:split]), args[split + 1 :]).serve()
    except BrokenPipeError:
        os._exit(1)  # whoever asked is dead, or the backend is


if __name__ == "__main__":
    main()
