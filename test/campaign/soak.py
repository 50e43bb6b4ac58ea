#!/usr/bin/python3
"""Sessions and a third process change one store at random, and must agree.

    soak.py [--seed N] [--secs N | --rounds N] [--races] [--lie FAULT] [--without WORD,...] STORE...

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

With --races most rounds have all sessions at work, mail is delivered by LMTP through a
real Dovecot, another session idles and must hear of everything by itself, requests and
answers of the store wait at random (so a list may be older than an APPEND that it
arrives after), and so do sessions at the system calls that lock and commit.

With --rounds it is so many rounds instead of seconds, and one thing is done after the other:
a command is answered before the next one is given, the store is changed between two, and
what dies does so at a system call. Then what is found is the same, however busy the machine.

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

from base import ROOT
from soakclient import Client, Dead, Seen, Violation
from soakcommands import FEW, MANY, Command, Commands
from soakmodel import BOXES, FLEETING, Add, Maildir, Message, Model, Round, Sqlite, text_of
from soakrace import USER, Delivery, delays

STORES = {"sqlite": (Sqlite, "--synchronous", "off"), "maildir": (Maildir, "--no-fsync", "--create")}
NAMES, THIRD = "abc", "the third process"
DELETIONS = 4  # of the third process between two checks in a mailbox: the brake has no say
CHECK_EVERY = 40  # rounds between two checks of everything
END_SECS = 60  # in which processes must have ended, and sessions see what is there after a failure
# for the brake: a list that is made while others are moved away lacks many, and what was deleted
# then waits for another list
BRAKE_PAUSE = "bridge_brake_pause=5s"
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
# a mailbox without id= that is renamed or deleted, and made anew, while a session has its index
# open; what counts is the map, and that is compared
ANEW = re.compile(r"Corrupted transaction log file .*/Tmp-\S+/dovecot\.index\.log .*indexid changed")
DELIVERIES = 0.6  # of the rounds, in races
FLEETING_ROUNDS = 0.08
SLOW_SESSIONS = 0.5  # of the sessions, in races
JITTER_SECS = 0.2  # that a backend waits, at most, before a request and before its answer


class World(Commands):
    def __init__(self, name: str, options: argparse.Namespace, folder: str) -> None:
        self.name, self.options, self.folder = name, options, folder
        self.rng = random.Random(options.seed)
        self.model = Model(self.violation, "MOVE" in options.without)
        self.log, self.faults = f"{folder}/log", f"{folder}/filter/faults"
        self.transcript = open(f"{folder}/transcript", "w", encoding="utf-8")
        os.mkdir(f"{folder}/filter")
        self.path = f"{folder}/store"
        backend = [f"{ROOT}/test/stores/filter.py", "--without", options.without]
        jitter = JITTER_SECS * (options.races and not options.rounds)
        backend += ["--jitter", f"{jitter}:{options.seed}", f"{folder}/filter", "--"]
        backend += [f"{ROOT}/backends/{name}/{name}", self.path, *STORES[name][1:]]
        os.makedirs(f"{folder}/server/state")
        self.state = f"{folder}/server/state/{USER}"
        self.argv = [f"{ROOT}/build/dovebridge", "imap", "-o", BRAKE_PAUSE, "--state", self.state, "--", *backend]
        self.delivery = Delivery(f"{folder}/server", backend, self.transcript) if options.races else None
        self.clients: dict[str, Client] = {}
        self.idler: Client | None = None
        self.boxes, self.in_play = BOXES, ()
        self.guid_of_box: dict[str, bytes] = {}
        self.ident_of_guid: dict[str, str] = {}
        self.uidvalidity: dict[str, int] = {}
        self.last_uidvalidity: dict[str, int] = {}  # of all mailboxes that a name had
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
        last, self.uidvalidity[box] = self.last_uidvalidity.get(box, 0), client.uidvalidity
        if client.uidvalidity <= last:
            raise Violation(f"UIDVALIDITY of the new {box} is {client.uidvalidity}, an old one had {last}")
        self.last_uidvalidity[box] = client.uidvalidity
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
            slow = self.options.races and self.options.strace and not self.options.rounds and self.rng.random() < SLOW_SESSIONS
            self.clients[name] = self.start(name, *(delays(self.rng) if slow else []))
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
        family = [client.process.pid, *client.below()][client.traced :]  # all without its tracer ends by itself
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
        if self.idler:
            self.idler.done()
            self.idler.close()
            self.idler = None
        for path in glob.glob(f"{self.state}/**/dovecot.index*", recursive=True):
            os.unlink(path)
        self.modseqs.clear()
        self.counts["losses of the indexes"] += 1

    # --- a round -------------------------------------------------------------------

    def one_round(self) -> None:
        self.rounds += 1
        self.begin_round()
        if self.options.races and self.rng.random() < FLEETING_ROUNDS:
            return self.fleeting_round()
        if self.rng.random() < 0.08:
            self.change_session(self.client(self.rng.choice(NAMES)))
        alone = self.rng.random() < (0.1 if self.options.races else 0.6)
        names = self.rng.sample(NAMES, 1 if alone else len(NAMES))
        clients = [self.client(name) for name in names]
        mail = self.delivery is not None and not alone and self.rng.random() < DELIVERIES
        change, bad = self.rng.random() < 0.25, "" if self.options.lie else self.rng.choices(
            ["", "kill", "fault", "write"], [90, 4 * (not self.options.rounds), 4, 2 * self.options.strace]
        )[0]
        if bad == "write":
            return self.die_at_write()
        fault = self.rng.choice(FAULTS) if bad == "fault" else ""
        firm = not any(code in fault for code in NEVER)
        self.begin_round(len(names) == 1 and not change, not bad, firm)
        if fault:
            self.fault(f"1 {fault}")
        plans = self.begin_all([*clients, *([self.delivery] if mail else [])])
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

    def begin_all(self, workers: list[Client | Delivery]) -> list[tuple[Client | Delivery, Command]]:
        """Each begins something; what is to be finished."""
        plans: list[tuple[Client | Delivery, Command]] = []
        for worker in workers:
            plan = self.plan(worker) if isinstance(worker, Client) else (worker, self.deliver(worker))
            if self.options.rounds:
                self.finish(*plan)
            else:
                plans.append(plan)
        return plans

    def fleeting_round(self) -> None:
        """A mailbox is renamed or deleted, while others have it selected and change it."""
        old, new = self.rng.sample(FLEETING, 2)
        self.prepare(old)
        self.boxes = (*BOXES, old)
        clients = [self.client(name) for name in NAMES]
        for _ in range(2):
            for client in clients:
                self.select(client, old)
            self.together(clients)
        self.in_play, rename = (old,), self.rng.random() < 0.6
        manager = self.start("m")
        manager.begin(f'RENAME "{old}" "{new}"' if rename else f'DELETE "{old}"')
        self.together(clients, manager, new if rename else "")
        self.boxes = BOXES
        for client in [client for client in clients if client.process.returncode is None]:
            if client.command("NOOP").status == "DEAD":
                self.bury(client)
            else:
                self.select(client, self.rng.choice(BOXES))
        if rename:
            self.see_renamed(new)
            self.round = Round(self.rounds, alone=True, clean=True)
            manager.command(f'DELETE "{new}"')
            self.forget_box(new)
        if b"Tmp/" in b"".join(manager.command('LIST "" "*"').untagged):
            raise Violation("a mailbox that was deleted is listed")
        manager.close()
        self.in_play = ()

    def together(self, clients: list[Client], manager: Client | None = None, new: str = "") -> None:
        """All do something at once. The manager has begun to delete the mailbox, or to give it
        this name."""
        self.begin_round(alone=False, clean=manager is None, firm=manager is None)
        answer = manager.finish() if manager and self.options.rounds else None
        plans = self.begin_all([*clients, *([self.delivery] if self.delivery else [])])
        answer = manager.finish() if manager and not answer else answer
        for client, command in plans:
            self.finish(client, command)
        if answer and answer.status != "OK":
            raise Violation(f"{answer.command}: {answer.status} {answer.text}")
        if manager and not new:
            return self.forget_box(self.in_play[0])
        if manager:
            self.rename(self.in_play[0], new)
        self.settle()
        for client in [] if manager else clients:
            client.learn()

    def rename(self, old: str, new: str) -> None:
        self.round.rename(old, new)
        self.model.rename(old, new)
        self.guid_of_box[new] = self.guid_of_box.pop(old)
        self.uidvalidity[new] = self.uidvalidity.pop(old)
        self.last_uidvalidity[new] = max(self.uidvalidity[new], self.last_uidvalidity.get(new, 0))
        self.counts["renamed mailboxes"] += 1

    def see_renamed(self, box: str) -> None:
        client = self.fresh(box)
        self.model.settle_pushed(self.round, self.store.rows())
        self.compare(client)
        client.close()

    def forget_box(self, box: str) -> None:
        self.model.delete(self.round, box)
        self.uidvalidity.pop(box)
        self.settle()
        self.counts["deleted mailboxes"] += 1

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

    def idle(self) -> None:
        """A session that only idles until the next check has been told of all that is there."""
        client, deadline = self.idler, time.monotonic() + END_SECS
        if client is not None:
            while not self.is_told(client) and time.monotonic() < deadline:
                client.hear(SHORT_PAUSE)
            if not self.is_told(client):
                there = [str(message) for message in self.model.in_box(client.box)]
                raise Violation(f"{client.name} idles, and was told of {client.messages}, not of {there}")
            client.done()
            client.learn()
            self.compare(client)
        else:
            client = self.idler = self.start("i")
        self.select(client, self.rng.choice(BOXES))
        client.idle()

    def is_told(self, client: Client) -> bool:
        there = self.model.in_box(client.box)
        seen = {self.ident(client.box, one.guid): one.flags for one in client.messages if one.guid}
        return len(client.messages) == len(there) and all(seen.get(one.ident, one.flags) == one.flags for one in there)

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
        if self.options.races:
            self.idle()
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

    def operations(self) -> int:
        """What was done to the store, or asked of it."""
        given = [command.__name__ for command in self.COMMANDS]
        return sum(self.counts[what] for what in [*given, "deliveries", "changes of the store"])

    def stop(self) -> None:
        for client in [*self.clients.values(), *([self.idler] if self.idler else [])]:
            for pid in [*client.below(), client.process.pid]:
                os.kill(pid, signal.SIGKILL)
        if self.delivery:
            self.delivery.stop()

    # --- all of it -------------------------------------------------------------------------

    def goes_on(self, deadline: float) -> bool:
        return self.rounds < self.options.rounds if self.options.rounds else time.monotonic() < deadline

    def run(self) -> None:
        for box in BOXES:
            self.prepare(box)
        self.store = STORES[self.name][0](self.path)
        self.fault(self.options.lie)
        deadline = time.monotonic() + self.options.secs
        while not self.violations and self.goes_on(deadline):
            self.one_round()
            if self.rounds % CHECK_EVERY == 0 and not self.violations:
                self.check_all()
                if not self.options.lie and self.rng.random() < 0.2:
                    self.lose_indexes()
        if not self.violations:
            self.check_all()
            for name in list(self.clients):
                self.end(name)
        for log in filter(os.path.exists, (self.log, f"{self.folder}/server/log")):
            with open(log, encoding="utf-8", errors="replace") as file:
                for line in filter(SERIOUS.search, file):
                    if ANEW.search(line) and self.options.races and self.name == "maildir":
                        continue
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
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--lie", default="", metavar="FAULT")
    parser.add_argument("--without", default="", metavar="WORD,...")
    parser.add_argument("--races", action="store_true")
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
    world, begun = World(store, options, folder), time.monotonic()
    try:
        world.run()
    except Violation as violation:
        world.violation(str(violation), [])
    finally:
        world.stop()
    if world.violations and not options.lie:
        print(f"kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(", ".join(f"{count} {what}" for what, count in sorted(world.counts.items())))
    for text, count in sorted(world.refusals.items()):
        print(f"{count} times NO {text}")
    if options.races:
        print(
            f"{store}, seed {options.seed}: {(time.monotonic() - begun) / 60:.1f} race minutes, "
            f"{world.operations()} operations, {world.counts['kills']} kills, {world.violations} violations"
        )
        return world.violations
    print(
        f"{store}, seed {options.seed}: {world.rounds} rounds, {world.model.tokens} messages, "
        f"{world.violations} violations"
    )
    return world.violations


if __name__ == "__main__":
    sys.exit(main())
