#!/usr/bin/python3
"""Sessions and a third process change one store at random, and must agree.

    soak.py [--seed N] [--secs N] [--lie FAULT] [--without WORD,...] STORE...

STORE is sqlite or maildir. Three IMAP sessions work on that backend. In each round one or
all of them get a command, all at once, and the store may be changed meanwhile without
the backend. After the round the store must have exactly what follows from the answers
(soakmodel.py):

    a message whose APPEND, COPY or MOVE was answered with OK is there once, whole, with
    its flags and date; one that was answered with NO is not
    nothing is gone but what somebody removed, and that is; nothing comes back
    a flag that somebody changed is changed, and no other is

and, time and again and at the end,

    each session, from untagged answers alone, also after a QRESYNC, a fresh session,
    and the store have the same messages with the same flags
    a UID names one message for ever, a message has one UID, UIDVALIDITY stays
    MODSEQ rises when flags change
    nothing is told twice, nor written to the store without need

In some rounds a session, what runs below it, or all of it is killed, at a random time
or at a system call that writes, or the store fails (filter.py): what got no answer
then, or NO, has happened once or not at all. Sometimes all indexes are lost.

The first violation ends it: it is on stdout with the history of the message, and the
exit status is 1. A seed gives the same commands as long as the answers, and the moments
of death, are the same. Then the folder with the transcript, the log, the store and the
state stays, and is named. For tests, FAULT is lines of filter.py, with ; between them: a
store that lies. --without hides verbs and features of the store.
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from corpus import normalise
from soakclient import Answer, Client, Dead, Seen, Violation, uid_set, uids_of
from soakmodel import BOXES, FLAGS, LETTERS, Add, Maildir, Message, Model, Round, Sqlite, text_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
STORES = {"sqlite": (Sqlite, "--synchronous", "off"), "maildir": (Maildir, "--no-fsync", "--create")}
NAMES, THIRD = "abc", "the third process"
FEW, MANY = 8, 60  # messages of a mailbox, about
DELETIONS = 4  # of the third process between two checks in a mailbox: the brake has no say
CHECK_EVERY = 40  # rounds between two checks of everything
END_SECS = 20  # in which processes must have ended, and sessions see what is there after a failure
SHORT_PAUSE = 0.1  # between two looks whether they do
WRITES = "write pwrite64 fsync fdatasync ftruncate rename renameat2 link linkat unlink sendfile close".split()
FAULTS = [
    f"{verb} {action}"
    for verb in ("APPEND", "STORE", "EXPUNGE", "COPY", "MOVE", "FETCH", "LISTBOX")
    for action in "die-before;die-after;die-mid;no UNAVAILABLE;no BUSY;no CANNOT;no UNCERTAIN;lost UNCERTAIN".split(";")
]
FAULTS += [f"{verb} fail {code} #1" for verb in ("STORE", "EXPUNGE", "COPY", "MOVE") for code in ("BUSY", "CANNOT")]
NEVER = ("CANNOT",)  # codes after which a flag goes back
SERIOUS = re.compile(r"Panic|Fatal|Traceback|[Cc]orrupt|assert")
REFUSED = re.compile(r"\[EXPUNGEISSUED\]")  # why a command may be NO while nothing fails

Command = tuple[list[Message], Callable[[Answer], None]]


class World:
    def __init__(self, name: str, options: argparse.Namespace, folder: str) -> None:
        self.name, self.options, self.folder = name, options, folder
        self.rng = random.Random(options.seed)
        self.model = Model(self.violation, "MOVE" in options.without)
        self.log, self.faults = f"{folder}/log", f"{folder}/filter/faults"
        self.transcript = open(f"{folder}/transcript", "w", encoding="utf-8")
        os.mkdir(f"{folder}/filter")
        self.path = f"{folder}/store"
        self.argv = [f"{ROOT}/build/dovebridge", "imap", "--state", f"{folder}/state", "--"]
        self.argv += [f"{ROOT}/test/lib/filter.py", "--without", options.without, f"{folder}/filter", "--"]
        self.argv += [f"{ROOT}/backends/{name}/{name}", self.path, *STORES[name][1:]]
        self.clients: dict[str, Client] = {}
        self.guid_of_box: dict[str, bytes] = {}
        self.ident_of_guid: dict[str, str] = {}
        self.uidvalidity: dict[str, int] = {}
        self.modseqs: dict[str, tuple[int, frozenset[str]]] = {}  # by id, as seen last
        self.deleted: Counter[str] = Counter()  # by the third process since the last check, by mailbox
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.rounds = self.violations = 0
        self.begin_round()

    def prepare(self, box: str) -> None:
        client = self.start("z")
        if box != "INBOX":
            client.command(f'CREATE "{box}"')
        client.select(box)  # a store with UIDs of its own has told its UIDVALIDITY then
        answer = client.command(f'STATUS "{box}" (X-GUID)')
        guid = re.search(rb"X-GUID ([0-9a-f]{32})", b"".join(answer.untagged))
        if guid is None:
            raise Violation(f"no {box}: {answer.text}")
        self.guid_of_box[box] = bytes.fromhex(guid[1].decode())
        client.close()

    def begin_round(self, alone: bool = True, clean: bool = True, firm: bool = True) -> None:
        self.round = Round(self.rounds, alone, clean, firm)

    def violation(self, text: str, history: list[str]) -> None:
        self.violations += 1
        print(f"round {self.rounds}: {text}", *history, sep="\n    ", flush=True)
        self.note(f"VIOLATION {text}")

    def note(self, text: str) -> None:
        self.transcript.write(f"{time.time() % 10000:.3f} # {text}\n")
        self.transcript.flush()

    def fault(self, line: str) -> None:
        if line:
            self.note(f"fault: {line}")
        with open(self.faults, "w", encoding="ascii") as file:
            file.write(line.replace(";", "\n") + "\n")

    # --- sessions ----------------------------------------------------------------

    def start(self, name: str, *prefix: str) -> Client:
        """a is told what a plain client is, the others have QRESYNC."""
        return Client(name, [*prefix, *self.argv], self.log, self.transcript, qresync=name != "a")

    def client(self, name: str) -> Client:
        """The session of this name, with a mailbox selected."""
        if name not in self.clients:
            self.clients[name] = self.start(name)
        client = self.clients[name]
        if not client.box:
            self.select(client, self.rng.choice(BOXES))
        return client

    def select(self, client: Client, box: str, resync: bool = False) -> None:
        answer = client.select(box, resync)
        if answer.status != "OK":
            raise Violation(f"{client.name}: SELECT {box}: {answer.status} {answer.text}")
        if self.uidvalidity.setdefault(box, client.uidvalidity) != client.uidvalidity:
            raise Violation(f"UIDVALIDITY of {box} is {client.uidvalidity}, it was {self.uidvalidity[box]}")
        if client.uidnext <= self.model.last_uid(box):
            raise Violation(f"UIDNEXT of {box} is {client.uidnext}, UID {self.model.last_uid(box)} was there")
        client.learn()

    def fresh(self, box: str) -> Client:
        """A session that knows nothing yet."""
        client = self.start("z")
        self.select(client, box)
        return client

    def end(self, name: str) -> None:
        client = self.clients.pop(name)
        client.command("LOGOUT")
        client.close()

    def ident(self, box: str, guid: str) -> str:
        """The store's id of what a client sees: the bridge's GUID is made of it."""
        if guid not in self.ident_of_guid:
            for ident, message in self.model.messages.items():
                both = self.guid_of_box[message.box] + hashlib.sha256(ident.encode()).digest()[:16]
                self.ident_of_guid[hashlib.sha256(both).hexdigest()[:32]] = ident
        return self.ident_of_guid.get(guid, f"GUID {guid}")

    def known(self, client: Client) -> dict[Message, Seen]:
        """What the session sees of what there is."""
        idents = {self.ident(client.box, seen.guid): seen for seen in client.messages if seen.guid}
        messages = self.model.messages
        return {messages[ident]: seen for ident, seen in sorted(idents.items()) if ident in messages}

    # --- the commands: each is sent, and returns the messages that it is about, and what is
    # to be done with the answer ----------------------------------------------------

    def some_flags(self, deleted: float = 0.0, flags: tuple[str, ...] = FLAGS) -> frozenset[str]:
        chosen = self.rng.sample([flag for flag in flags if flag != "\\Deleted"], self.rng.randint(0, 3))
        return frozenset(chosen + ["\\Deleted"] * (self.rng.random() < deleted))

    def some(self, known: dict[Message, Seen], most: int) -> list[Message]:
        return self.rng.sample(list(known), min(len(known), self.rng.randint(1, most)))

    def append(self, client: Client) -> Command | None:
        box = self.rng.choice((client.box, *BOXES))
        if len(self.model.in_box(box)) > MANY:
            return None
        adds, command = [], b""
        for _ in range(1 if self.rng.random() < 0.6 else self.rng.randint(2, 6)):
            date = self.rng.randint(0, 1_600_000_000) if self.rng.random() < 0.5 else None
            add = Add("", box, self.model.token(), False, self.some_flags(deleted=0.1), date)
            data = normalise(text_of(add.token))
            command += f" ({' '.join(sorted(add.flags or ()))})".encode()
            if date is not None:
                command += time.strftime(' "%d-%b-%Y %H:%M:%S +0000"', time.gmtime(date)).encode()
            command += b" {%d+}\r\n" % len(data) + data
            adds.append(add)
        client.begin(f'APPEND "{box}"', command)

        def done(answer: Answer) -> None:
            told = self.new_uids(box, answer.argument("APPENDUID"), len(adds)) if answer.status == "OK" else []
            for add in adds:
                add.why = self.said(client, answer)
                if told:
                    add.must, add.uid = True, told.pop(0)
            if answer.status == "OK" or not self.round.clean:
                self.round.adds += adds

        return [], done

    def new_uids(self, box: str, words: list[str], count: int) -> list[int]:
        """Those that a response code tells last."""
        uids = uids_of(words[-1]) if words else []
        last = self.model.last_uid(box) if self.round.alone else 0
        if len(uids) != count or uids != sorted(set(uids)) or uids[0] <= last:
            raise Violation(f"{count} messages went to {box}, and got the UIDs {words}; the last one was {last}")
        return uids

    def flag(self, client: Client) -> Command | None:
        known = self.known(client)
        if not known:
            return None
        chosen = self.some(known, self.rng.choice((1, 1, 3, 20)))
        sign, silent = self.rng.choice("++--="), self.rng.random() < 0.3
        flags = self.some_flags(deleted=0.25)
        if by_uid := self.rng.random() < 0.6:
            numbers = {known[message].uid or 0: message for message in chosen}
        else:
            numbers = {client.messages.index(known[message]) + 1: message for message in chosen}
        since = ""
        if client.qresync and self.rng.random() < 0.3:
            modseqs = sorted(seen.modseq or 1 for seen in known.values())
            since = f" (UNCHANGEDSINCE {self.rng.choice((modseqs[-1], self.rng.choice(modseqs)))})"
        client.begin(
            f"{'UID ' * by_uid}STORE {uid_set(numbers)}{since}"
            f" {sign.strip('=')}FLAGS{'.SILENT' * silent} ({' '.join(sorted(flags))})"
        )

        def done(answer: Answer) -> None:
            modified = uids_of("".join(answer.argument("MODIFIED")))
            for message in [message for number, message in numbers.items() if number not in modified]:
                for flag in FLAGS if sign == "=" else flags:
                    value = (flag in flags) == (sign != "-")
                    self.round.touch(client.name, message, flag, value, answer.status == "OK")
                if silent:
                    known[message].flags = None  # to be asked for

        return chosen, done

    def expunge(self, client: Client) -> Command:
        known, box = self.known(client), client.box
        chosen = self.some(known, len(known)) if known and self.rng.random() < 0.5 else []
        client.begin(f"UID EXPUNGE {uid_set(known[one].uid or 0 for one in chosen)}" if chosen else "EXPUNGE")
        # \Deleted to everybody: the client, and the store, which says nothing new
        meant = [
            message
            for message in chosen or known
            if "\\Deleted" in (known[message].flags or frozenset()) & message.flags - message.lag
        ]

        def done(answer: Answer) -> None:
            if answer.status == "OK" and self.round.alone:
                self.round.must_go |= {message.ident for message in meant}
            self.round.expunges.append((box, {message.ident for message in chosen} if chosen else None))

        return meant, done

    def copy(self, client: Client) -> Command | None:
        known, moving = self.known(client), self.rng.random() < 0.4
        # what is moved within a mailbox keeps its GUID, which says nothing of the id then
        box = self.rng.choice([box for box in BOXES if not moving or box != client.box])
        if not known or moving and len(known) < FEW or len(self.model.in_box(box)) > MANY:
            return None
        uids = {known[message].uid or 0: message for message in self.some(known, 6)}
        client.begin(f'UID {"MOVE" if moving else "COPY"} {uid_set(uids)} "{box}"')

        def done(answer: Answer) -> None:
            words = answer.argument("COPYUID")
            old = uids_of(words[1]) if words else []
            told = dict(zip(old, self.new_uids(box, words, len(old)) if words else [], strict=True))
            for uid, message in uids.items():
                # one that goes through the bridge takes the flags that it knows
                flags = None if message.lag else message.flags
                why = self.said(client, answer)
                add = Add(why, box, message.token, uid in told, flags, message.date, told.get(uid))
                if uid in told:
                    self.round.adds.append(add)
                    if moving:
                        (self.round.must_go if self.round.alone else self.round.may_go).add(message.ident)
                elif moving and answer.status != "OK":
                    self.round.moves.append((message.ident, add))
                elif not self.round.clean:
                    self.round.adds.append(add)

        return list(uids.values()), done

    def fetch(self, client: Client) -> Command | None:
        known = self.known(client)
        if not known:
            return None
        messages = {known[message].uid or 0: message for message in self.some(known, 8)}
        peek = self.rng.random() < 0.6
        client.begin(f"UID FETCH {uid_set(messages)} (INTERNALDATE BODY{'.PEEK' * peek}[])")

        def done(answer: Answer) -> None:
            for told in answer.fetched:
                message = messages.get(int(told.get("UID", 0)))
                if message and told.get("BODY[]", "NIL") != "NIL":
                    date = datetime.strptime(told["INTERNALDATE"].decode(), "%d-%b-%Y %H:%M:%S %z")
                    if told["BODY[]"] != normalise(text_of(message.token)):
                        self.model.violation(f"{client.name} reads {told['BODY[]']!r:.200} of {message}", message)
                    if int(date.timestamp()) != message.date:
                        self.model.violation(f"{client.name} reads {date} of {message}, not {message.date}", message)
            for message in [] if peek else messages.values():
                self.round.touch(client.name, message, "\\Seen", True, answer.status == "OK")

        return [] if peek else list(messages.values()), done

    def noop(self, client: Client) -> Command:
        client.begin("NOOP")
        return [], lambda answer: None

    def status(self, client: Client) -> Command:
        box = self.rng.choice([name for name in BOXES if name != client.box])
        client.begin(f'STATUS "{box}" (MESSAGES UNSEEN)')

        def done(answer: Answer) -> None:
            there = self.model.in_box(box)
            counts = len(there), sum("\\Seen" not in message.flags for message in there)
            if self.round.alone and self.round.clean and b"(MESSAGES %d UNSEEN %d)" % counts not in answer.untagged[0]:
                raise Violation(f"{box} has {counts} messages and unseen ones, and STATUS says {answer.untagged}")

        return [], done

    COMMANDS = {append: 16, flag: 30, expunge: 6, copy: 10, fetch: 12, noop: 12, status: 4}

    def plan(self, client: Client) -> tuple[Client, Command]:
        """Send a command."""
        while True:
            command = self.rng.choices(list(self.COMMANDS), list(self.COMMANDS.values()))[0]
            if done := command(self, client):
                self.counts[command.__name__] += 1
                return client, done

    def finish(self, client: Client, command: Command) -> None:
        answer = client.finish()
        if answer.status == "NO":
            self.refusals[re.sub(r"\d+", "N", answer.text)[:80]] += 1
        if answer.status != "OK" and self.round.clean and not REFUSED.match(answer.text):
            raise Violation(f"{client.name}: {answer.command}: {answer.status} {answer.text}")
        for message in command[0]:
            self.round.said[message.ident].append(self.said(client, answer))
        command[1](answer)
        if answer.status == "DEAD":
            self.bury(client)

    def bury(self, client: Client) -> None:
        client.close()
        client.box = ""
        self.clients.pop(client.name, None)
        if client.process.returncode != -signal.SIGKILL:
            raise Violation(f"{client.name} ended by itself, with {client.process.returncode}")

    def said(self, client: Client, answer: Answer) -> str:
        return f"{client.name}: {answer.command}: {answer.status} {answer.text}"

    # --- a third process, and what fails ----------------------------------------------

    def change_store(self) -> None:
        steps: list[tuple] = []
        for _ in range(self.rng.randint(1, 4)):
            box, what = self.rng.choice(BOXES), self.rng.random()
            there = self.model.in_box(box)
            message = self.rng.choice(there) if there else None
            if message is None or what < 0.3 and len(there) < MANY:
                add = Add(THIRD, box, self.model.token(), True, self.some_flags(0, self.store.flags))
                self.round.adds.append(add)
                steps.append(("insert", box, add.flags, text_of(add.token)))
            elif what < 0.75:
                plus, minus = self.some_flags(0.2, self.store.flags), self.some_flags(0, self.store.flags)
                steps.append(("flag", message.ident, plus, minus))
                for flag in plus | minus:
                    self.round.touch(THIRD, message, flag, flag not in minus, True)
                message.lag |= plus | minus
                self.round.said[message.ident].append(f"{THIRD}: + {sorted(plus)} - {sorted(minus)}")
            elif len(there) > FEW and message.ident not in self.round.must_go and self.deleted[box] < DELETIONS:
                self.deleted[box] += 1
                steps.append(("delete", message.ident))
                self.round.must_go.add(message.ident)
                self.round.said[message.ident].append(f"{THIRD}: delete")
        self.note(f"{THIRD}: {[step[:2] for step in steps]}")
        self.store.change(steps)
        self.counts["changes of the store"] += len(steps)

    def kill(self, client: Client, all_of_it: bool = False) -> None:
        """The session, something below it, or all of it, while it works."""
        time.sleep(0.03 * self.rng.random() ** 3)  # the moment is the test: any is right
        family = [client.process.pid, *client.below()]
        first = 0 if all_of_it else self.rng.randrange(len(family))
        last = len(family) if all_of_it else self.rng.choice((first + 1, len(family)))
        self.note(f"kill -9 {family[first:last]} of {client.name}, {family}")
        for pid in family[first:last]:
            if running(pid):
                os.kill(pid, signal.SIGKILL)
        self.wait_for_end(family[first:])
        self.counts["kills"] += 1

    def wait_for_end(self, pids: list[int]) -> None:
        """A backend may be writing still when its session is dead."""
        deadline = time.monotonic() + END_SECS
        for pid in pids:
            while running(pid):
                if time.monotonic() > deadline:
                    raise Violation(f"the process {pid} has outlived what was killed by {END_SECS} s")
                time.sleep(SHORT_PAUSE / 10)

    def recover(self) -> None:
        """Until sessions work again, and see what is there: a store that lists in full may be
        held up by the brake. What they have not pushed yet they push now."""
        deadline = time.monotonic() + END_SECS
        while time.monotonic() < deadline:
            rows, good = self.store.rows(), True
            for client in list(self.clients.values()):
                answer = client.command("NOOP")
                if answer.status == "DEAD":
                    self.bury(client)
                good = good and answer.status == "OK"
            for box in BOXES:
                client = self.fresh(box)
                there = {ident: row.flags for ident, row in rows.items() if row.box == box}
                seen = Counter(one.flags for one in client.messages)
                good = good and seen == Counter(there.values())
                client.close()
            if good:
                return
            time.sleep(SHORT_PAUSE)  # a backend that died too often in a row is not started at once

    def die_at_write(self) -> None:
        """A session of which something dies at the Nth system call of a kind."""
        call, number = self.rng.choice(WRITES), int(10 ** self.rng.uniform(0, 2.3))
        inject = f"inject={call}:signal=KILL:when={number}"
        self.note(inject)
        try:
            client = self.start("s", "strace", "-fqq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject)
        except Dead:
            self.counts["deaths at a write"] += 1
            return
        client.select(self.rng.choice(BOXES))
        while client.box and self.rng.random() < 0.7:
            client.learn()
            self.begin_round(alone=False, clean=False)
            self.finish(*self.plan(client))
            self.recover()
            self.settle()
        if client.process.returncode is None:
            self.kill(client, all_of_it=True)
            self.bury(client)
        self.recover()
        self.counts["deaths at a write"] += 1

    def change_session(self, client: Client) -> None:
        what = self.rng.random()
        if what < 0.2:
            self.end(client.name)
        elif what < 0.6 and client.qresync:
            client.learn()
            if self.rng.random() < 0.5:  # away for a while
                client.command("UNSELECT")
                self.change_store()
                self.settle()
            self.select(client, client.box, resync=True)
        else:
            self.select(client, self.rng.choice(BOXES))

    def lose_indexes(self) -> None:
        self.note("the indexes are lost")
        for name in list(self.clients):
            self.end(name)
        for path in glob.glob(f"{self.folder}/state/**/dovecot.index*", recursive=True):
            os.unlink(path)
        self.modseqs.clear()
        self.counts["losses of the indexes"] += 1

    # --- a round -------------------------------------------------------------------

    def one_round(self) -> None:
        self.rounds += 1
        self.begin_round()
        if self.rng.random() < 0.08:
            self.change_session(self.client(self.rng.choice(NAMES)))
        names = self.rng.sample(NAMES, 1 if self.rng.random() < 0.6 else len(NAMES))
        clients = [self.client(name) for name in names]
        change, bad = self.rng.random() < 0.25, "" if self.options.lie else self.rng.choices(
            ["", "kill", "fault", "write"], [90, 4, 4, 2 * self.options.strace]
        )[0]
        if bad == "write":
            return self.die_at_write()
        fault = self.rng.choice(FAULTS) if bad == "fault" else ""
        firm = not any(code in fault for code in NEVER)
        self.begin_round(len(names) == 1 and not change, not bad, firm)
        if fault:
            self.fault(f"1 {fault}")
        plans = [self.plan(client) for client in clients]
        if change:
            self.change_store()
        if bad == "kill":
            self.kill(self.rng.choice(clients))
        for client, command in plans:
            self.finish(client, command)
        if fault:
            self.fault("")
        if bad:
            self.counts[f"rounds with a {bad}"] += 1
            self.recover()
        self.settle()
        for client in list(self.clients.values()):
            client.learn()
        if self.round.alone and not bad and self.rng.random() < 0.2:
            self.check_client(clients[0])

    # --- what has to be so -------------------------------------------------------------

    def settle(self) -> None:
        self.model.settle(self.round, self.store.rows())

    def check_client(self, client: Client) -> None:
        """Nobody else does anything: the session sees what the store has."""
        answer = client.command("NOOP")
        if answer.status != "OK":
            raise Violation(f"{client.name}: NOOP: {answer.status} {answer.text}")
        client.learn()
        self.compare(client)
        self.counts["checks"] += 1

    def compare(self, client: Client) -> None:
        uids = [seen.uid or 0 for seen in client.messages]
        if uids != sorted(set(uids)):
            raise Violation(f"{client.name} sees UIDs out of order: {uids}")
        known, there = self.known(client), self.model.in_box(client.box)
        for seen in set(client.messages) - set(known.values()):
            raise Violation(f"{client.name} sees UID {seen.uid} of {client.box}, which is not in the store, or twice")
        for message in [message for message in there if message not in known]:
            self.model.violation(f"{client.name} does not see {message}", message)
        for message, seen in known.items():
            self.model.seen(client.name, message, seen.uid or 0, seen.flags or frozenset())
            modseq, flags = self.modseqs.get(message.ident, (0, frozenset()))
            if seen.modseq and (seen.modseq < modseq or seen.modseq == modseq and flags != seen.flags):
                text = f"{client.name} sees MODSEQ {seen.modseq} of {message}, before {modseq} {sorted(flags)}"
                self.model.violation(text, message)
            if seen.modseq:
                self.modseqs[message.ident] = seen.modseq, seen.flags or frozenset()
            message.lag.clear()

    def check_all(self) -> None:
        """Everybody agrees, and then nobody has anything to say."""
        for name in NAMES:
            self.check_client(self.client(name))
        state = self.store.state()
        for box in BOXES:
            client = self.fresh(box)
            self.compare(client)
            client.close()
        for client in self.clients.values():
            if told := client.command("NOOP").untagged:
                raise Violation(f"{client.name}: there was nothing to tell: {told}")
        if self.store.state() != state:
            raise Violation(f"there was nothing to write: {state}, {self.store.state()}")
        for message in self.model.messages.values():
            message.doomed = "\\Deleted" in message.flags
        self.deleted.clear()

    # --- all of it -------------------------------------------------------------------------

    def run(self) -> None:
        for box in BOXES:
            self.prepare(box)
        self.store = STORES[self.name][0](self.path)
        self.fault(self.options.lie)
        deadline = time.monotonic() + self.options.secs
        while time.monotonic() < deadline and not self.violations:
            self.one_round()
            if self.rounds % CHECK_EVERY == 0 and not self.violations:
                self.check_all()
                if not self.options.lie and self.rng.random() < 0.2:
                    self.lose_indexes()
        if not self.violations:
            self.check_all()
            for name in list(self.clients):
                self.end(name)
        with open(self.log, encoding="utf-8", errors="replace") as file:
            for line in filter(SERIOUS.search, file):
                self.violation(f"logged: {line.strip()}", [])


def running(pid: int) -> bool:
    """Not even a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def become_nobody() -> None:
    """The sessions would do it by themselves, but a third process that is root makes
    files that they cannot change."""
    user = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", choices=list(STORES), metavar="STORE")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(100_000))
    parser.add_argument("--secs", type=float, default=600)
    parser.add_argument("--lie", default="", metavar="FAULT")
    parser.add_argument("--without", default="", metavar="WORD,...")
    options = parser.parse_args()

    options.strace = subprocess.run("strace -o /dev/null true", shell=True, stderr=subprocess.DEVNULL).returncode == 0
    options.secs /= len(options.stores)
    if os.geteuid() == 0:
        become_nobody()
    return 1 if sum(soak(store, options) for store in options.stores) else 0


def soak(store: str, options: argparse.Namespace) -> int:
    """Returns the number of violations."""
    print(f"{store}, seed {options.seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="dovebridge-soak.")
    world = World(store, options, folder)
    try:
        world.run()
    except Violation as violation:
        world.violation(str(violation), [])
    finally:
        for client in world.clients.values():
            client.process.kill()
    if world.violations and not options.lie:
        print(f"kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(", ".join(f"{count} {what}" for what, count in sorted(world.counts.items())))
    for text, count in sorted(world.refusals.items()):
        print(f"{count} times NO {text}")
    print(
        f"{store}, seed {options.seed}: {world.rounds} rounds, {world.model.tokens} messages, "
        f"{world.violations} violations"
    )
    return world.violations


if __name__ == "__main__":
    sys.exit(main())
