"""Rounds of random commands for randomdiff.py, which says what a line means. A module.

A round is made before it is played, from its seed alone: what is answered changes
nothing. Therefore only the names of mailboxes and about how many messages are in them
are known here, and a command may well be about a message that is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import base  # noqa: F401: it finds corpus
import corpus
from diffcheck import BINARY, BINARY_MORE, PARTIALS, SEARCH_KEYS, SEARCH_TEXTS, SECTIONS, SORT_KEYS

STEPS = 28  # of a round; each is one command or a few that belong together
# small ones: a difference is to be read by people; huge ones are diffcheck.py's
KINDS = [kind for kind in corpus.USUAL if kind is not corpus.attachment]
BOXES = ("Box", "Box/sub", "Other", "Two words", "Entw&APw-rfe", "INBOX/in")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$Forwarded", "Label", "work")
DATES = (
    "01-Jan-1970 00:00:01 +0000", "01-Jan-1970 02:30:00 +0100", "19-Jan-2038 03:14:08 +0000", "07-Feb-2106 06:28:15 +0000",
    "29-Feb-2024 23:59:59 -0800", "05-Oct-1999 01:02:03 +0200", "05-Oct-1999 01:02:03 +0000",
)  # fmt: skip
ODD_DATES = (
    "01-Jan-1970 00:30:00 +0100", "31-Dec-1969 23:59:58 +0000", "17-Jul-1955 10:00:00 -0730", "01-Jan-1900 00:00:00 +0000",
    "07-Feb-2106 06:28:16 +0000", "01-Mar-2200 12:00:00 +0545",
)  # fmt: skip
ITEMS = (
    "FLAGS", "UID", "ENVELOPE", "BODY", "BODYSTRUCTURE", "PREVIEW", "PREVIEW (LAZY)", "RFC822.SIZE",
    "INTERNALDATE", "SAVEDATE", "MODSEQ", "RFC822", "RFC822.HEADER", "RFC822.TEXT", "BODY[]", "BODY[TEXT]", "BODY[1]",
    "BODY.PEEK[]", "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER]", "BODY.PEEK[1]", "BODY.PEEK[2]",
)  # fmt: skip
# their answers are the same whatever was asked before, and need no sequence of questions
MORE_ITEMS = (
    *(f"BODY.PEEK[{section}]" for section in SECTIONS if '"' not in section and "a:b" not in section),
    *(f"BODY.PEEK{partial}" for partial in PARTIALS if partial.count(".") == 1 and "-" not in partial),
    *BINARY, *BINARY_MORE,
)  # fmt: skip
STATUS_ITEMS = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE")
LISTS = (
    'LIST "" *', 'LIST "" %', 'LIST "" inbox', 'LIST "" inbox/%', 'LIST "" INBOX/%', 'LIST "" InBoX*', 'LIST "" B*',
    'LIST "" Box/%', 'LIST "" %/%', 'LIST Box/ %', 'LIST inbox %', 'LIST "" Box', 'LIST "" "two words"', 'LIST "" None', 'LSUB "" *',
    'LSUB "" %', 'LIST (SUBSCRIBED) "" *', 'LIST "" * RETURN (SUBSCRIBED CHILDREN)', 'LIST (RECURSIVEMATCH SUBSCRIBED) "" %',
    'LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE))', 'LIST "" (Box% INBOX%)',
)  # fmt: skip
DAYS = ("1-Jan-1960", "1-Jan-1970", "2-Jan-1970", "5-Oct-1999", "6-Oct-1999", "29-Feb-2024", "1-Jan-2100", "1-Jan-2150")
SEARCH_DATES = tuple(f"{key} {day}" for key in ("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTSINCE") for day in DAYS)
KEYS = (*(key for key in SEARCH_KEYS if not {"NEW", "OLD", "RECENT"} & {*key.split()} and "MODSEQ" not in key), *SEARCH_DATES,
        *(f"{key} {size}" for key in ("LARGER", "SMALLER") for size in (0, 100, 300, 500, 1000, 5000)))  # fmt: skip
POP3 = ("STAT", "LIST", "UIDL", "LIST 1", "UIDL 2", "RETR 1", "RETR 2", "RETR 4", "TOP 1 0", "TOP 2 3", "TOP 3 100", "DELE 1",
        "DELE 2", "DELE 9", "RSET", "NOOP", "LAST", "CAPA")  # fmt: skip


def message(name: str) -> bytes:
    """The bytes of {msg:NAME}, which is KIND.SEED."""
    kind, _, seed = name.partition(".")
    return next(one for one in KINDS if one.__name__ == kind)(Random(f"randomdiff {seed}"))


class Maker:
    def __init__(self, seed: str) -> None:
        self.rng, self.lines = Random(seed), list[str]()
        self.boxes = {"INBOX": 0}
        self.selected: dict[str, str] = {}
        self.examined: set[str] = set()  # who has it read-only
        self.names = self.rng.choice(("a", "ab", "ab", "abc"))
        self.resync = frozenset(name for name in self.names if self.rng.random() < 0.4)
        self.greeted: set[str] = set()
        self.marked: set[str] = set()
        self.seeds = self.rng.randrange(1000)
        # dates of now are not compared to the second, nor odd ones at all: so they are not asked
        # for by order, either
        self.dated = self.rng.random() < 0.5
        self.dates = DATES if self.dated or self.rng.random() < 0.5 else DATES + ODD_DATES
        self.keys = KEYS if self.dates is DATES else tuple(key for key in KEYS if key not in SEARCH_DATES)

    def say(self, *lines: str) -> None:
        self.lines += lines

    # --- who, and about what -----------------------------------------------------

    def box(self) -> str:
        return self.rng.choice(list(self.boxes))

    def session(self) -> str:
        """One that has a mailbox selected."""
        name = self.rng.choice(self.names)
        if name not in self.selected:
            self.open(name, self.box())
        return name

    def greet(self, name: str) -> None:
        if name not in self.greeted and name in self.resync:
            self.say(f"{name} ENABLE QRESYNC")
        self.greeted.add(name)

    def open(self, name: str, box: str) -> None:
        self.greet(name)
        how, chance = "", self.rng.random()
        if name in self.resync and box in self.marked and chance < 0.7:
            how = " (QRESYNC ({validity:%s} {mark:%s}))" % (box, box)
        elif chance < 0.2:
            how = " (CONDSTORE)"
        verb = "EXAMINE" if self.rng.random() < 0.1 else "SELECT"
        self.say(f'{name} {verb} "{box}"{how}')
        self.selected[name] = box
        (self.examined.add if verb == "EXAMINE" else self.examined.discard)(name)
        if how or name in self.resync:
            self.marked.add(box)
        if self.rng.random() < 0.3:
            self.say(f"{name} UID FETCH 1:* FLAGS")

    def leave(self, name: str) -> None:
        if self.selected.pop(name, None):
            self.say(f"{name} UNSELECT")

    def set(self, name: str) -> str:
        count = self.boxes.get(self.selected[name], 0) + 1
        one, two = self.rng.randint(1, count), self.rng.randint(1, count)
        return self.rng.choice(("1:*", "1:*", str(one), str(one), "*", f"{one}:{two}", f"{one},{two}", f"{one}:*"))

    def about(self, name: str, verb: str, rest: str) -> str:
        """A command by numbers, or by UID."""
        if self.rng.random() < 0.5:
            return f"{name} {verb} {self.set(name)} {rest}"
        return f"{name} UID {verb} {{uids:{self.set(name)}}} {rest}"

    def flags(self, most: int = 3) -> str:
        return "(" + " ".join(self.rng.sample(FLAGS, self.rng.randint(0, most))) + ")"

    def new_message(self) -> str:
        self.seeds += 1
        return "{msg:%s.%d}" % (self.rng.choice(KINDS).__name__, self.seeds)

    # --- commands ---------------------------------------------------------------------

    def append(self) -> None:
        name, box = self.rng.choice(self.names), self.box()
        self.greet(name)
        text = ""
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            text += f" {self.flags()}" if self.rng.random() < 0.6 else ""
            text += f' "{self.rng.choice(self.dates)}"' if self.dated or self.rng.random() < 0.3 else ""
            text += f" {self.new_message()}"
            self.boxes[box] += 1
        self.say(f'{name} APPEND "{box}"{text}')

    def copy(self) -> None:
        name, target = self.session(), self.box()
        verb = self.rng.choice(("COPY", "COPY", "MOVE"))
        if target == self.selected[name]:
            # a copy within one mailbox is a hard link in it: Dovecot's maildir (2.3.19) loses a
            # message of those that were moved so, when more mail comes, and gives one that was
            # copied so another UID when other sessions, or a read-only one, do it, too
            verb = "COPY"
            others = [box for who, box in self.selected.items() if who != name]
            if name in self.examined or target in others:
                return
        self.say(self.about(name, verb, f'"{target}"'))
        self.boxes[target] += 2
        if self.rng.random() < 0.5:
            who = self.rng.choice(self.names)
            if self.selected.get(who) != target:
                self.leave(who)
                self.open(who, target)
            self.say(f"{who} FETCH 1:* {self.rng.choice(ITEMS)}")

    def fetch(self) -> None:
        name = self.session()
        for _ in range(self.rng.randint(1, 3)):
            chosen = self.rng.sample(ITEMS, self.rng.choice((1, 1, 1, 2, 3)))
            if self.rng.random() < 0.3:
                chosen = [self.rng.choice(MORE_ITEMS)]
            since = ""
            if self.rng.random() < 0.1 and self.selected[name] in self.marked:
                since = " (CHANGEDSINCE {mark:%s})" % self.selected[name]
                # a change that this session has not been told of yet is told by it, as the item
                # that was asked for or as FLAGS
                self.say(f"{name} NOOP")
            self.say(self.about(name, "FETCH", f"({' '.join(chosen)}){since}"))

    def store(self) -> None:
        name, since = self.session(), ""
        if self.rng.random() < 0.1 and self.selected[name] in self.marked:
            since = "(UNCHANGEDSINCE {mark:%s}) " % self.selected[name]
        how = self.rng.choice(("+", "+", "-", "")) + "FLAGS" + self.rng.choice(("", ".SILENT"))
        self.say(self.about(name, "STORE", f"{since}{how} {self.flags()}"))

    def expunge(self) -> None:
        name = self.session()
        self.say(self.about(name, "STORE", "+FLAGS (\\Deleted)"))
        if self.rng.random() < 0.4:
            self.say(f"{name} UID EXPUNGE {{uids:{self.set(name)}}}")
        else:
            self.say(f"{name} EXPUNGE")

    def search(self) -> None:
        name, uid = self.session(), self.rng.choice(("", "UID "))
        for _ in range(2):
            key = self.rng.choice(self.rng.choice((self.keys, SEARCH_TEXTS)))
            how = self.rng.choice(("", "", "RETURN (MIN MAX COUNT ALL) ", "RETURN (COUNT) "))
            if "UID" not in key:
                self.say(f"{name} {uid}SEARCH {how}{key}")

    def sort(self) -> None:
        name, uid = self.session(), self.rng.choice(("", "UID "))
        keys = [key for key in SORT_KEYS if self.dated or key not in ("ARRIVAL", "DATE")]
        self.say(f"{name} {uid}SORT ({self.rng.choice(('', 'REVERSE '))}{self.rng.choice(keys)}) UTF-8 ALL")
        if self.dated:
            self.say(f"{name} THREAD {self.rng.choice(('REFERENCES', 'REFS', 'ORDEREDSUBJECT'))} UTF-8 ALL")

    def noop(self) -> None:
        self.say(*(f"{name} {self.rng.choice(('NOOP', 'CHECK'))}" for name in self.names if name in self.selected))

    def status(self) -> None:
        name, box = self.rng.choice(self.names), self.box()
        self.greet(name)
        items = self.rng.sample(STATUS_ITEMS, self.rng.randint(1, 4))
        if "HIGHESTMODSEQ" in items and box not in self.marked:
            items.append("UIDVALIDITY")
            self.marked.add(box)
        self.say(f'{name} STATUS "{box}" ({" ".join(dict.fromkeys(items))})')

    def list(self) -> None:
        name = self.rng.choice(self.names)
        if self.rng.random() < 0.3:
            # not what is only above others: Maildir++ has no folder for that, other layouts do
            self.say(f'{name} {self.rng.choice(("SUBSCRIBE", "SUBSCRIBE", "UNSUBSCRIBE"))} "{self.box()}"')
        self.say(f"{name} {self.rng.choice(LISTS)}")

    def idle(self) -> None:
        name = self.session()
        if len(self.names) > 1:
            self.say(f"{name} IDLE")
            others, self.names = self.names, self.names.replace(name, "")
            for _ in range(self.rng.randint(1, 2)):
                self.rng.choice((self.append, self.store, self.expunge, self.copy))()
            self.names = others
            self.say(f"{name} DONE")

    def close(self) -> None:
        name = self.session()
        self.say(f"{name} {self.rng.choice(('CLOSE', 'UNSELECT'))}")
        del self.selected[name]

    def end(self) -> None:
        """LOGOUT of some; when nobody is left, the bridge may lose its indexes."""
        everybody = self.rng.random() < 0.4
        for name in self.names if everybody else [self.rng.choice(self.names)]:
            self.leave(name)
            self.say(f"{name} end")
            self.greeted.discard(name)
        if everybody and self.rng.random() < 0.7:
            self.say("lose")
            self.marked.clear()

    # --- mailboxes ----------------------------------------------------------------------

    def create(self) -> None:
        name, box = self.rng.choice(self.names), self.rng.choice(BOXES)
        self.say(f'{name} CREATE "{box}"')
        self.boxes.setdefault(box, 0)

    def forget(self, box: str) -> None:
        """Nobody has it open."""
        for name, selected in list(self.selected.items()):
            if selected == box or selected.startswith(f"{box}/"):
                self.leave(name)
        self.marked.discard(box)

    def delete(self) -> None:
        box = self.rng.choice(BOXES)
        self.forget(box)
        self.say(f'{self.rng.choice(self.names)} DELETE "{box}"')
        self.boxes.pop(box, None)

    def rename(self) -> None:
        old, new = self.rng.sample(BOXES, 2)
        if new.startswith(old):
            return
        self.forget(old)
        self.forget(new)
        self.say(f'{self.rng.choice(self.names)} RENAME "{old}" "{new}"')
        if old in self.boxes and new not in self.boxes:
            for box in [box for box in self.boxes if box == old or box.startswith(f"{old}/")]:
                self.forget(box)
                count = self.boxes.pop(box)
                if new + box[len(old) :] in BOXES:
                    self.boxes[new + box[len(old) :]] = count

    # --- others -------------------------------------------------------------------------

    def lmtp(self) -> None:
        if not self.dated:
            box = self.box() if self.rng.random() < 0.5 else "INBOX"
            box = box if box.replace("/", "").isalpha() else "INBOX"  # it is part of an address
            self.say(f'lmtp {self.rng.choice(("1", "12", "21"))} {self.new_message()} {box}')
            self.boxes[box] += 1
            if self.rng.random() < 0.3:
                self.say("x SELECT INBOX", f"x FETCH 1:* {self.rng.choice(ITEMS)}", "x UNSELECT", "x end")

    def pop3(self) -> None:
        self.say(f"pop3 {';'.join(self.rng.choice(POP3) for _ in range(self.rng.randint(2, 7)))}")

    def saved(self) -> None:
        """When messages were saved, told apart by the seconds between."""
        self.say("tick")
        self.copy()
        name = self.session()
        self.say(f"{name} FETCH 1:* (UID SAVEDATE)")

    def busy(self) -> None:
        """Flags that the store gets later, of messages that go elsewhere meanwhile."""
        self.say("busy")
        for _ in range(self.rng.randint(1, 3)):
            self.store()
            self.rng.choice((self.copy, self.fetch))()
        self.say("well")

    STEPS: dict[Callable[[Maker], None], int] = {
        append: 16, copy: 12, fetch: 22, store: 10, expunge: 5, search: 6, sort: 3, noop: 8, status: 5, list: 5,
        idle: 2, close: 3, end: 4, create: 5, delete: 1, rename: 2, lmtp: 5, pop3: 2, saved: 2, busy: 1,
    }  # fmt: skip


def made(seed: str) -> list[str]:
    """The lines of a round."""
    maker = Maker(seed)
    maker.create()
    maker.append()
    for _ in range(STEPS):
        maker.rng.choices(list(Maker.STEPS), list(Maker.STEPS.values()))[0](maker)
    for name in maker.names:
        maker.leave(name)
    for box in maker.boxes:
        maker.say(f'a SELECT "{box}"', "a FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])", "a UNSELECT")
    maker.say('a LIST "" *', "a end")
    return maker.lines
