"""The commands that the sessions of soak.py give, at random. A module of soak.py.

Each is sent at once, and its answer read later: others do something meanwhile. What
follows from the answer goes to the Round (soakmodel.py).
"""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import base  # noqa: F401: it finds corpus
from corpus import normalise
from soakclient import Answer, Client, Seen, Violation, uid_set, uids_of
from soakmodel import FLAGS, Add, Message, Model, Round, text_of
from soakrace import Delivery

FEW, MANY = 8, 60  # messages of a mailbox, about
REFUSED = re.compile(r"\[EXPUNGEISSUED\]")  # why a command may be NO while nothing fails

# The messages that a command is about, and what is to be done with the answer.
Command = tuple[list[Message], Callable[[Answer], None]]


class Commands:
    """The part of World that gives them."""

    rng: random.Random
    model: Model
    round: Round
    clients: dict[str, Client]
    counts: Counter[str]
    refusals: Counter[str]
    known: Callable[[Client], dict[Message, Seen]]
    boxes: tuple[str, ...]  # that commands may be about
    in_play: tuple[str, ...]  # mailboxes that are renamed or deleted meanwhile: sessions may end

    def some_flags(self, deleted: float = 0.0, flags: tuple[str, ...] = FLAGS) -> frozenset[str]:
        chosen = self.rng.sample([flag for flag in flags if flag != "\\Deleted"], self.rng.randint(0, 3))
        return frozenset(chosen + ["\\Deleted"] * (self.rng.random() < deleted))

    def some(self, known: dict[Message, Seen], most: int) -> list[Message]:
        return self.rng.sample(list(known), min(len(known), self.rng.randint(1, most)))

    def append(self, client: Client) -> Command | None:
        box = self.rng.choice((client.box, *self.boxes))
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
        box = self.rng.choice([box for box in self.boxes if not moving or box != client.box])
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
                    if told["BODY[]"] != normalise(self.model.text(message.token)):
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
        box = self.rng.choice([name for name in self.boxes if name != client.box])
        client.begin(f'STATUS "{box}" (MESSAGES UNSEEN)')

        def done(answer: Answer) -> None:
            there = self.model.in_box(box)
            counts = len(there), sum("\\Seen" not in message.flags for message in there)
            if self.round.alone and self.round.clean and b"(MESSAGES %d UNSEEN %d)" % counts not in answer.untagged[0]:
                raise Violation(f"{box} has {counts} messages and unseen ones, and STATUS says {answer.untagged}")

        return [], done

    def deliver(self, delivery: Delivery) -> Command:
        add = Add("", self.rng.choice(self.boxes), self.model.token(), False, frozenset(), mailed=True)
        delivery.begin(add.box, normalise(text_of(add.token)))
        self.counts["deliveries"] += 1

        def done(answer: Answer) -> None:
            add.why, add.must = self.said(delivery, answer), answer.status == "OK"
            if add.must or not self.round.clean:
                self.round.adds.append(add)

        return [], done

    COMMANDS = {append: 16, flag: 30, expunge: 6, copy: 10, fetch: 12, noop: 12, status: 4}

    def plan(self, client: Client) -> tuple[Client, Command]:
        """Send a command."""
        while True:
            command = self.rng.choices(list(self.COMMANDS), list(self.COMMANDS.values()))[0]
            if done := command(self, client):
                self.counts[command.__name__] += 1
                return client, done

    def finish(self, client: Client | Delivery, command: Command) -> None:
        answer = client.finish()
        if answer.status == "NO":
            self.refusals[re.sub(r"\d+", "N", answer.text)[:80]] += 1
        if answer.status != "OK" and self.round.clean and not REFUSED.match(answer.text):
            raise Violation(f"{client.name}: {answer.command}: {answer.status} {answer.text}")
        for message in command[0]:
            self.round.said[message.ident].append(self.said(client, answer))
        command[1](answer)
        if answer.status == "DEAD" and isinstance(client, Client):
            self.bury(client)

    def bury(self, client: Client) -> None:
        expected = 0 if client.box in self.in_play else -signal.SIGKILL
        client.close()
        client.box = ""
        self.clients.pop(client.name, None)
        if client.process.returncode != expected:
            raise Violation(f"{client.name} ended by itself, with {client.process.returncode}")

    def said(self, client: Client | Delivery, answer: Answer) -> str:
        return f"{client.name}: {answer.command}: {answer.status} {answer.text}"
