"""What is measured: groups of rows, each a function that plays sessions on a store
and records what the commands cost.

A session is a process of its own, which starts the backend, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from session import Cost
from storages import Store

Record = Callable[[str, Cost], None]

ENVELOPE = "FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE)"
DELIVERED = 10
APPENDED = {"multi": 2000, "one": 500}
COPIED = 1000
GROWTH_SIZES = 1000, 100_000
GROWTH_SESSIONS = 5
VSZ_LIMIT_BYTES = 256 << 20  # Dovecot's default_vsz_limit


@dataclass(frozen=True)
class Group:
    """`needs` is what a store must be able to do (Store.can)."""

    play: Callable[..., None]
    text: str
    needs: str = ""
    bodies: bool = False
    kind: str = ""  # of the corpus; "" = as the size has it
    sizes: tuple[int, ...] = ()  # of the stores it is played on; () = one of the size chosen
    once: bool = False
    default: bool = True


def play_open(store: Store, record: Record) -> None:
    if "cold" in store.can:
        store.forget()
        with store.session() as session:
            record("open.cold", session.run("SELECT INBOX"))
    with store.session() as session:
        record("reopen.new-session", session.run("SELECT INBOX"))
        record("reopen.same-session", session.run("SELECT INBOX"))
        record("fetch.uid-flags", session.run("FETCH 1:* (UID FLAGS)"))


def play_limit(store: Store, record: Record) -> None:
    store.forget()
    with store.session(memory_bytes=VSZ_LIMIT_BYTES) as session:
        record("open.cold.256M", session.run("SELECT INBOX"))


def play_delta(store: Store, record: Record) -> None:
    with store.session() as session:
        session.run("SELECT INBOX")
        store.deliver()
        record("reopen.10new", session.run("SELECT INBOX"))
    store.take_back()
    store.settle()


def play_fetch(store: Store, record: Record) -> None:
    store.forget_cache()
    with store.session() as session:
        session.run("SELECT INBOX")
        record("fetch.envelope.cold", session.run(ENVELOPE))
    with store.session() as session:
        session.run("SELECT INBOX")
        record("fetch.envelope.warm", session.run(ENVELOPE))
        record("fetch.header", session.run("FETCH 1:* BODY.PEEK[HEADER]"))
        record("fetch.body", session.run("FETCH 1:* BODY.PEEK[]"))


def play_search(store: Store, record: Record) -> None:
    with store.session() as session:
        session.run("SELECT INBOX")
        record("search.text", session.run('SEARCH TEXT "zzqqxx"'))


def play_start(store: Store, record: Record) -> None:
    with store.session() as session:
        select = session.run("SELECT INBOX")
        fetch = session.run(f"FETCH {min(100, store.corpus.count)} BODY.PEEK[]")
        record("start.greeting", session.greeting)
        record("start.fetch1", session.greeting + select + fetch)


def play_growth(small: Store, store: Store, record: Record) -> None:
    for _ in range(GROWTH_SESSIONS):
        costs = []
        for each in (small, store):
            with each.session() as session:
                costs.append(session.run("SELECT INBOX"))
        record("reopen.growth", costs[1] - costs[0])


def play_memory(store: Store, record: Record) -> None:
    costs = []
    for last in (2, store.corpus.count):
        with store.session() as session:
            session.run("SELECT INBOX")
            costs.append(session.run(f"FETCH 1:{last} BODY.PEEK[]"))
            record(f"memory.{last}", costs[-1])
    record("memory.growth", costs[1] - costs[0])


def play_store(store: Store, record: Record) -> None:
    with store.session() as session:
        session.run("SELECT INBOX")
        record("store.all", session.run("STORE 1:* +FLAGS (\\Flagged)"))
        session.run("STORE 1:* -FLAGS.SILENT (\\Flagged)")
        record("store.one", session.run("STORE 5 +FLAGS (\\Flagged)"))
        session.run("STORE 5 -FLAGS.SILENT (\\Flagged)")
    store.settle()


def play_append(store: Store, record: Record) -> None:
    with store.session() as session:
        for mode, most in APPENDED.items():
            session.run("CREATE A", may_fail=True)
            count = min(most, store.corpus.count)
            record(f"append.{mode}.{count}", session.append("A", mode, 0, count, store.corpus.folder))
            session.run("DELETE A")


def play_copy(store: Store, record: Record) -> None:
    count = min(COPIED, store.corpus.count)
    with store.session() as session:
        for name in ("C1", "C2"):
            session.run(f"CREATE {name}")
        session.run("SELECT INBOX")
        record(f"copy.{count}", session.run(f"COPY 1:{count} C1"))
        session.run("SELECT C1")
        record(f"move.{count}", session.run(f"MOVE 1:{count} C2"))
        session.run("CLOSE")
        for name in ("C1", "C2"):
            session.run(f"DELETE {name}")


GROUPS = {
    "open": Group(play_open, "SELECT: cold (nothing of Dovecot's or the bridge's is there), again, and flags"),
    "limit": Group(play_limit, "SELECT, cold, in 256 MB of address space, backend included", needs="cold"),
    "delta": Group(play_delta, "SELECT again after 10 messages came"),
    "fetch": Group(
        play_fetch,
        "all messages; envelope.cold without dovecot.index.cache, envelope.warm in the session after",
        bodies=True,
    ),
    "search": Group(play_search, "SEARCH TEXT for what is nowhere", bodies=True),
    "start": Group(play_start, "a new process to its greeting, and to the first message", bodies=True),
    "growth": Group(
        play_growth,
        "SELECT, unchanged, in a new session: at 100k less at 1k, small messages; no ratio",
        kind="small",
        sizes=GROWTH_SIZES,
    ),
    "memory": Group(
        play_memory,
        "2 and 200 messages of 10 MB; not mdbox, which would need 2 GB of its own",
        needs="cold",
        bodies=True,
        kind="large",
        sizes=(200,),
        once=True,
    ),
    # those that change the store; "append" and "copy" where a storage can
    "store": Group(play_store, "flags, of all and of one", needs="store", default=False),
    "append": Group(play_append, "APPEND, in one command and one by one", needs="append", bodies=True, default=False),
    "copy": Group(play_copy, "COPY and MOVE", needs="copy", bodies=True, default=False),
}

# Differences that are about nothing in most storages: shown as they are, not as ratios.
ABSOLUTE = {"reopen.growth"}
