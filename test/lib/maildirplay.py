#!/usr/bin/python3
"""maildirplay.py [--seed N] [--secs N] [--copies N] [--imap COMMAND] BACKEND DIR

Plays with a Maildir.

Several copies of the backend do everything that the protocol has with the mailboxes
of DIR, all at once; now and then one is killed in the middle of a request. Beside them
two programs that know nothing of the protocol deliver, rename, move from new to cur and
back, and remove; and so does Dovecot with its own maildir storage (--imap). Every message has a token and an owner, who alone makes, copies, moves
and removes it; flags and names are everybody's. So each owner knows what must be there:

- a list never lacks a message of its owner, nor has one that the owner has removed
- a message is always its own bytes
- a flag is what its owner stored last: two that store at once do not undo each other
- lists put together from deltas are the lists in full
- in the end every message is there as often as it has to be, and nothing else
- in the end Dovecot shows the same messages, flags, keywords, sizes and dates

What a request that was killed may have done or not is taken for unknown. Prints what
it did; exits with 1 and what is wrong at the first thing that is.
"""

from __future__ import annotations

import argparse
import calendar
import collections
import imaplib
import multiprocessing
import os
import random
import re
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from typing import Any

from imapclient import Session
from wireclient import Answer, Client, WireError, encode, option

BOXES = (b"INBOX", b"Other", b"Deep/er box")
ROOT = b""


def folder(box: bytes) -> bytes:
    return ROOT if box == b"INBOX" else ROOT + b"/." + box.replace(b"/", b".")


def text_of(token: str) -> bytes:
    return f"Subject: {token}\n\n{token * (1 + zlib.crc32(token.encode()) % 50)}\n".encode()


def token_of(text: bytes) -> str:
    return text.partition(b"\n")[0].removeprefix(b"Subject: ").decode()


class Wrong(Exception):
    pass


class Message:
    """What its owner knows of it."""

    def __init__(self, token: str, box: bytes, ident: bytes) -> None:
        self.token, self.box, self.ident = token, box, ident
        self.copies = [1, 1]  # at least, at most


class Player:
    """One session: a copy of the backend, another after each kill."""

    def __init__(self, number: int, backend: list[str], seed: int) -> None:
        self.number, self.backend = number, backend
        self.random = random.Random(f"{seed} {number}")
        self.word = b"Word%d" % number  # the keyword that is ours, on all messages
        self.client = Client(backend, 60)
        self.mine: dict[bytes, Message] = {}  # by id
        self.gone: set[bytes] = set()  # ids that we have removed
        self.done: collections.Counter[str] = collections.Counter()
        self.unsure: dict[str, list[int]] = {}  # by token, of those that a kill has made so
        self.stored: dict[bytes, bool | None] = {}  # our keyword by id, None where unknown
        self.seen: dict[bytes, list[bytes]] = {box: [] for box in BOXES}  # ids of all
        self.views: dict[bytes, dict[bytes, bytes]] = {box: {} for box in BOXES}
        self.states: dict[bytes, bytes] = {box: b"-" for box in BOXES}
        self.tokens = 0

    def ask(self, request: bytes, kill: bool = False) -> Answer | None:
        """None: the copy was killed while it was at it."""
        self.done[request.split()[0].decode()] += 1
        if not kill:
            answer = self.client.ask(request)
            if not answer.ok:
                raise Wrong(f"{request!r}: {answer.final!r}")
            return answer
        self.done["kill"] += 1
        self.client.send(request)
        time.sleep(self.random.random() * 0.004)  # to hit it anywhere
        self.client.process.kill()
        self.client.close()
        self.client = Client(self.backend, 60)
        return None

    def kill(self) -> bool:
        return self.random.random() < 0.05

    # what it does

    def append(self) -> None:
        self.tokens += 1
        token = f"t{self.number}.{self.tokens}"
        box, key = self.random.choice(BOXES), f"{token}-{self.random.getrandbits(128):032x}".replace(".", "_").encode()
        flags = self.random.choice((b"", b" flags=\\Seen", b" flags=\\Flagged,Common"))
        while True:
            path = f"{self.client.tmp.name}/{time.monotonic_ns()}".encode()
            with open(path, "wb") as file:
                file.write(text_of(token))
            answer = self.ask(b"APPEND %s %s date=1700000000 key=%s%s" % (encode(box), path, key, flags), self.kill())
            if answer:
                break
        ident = answer.items[0].id
        self.mine[ident] = Message(token, box, ident)

    def some(self, box: bytes) -> list[Message]:
        mine = [message for message in self.mine.values() if message.box == box]
        return self.random.sample(mine, min(len(mine), self.random.randint(1, 5)))

    def expunge(self) -> None:
        box = self.random.choice(BOXES)
        messages = self.some(box)
        if not messages or len(self.mine) < 30:
            return
        answer = self.ask(b"EXPUNGE %s %s" % (encode(box), b" ".join(m.ident for m in messages)), self.kill())
        for message in messages:
            if answer is None:
                self.unknown(message, 0, 1)
            else:
                self.gone.add(message.ident)
                del self.mine[message.ident]

    def unknown(self, message: Message, least: int, most: int) -> None:
        """It leaves the game; in the end it has to be there so often."""
        counts = self.unsure.setdefault(message.token, [0, 0])
        counts[0] += least
        counts[1] += most
        del self.mine[message.ident]

    def transfer(self, verb: bytes) -> None:
        box, dest = self.random.choice(BOXES), self.random.choice(BOXES)
        messages = self.some(box)
        if not messages or verb == b"COPY" and len(self.mine) > 80:
            return
        ids = b" ".join(message.ident for message in messages)
        answer = self.ask(b"%s %s %s %s" % (verb, encode(box), encode(dest), ids), self.kill())
        if answer is None:
            for message in messages:
                self.unknown(message, 1, 1 if verb == b"MOVE" else 2)
            return
        new = {item.id: item.fields[2] for item in answer.items if item.keyword == b"NEW"}
        if new.keys() != {message.ident for message in messages}:
            raise Wrong(f"{verb!r} of {ids!r}: {answer!r}")
        for message in messages:
            ident = new[message.ident]
            if verb == b"MOVE":
                self.gone.add(message.ident)
                del self.mine[message.ident]
                if message.ident in self.stored:
                    self.stored[ident] = self.stored.pop(message.ident)
            self.mine[ident] = Message(message.token, dest, ident)

    def store(self) -> None:
        """Our keyword and one more on messages of all."""
        box = self.random.choice(BOXES)
        if not self.seen[box]:
            return
        ids = list(set(self.random.choices(self.seen[box], k=self.random.randint(1, 8))))
        sign = self.random.choice((b"+", b"-"))
        request = b"STORE %s %s%s,%s\\Seen %s" % (encode(box), sign, self.word, sign, b" ".join(ids))
        answer = self.ask(request, self.kill())
        for ident in ids:
            self.stored[ident] = None
        for item in answer.items if answer else ():
            if item.keyword == b"MSG":
                self.stored[item.id] = sign == b"+"
                flags = (option(item.fields, b"flags") or b"").split(b",")
                if (self.word in flags) != (sign == b"+"):
                    raise Wrong(f"{request!r}: {item.line!r}")

    def fetch(self) -> None:
        box = self.random.choice(BOXES)
        for message in self.some(box):
            for _ in range(50):  # the bridge asks twice; here names change all the time
                item = self.ask(b"FETCH %s full %s" % (encode(box), message.ident)).items[0]  # type: ignore[union-attr]
                if item.keyword != b"FILE":
                    raise Wrong(f"{message.ident!r} in {box!r}: {item.line!r}")
                try:
                    text = item.content()
                except WireError:
                    continue
                if text != text_of(message.token):
                    raise Wrong(f"{message.ident!r} is {text[:40]!r}, not {message.token}")
                break
            else:
                raise Wrong(f"{message.ident!r} cannot be caught")

    def list(self) -> None:
        box = self.random.choice(BOXES)
        answer = self.ask(b"LIST %s %s" % (encode(box), self.states[box]))
        assert answer
        found = {item.id: item.line for item in answer.items if item.keyword == b"MSG"}
        if len(found) != sum(item.keyword == b"MSG" for item in answer.items):
            raise Wrong(f"an id twice in {box!r}")
        words = answer.final.split(b" ")
        self.done[words[1].decode()] += 1
        if words[1] == b"delta":
            found = self.views[box] | found
            for item in answer.items:
                if item.keyword == b"GONE":
                    found.pop(item.id, None)
        self.views[box], self.states[box] = found, option(words, b"state") or b"-"
        self.seen[box] = list(found)
        self.check_list(box, found)

    def check_list(self, box: bytes, found: dict[bytes, bytes]) -> None:
        mine = {ident for ident, message in self.mine.items() if message.box == box}
        if missing := mine - found.keys():
            raise Wrong(f"{box!r} lacks {missing!r}")
        if extra := self.gone & found.keys():
            raise Wrong(f"{box!r} has {extra!r}, which are gone")
        for ident, line in found.items():
            known = self.stored.get(ident)
            flags = (option(line.split(b" "), b"flags") or b"").split(b",")
            if known is not None and known != (self.word in flags):
                raise Wrong(f"{box!r}: {self.word!r} should be {known}: {line!r}")
            if ident in mine and b" date=1700000000 " not in line:
                raise Wrong(f"{box!r}: not its date: {line!r}")

    def play(self, until: float) -> None:
        acts: list[tuple[Any, int]] = [
            (self.append, 4), (self.expunge, 2), (lambda: self.transfer(b"COPY"), 2), (lambda: self.transfer(b"MOVE"), 3),
            (self.store, 8), (self.fetch, 4), (self.list, 8),
        ]  # fmt: skip
        while time.monotonic() < until:
            self.random.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()

    def last_look(self) -> None:
        """When all is quiet: deltas have led to what a fresh copy lists."""
        for box in BOXES:
            for _ in range(2):
                answer = self.ask(b"LIST %s %s" % (encode(box), self.states[box]))
                assert answer
                words = answer.final.split(b" ")
                view = {} if words[1] == b"full" else self.views[box]
                for item in answer.items:
                    view[item.id] = item.line
                    if item.keyword == b"GONE":
                        view.pop(item.id)
                self.views[box], self.states[box] = view, option(words, b"state") or b"-"
            with Client(self.backend, 60) as fresh:
                whole = {item.id: item.line for item in fresh.ask(b"LIST %s -" % encode(box)).items}
            if whole != self.views[box]:
                raise Wrong(f"{box!r}: by deltas {set(self.views[box].items()) ^ set(whole.items())!r}")
            self.check_list(box, whole)


# --- the others -------------------------------------------------------------------


def stranger(number: int, seed: int, until: float) -> dict[str, list[int]]:
    """A delivery agent and a mail program, as they treat a Maildir."""
    rng, mine, count = random.Random(f"{seed} stranger {number}"), {}, 0
    while time.monotonic() < until:
        base = folder(rng.choice(BOXES))
        if rng.random() < 0.02 and len(mine) < 40:
            count += 1
            token = f"s{number}.{count}"
            name = f"{int(time.time())}.M{count}P{os.getpid()}.stranger".encode()
            with open(base + b"/tmp/" + name, "wb") as file:
                file.write(text_of(token))
            os.link(base + b"/tmp/" + name, base + b"/new/" + name)
            os.unlink(base + b"/tmp/" + name)
            mine[name] = token, base
        elif rng.random() < 0.01 and len(mine) > 20:
            name = rng.choice(list(mine))
            remove(name, mine.pop(name)[1])
        else:
            rename(rng, base)
        time.sleep(0.0005)  # the copies are to get somewhere, too
    return {token: [1, 1] for token, _ in mine.values()}


def remove(name: bytes, base: bytes) -> None:
    while True:
        for sub in (b"/cur/", b"/new/"):
            for there in os.listdir(base + sub):
                if there.partition(b":")[0] == name:
                    try:
                        return os.unlink(base + sub + there)
                    except FileNotFoundError:
                        pass  # somebody renames it


def rename(rng: random.Random, base: bytes) -> None:
    sub, other = rng.choice(((b"/cur/", b"/cur/"), (b"/new/", b"/cur/"), (b"/cur/", b"/new/")))
    names = os.listdir(base + sub)
    if not names or sub == b"/cur/" != other and rng.random() < 0.8:
        return
    name = rng.choice(names)
    stem, _, info = name.partition(b":2,")
    letters = bytes(sorted(set(info) ^ set(rng.choice((b"F", b"R", b"P", b"FT")))))
    try:
        os.rename(base + sub + name, base + other + stem + b":2," + letters)
    except FileNotFoundError:
        pass


class Dovecot:
    """An IMAP session on the Maildir."""

    def __init__(self, argv: list[str], seed: int) -> None:
        self.argv, self.random = argv, random.Random(f"{seed} imap")
        self.session = Session(argv)
        self.mine: dict[str, bytes] = {}
        self.count = 0

    def ask(self, name: str, *args: str) -> list[Any]:
        """NO is an answer, too: somebody else was faster."""
        kind, data = getattr(self.session, name)(*args)
        if kind not in ("OK", "NO"):
            raise Wrong(f"Dovecot: {name} {args!r}: {data!r}")
        return data if kind == "OK" else []

    def play(self, until: float) -> dict[str, list[int]]:
        while time.monotonic() < until:
            box = self.random.choice(BOXES)
            self.ask("select", f'"{box.decode()}"')
            uids = (self.ask("uid", "SEARCH", "ALL") or [b""])[0].split()
            for _ in range(5):
                act = self.random.random()
                if act < 0.3:
                    self.append(box)
                elif act < 0.4 and len(self.mine) > 10:
                    self.expunge(box)
                elif uids:
                    some = b",".join(self.random.choices(uids, k=3)).decode()
                    flags = self.random.choice(("\\Flagged", "Dove", f"Dove{self.random.randrange(4)}", "Common \\Draft"))
                    self.ask("uid", "STORE", some, self.random.choice(("+FLAGS", "-FLAGS.SILENT")), f"({flags})")
        return {token: [1, 1] for token in self.mine}

    def append(self, box: bytes) -> None:
        self.count += 1
        token = f"d{self.count};"
        self.ask("append", f'"{box.decode()}"', f"(Dove{self.count % 5})", None, text_of(token).replace(b"\n", b"\r\n"))
        self.mine[token] = box

    def expunge(self, box: bytes) -> None:
        token = self.random.choice(list(self.mine))
        uid = (self.ask("uid", "SEARCH", "SUBJECT", f'"{token}"') or [b""])[0].decode() if self.mine[token] == box else ""
        if uid:
            self.ask("uid", "STORE", uid, "+FLAGS.SILENT", "(\\Deleted)")
            self.ask("uid", "EXPUNGE", uid)  # unless somebody has taken \\Deleted away
            if self.ask("uid", "SEARCH", "UID", uid) == [b""]:
                del self.mine[token]

    def last_look(self, backend: list[str]) -> None:
        self.session.logout()
        time.sleep(2.1)  # Dovecot, too, trusts a folder's time only when it is old
        self.session = Session(self.argv)
        with Client(backend, 60) as client:
            for box in BOXES:
                self.ask("select", f'"{box.decode()}"')
                ours = collections.Counter(self.listed(client, box))
                theirs = collections.Counter(self.fetched())
                if ours != theirs:
                    raise Wrong(f"{box!r}: only here {ours - theirs}, only Dovecot {theirs - ours}")
        self.session.logout()

    @staticmethod
    def listed(client: Client, box: bytes) -> Iterator[tuple[Any, ...]]:
        for item in client.ask(b"LIST %s -" % encode(box)).items:
            file = client.ask(b"FETCH %s full %s" % (encode(box), item.id)).items[0]
            text = file.content()
            flags = (option(item.fields, b"flags") or b"").lower().split(b",")
            yield token_of(text), frozenset(flags) - {b""}, len(text) + text.count(b"\n"), int(option(item.fields, b"date") or b"")

    def fetched(self) -> Iterator[tuple[Any, ...]]:
        items = "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
        for part in self.session.fetch("1:*", items)[1]:
            if isinstance(part, tuple):
                flags = frozenset(re.search(rb"FLAGS \(([^)]*)\)", part[0])[1].lower().split()) - {b"\\recent"}  # type: ignore
                size = int(re.search(rb"RFC822.SIZE (\d+)", part[0])[1])  # type: ignore
                date = calendar.timegm(time.gmtime(time.mktime(imaplib.Internaldate2tuple(part[0]))))  # type: ignore
                yield token_of(part[1].replace(b"\r", b"")), flags, size, date


# --- all together -----------------------------------------------------------------


def run_player(number: int, options: argparse.Namespace, until: float, gate: Any, results: Any) -> None:
    player = Player(number, options.backend, options.seed)
    try:
        player.play(until)
        gate.wait()
        player.last_look()
        expected: dict[str, list[int]] = {token: list(counts) for token, counts in player.unsure.items()}
        for message in player.mine.values():
            counts = expected.setdefault(message.token, [0, 0])
            expected[message.token] = [counts[0] + 1, counts[1] + 1]
        results.put((None, expected, player.done))
    except Exception as error:
        gate.abort()
        results.put((f"player {number}: {error if isinstance(error, Wrong) else traceback.format_exc()}", {}, player.done))
    finally:
        player.client.close()


def run_stranger(number: int, options: argparse.Namespace, until: float, gate: Any, results: Any) -> None:
    try:
        expected = stranger(number, options.seed, until)
        gate.wait()
        results.put((None, expected, {}))
    except Exception:
        gate.abort()
        results.put((f"stranger {number}: {traceback.format_exc()}", {}, {}))


def run_dovecot(_number: int, options: argparse.Namespace, until: float, gate: Any, results: Any) -> None:
    try:
        dovecot = Dovecot(options.imap.split(), options.seed)
        expected = dovecot.play(until)
        gate.wait()
        dovecot.last_look(options.backend)
        results.put((None, expected, {"APPEND by Dovecot": dovecot.count}))
    except Exception as error:
        gate.abort()
        results.put((str(error) if isinstance(error, Wrong) else traceback.format_exc(), {}, {}))


def there() -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for box in BOXES:
        for sub in (b"/new/", b"/cur/"):
            for name in os.listdir(folder(box) + sub):
                with open(folder(box) + sub + name, "rb") as file:
                    text = file.read()
                counts[token_of(text)] += 1
                if text != text_of(token_of(text)):
                    raise SystemExit(f"{name!r} has other bytes")
    return counts


def main() -> int:
    global ROOT
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--secs", type=float, default=5)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--imap", metavar="COMMAND", help="an IMAP session of Dovecot on DIR")
    parser.add_argument("program", metavar="BACKEND")
    parser.add_argument("dir", metavar="DIR")
    options = parser.parse_args()
    options.backend, ROOT = [options.program, options.dir], os.fsencode(options.dir)
    with Client([*options.backend, "--create"], 60) as client:
        for box in BOXES[1:]:
            client.ask(b"CREATE " + encode(box))
    workers = [(run_player, n) for n in range(options.copies)] + [(run_stranger, n) for n in range(2)]
    workers += [(run_dovecot, 0)] if options.imap else []
    until, gate = time.monotonic() + options.secs, multiprocessing.Barrier(len(workers))
    results: Any = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=work, args=(n, options, until, gate, results)) for work, n in workers]
    for process in processes:
        process.start()
    wrong, expected, done = [], {}, collections.Counter()
    for _ in processes:
        problem, tokens, acts = results.get()
        wrong += [problem] if problem and "BrokenBarrier" not in problem else []
        expected |= tokens
        done += collections.Counter(acts)
    for process in processes:
        process.join()
    if not wrong:
        found = there()
        for token in expected.keys() | found.keys():
            least, most = expected.get(token, (0, 0))
            if not least <= found[token] <= most:
                wrong.append(f"{token} is there {found[token]} times, should be {least} to {most}")
    print(*(f"{name} {number}" for name, number in sorted(done.items())), sep=", ")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
