"""The storages that are compared: how each is made from the same files, opened,
made cold, and given new mail behind a session's back.

Every store has a folder of its own with

    mail/{cur,new,tmp}  the messages, hard links to the corpus: a Maildir, whose
                        cur is also a folder of .eml files
    state/              all that Dovecot and the bridge keep themselves
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import ClassVar

from session import Session, environment

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = f"{ROOT}/build"
FILL_MESSAGES = 1000  # in one MULTIAPPEND, where a store is filled by IMAP
SETTLED_SECS = 1400000000  # a time of directories: long ago, so that no file time is in doubt
READ_BYTES = 1 << 20


@dataclass
class Corpus:
    """Messages in `folder`, in order, and some that come `later`."""

    folder: str
    later: str
    count: int


@dataclass
class Store:
    """One mailbox in one storage."""

    # What it can do beyond reading: be opened cold, and what rows.py writes
    can: ClassVar[frozenset[str]] = frozenset({"cold", "store", "append", "copy"})

    folder: str
    corpus: Corpus
    name: str
    settings: dict[str, str] = field(default_factory=dict)
    remote: str | None = None

    def location(self) -> str:
        raise NotImplementedError

    def path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)

    def make(self) -> None:
        for name in ("cur", "new", "tmp"):
            os.makedirs(self.path("mail", name))
        os.mkdir(self.path("state"))
        for name in sorted(os.listdir(self.corpus.folder)):
            os.link(f"{self.corpus.folder}/{name}", self.path("mail", "cur", name))
        self.settings |= {"mail_location": self.location()}
        environment(self.folder, "environment", self.settings)
        self.settle()

    def settle(self) -> None:
        """As if nothing had happened for a while, and opened since."""
        for name in ("cur", "new"):
            os.utime(self.path("mail", name), (SETTLED_SECS, SETTLED_SECS))
        with self.session() as session:
            session.run("SELECT INBOX")

    def session(self, memory_bytes: int = 0) -> Session:
        return Session(f"{BUILD}/bench/load", self.path("environment"), self.remote, memory_bytes)

    def forget(self) -> None:
        """Everything that Dovecot and the bridge keep."""
        shutil.rmtree(self.path("state"))
        os.mkdir(self.path("state"))

    def forget_cache(self) -> None:
        """What Dovecot has parsed; not which messages there are."""
        for folder, _, names in os.walk(self.path("state")):
            if "dovecot.index.cache" in names:
                os.unlink(f"{folder}/dovecot.index.cache")

    def warm(self, bodies: bool) -> None:
        """Bring the names, and the bytes where they are read, into memory."""
        buffer = bytearray(READ_BYTES)
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = f"{folder}/{name}"
                if not bodies:
                    os.stat(path)
                    continue
                with open(path, "rb", buffering=0) as file:
                    while file.readinto(buffer):
                        pass

    def deliver(self) -> None:
        for name in os.listdir(self.corpus.later):
            os.link(f"{self.corpus.later}/{name}", self.path("mail", self.delivery_folder(), name))

    def delivery_folder(self) -> str:
        return "new"

    def take_back(self) -> None:
        """Undo deliver."""
        names = os.listdir(self.corpus.later)
        for folder in ("cur", "new"):
            for name in os.listdir(self.path("mail", folder)):
                if name.partition(":")[0] in names:
                    os.unlink(self.path("mail", folder, name))


class Maildir(Store):
    def location(self) -> str:
        return f"maildir:{self.path('mail')}:INDEX={self.path('state')}:CONTROL={self.path('state')}"


class Mdbox(Store):
    """Its index is the store: it cannot be opened cold, and mail arrives by IMAP."""

    can = Store.can - {"cold"}

    def location(self) -> str:
        return f"mdbox:{self.path('state')}"

    def make(self) -> None:
        os.makedirs(self.path("state"))
        environment(self.folder, "environment", self.settings | {"mail_location": self.location()})
        with self.session() as session:
            for first in range(0, self.corpus.count, FILL_MESSAGES):
                count = min(FILL_MESSAGES, self.corpus.count - first)
                session.append("INBOX", "multi", first, count, self.corpus.folder)
        self.settle()

    def settle(self) -> None:
        with self.session() as session:
            session.run("SELECT INBOX")

    def deliver(self) -> None:
        with self.session() as session:
            session.append("INBOX", "multi", 0, len(os.listdir(self.corpus.later)), self.corpus.later)

    def take_back(self) -> None:
        with self.session() as session:
            session.run("SELECT INBOX")
            session.run(f"STORE {self.corpus.count + 1}:* +FLAGS.SILENT (\\Deleted)")
            session.run("EXPUNGE")


class Imapc(Store):
    """Dovecot's own storage over IMAP; behind it the Maildir, on loopback. Only the
    near side is ever made cold."""

    def location(self) -> str:
        return f"imapc:{self.path('state')}"

    def make(self) -> None:
        far = self.path("far")
        os.makedirs(far)
        far_location = f"maildir:{self.path('mail')}:INDEX={far}:CONTROL={far}"
        self.remote = environment(self.folder, "remote", {"mail_location": far_location})
        self.settings |= {
            "imapc_host": "127.0.0.1",
            "imapc_user": "bench",
            "imapc_password": "bench",
        }
        super().make()


class Bridge(Store):
    """The bridge over one of the backends; new mail is a file, and a line in the log
    of those that keep one. Flags are kept by the bridge; no backend here can write."""

    can = frozenset({"cold", "store"})
    words: ClassVar[tuple[str, ...]] = ()

    def location(self) -> str:
        return f"bridge:{self.path('state')}"

    def make(self) -> None:
        self.settings |= {
            "mail_plugins": "bridge",
            "mail_plugin_dir": BUILD,
            "plugin/bridge_command": " ".join(f"'{word}'" for word in self.command()),
        }
        os.makedirs(self.folder, exist_ok=True)
        with open(self.path("log"), "x", encoding="ascii"):
            pass
        super().make()

    def command(self) -> list[str]:
        return [*self.words, self.path("mail", "cur"), self.path("log")]

    def delivery_folder(self) -> str:
        return "cur"

    def log(self, sign: str) -> None:
        with open(self.path("log"), "a", encoding="ascii") as log:
            log.writelines(f"{sign}{name}\n" for name in sorted(os.listdir(self.corpus.later)))

    def deliver(self) -> None:
        super().deliver()
        self.log("+")

    def take_back(self) -> None:
        super().take_back()
        self.log("-")


class EmlDir(Bridge):
    """backends/eml-dir, in dash: it always lists in full, tells no sizes, and answers
    with paths."""

    def command(self) -> list[str]:
        return ["/bin/sh", f"{ROOT}/backends/eml-dir/eml-dir", self.path("mail", "cur")]


class PythonPath(Bridge):
    words = ("/usr/bin/python3", f"{HERE}/folder.py", "path")


class PythonData(Bridge):
    words = ("/usr/bin/python3", f"{HERE}/folder.py", "data")


class Compiled(Bridge):
    words = (f"{BUILD}/bench/folder", "--header")


class Sqlite(Mdbox):
    """backends/sqlite, filled by IMAP, and by the pipe alone. It syncs its file as mail_fsync says."""

    can = Mdbox.can | {"cold"}

    def location(self) -> str:
        return f"bridge:{self.path('state')}"

    def make(self) -> None:
        sync = "off" if self.settings.get("mail_fsync") == "never" else "full"
        backend = f"{ROOT}/backends/sqlite/sqlite"
        self.settings |= {
            "mail_plugins": "bridge",
            "mail_plugin_dir": BUILD,
            "plugin/bridge_command": f"'{backend}' --inline --synchronous {sync} '{self.path('mail.sqlite')}'",
        }
        super().make()


STORAGES: dict[str, tuple[type[Store], dict[str, str]]] = {
    "maildir": (Maildir, {}),
    "mdbox": (Mdbox, {}),
    "imapc": (Imapc, {}),
    "imapc-prefetch": (Imapc, {"mail_prefetch_count": "100"}),
    "bridge-sh": (EmlDir, {}),
    "bridge-py-path": (PythonPath, {}),
    "bridge-py-data": (PythonData, {}),
    "bridge-c": (Compiled, {}),
    "bridge-sqlite": (Sqlite, {}),
}


def make_corpus(folder: str, kind: str, seed: int, count: int, later: int) -> Corpus:
    corpus = Corpus(f"{folder}/corpus", f"{folder}/later", count)
    for path, first, number in ((corpus.folder, 0, count), (corpus.later, count, later)):
        os.makedirs(path)
        subprocess.run([f"{BUILD}/bench/corpus", kind, str(seed), str(first), str(number), path], check=True)
    return corpus


def make_store(name: str, folder: str, corpus: Corpus, fsync: str) -> Store:
    kind, settings = STORAGES[name]
    store = kind(folder, corpus, name, settings=settings | {"mail_fsync": fsync})
    store.make()
    return store
