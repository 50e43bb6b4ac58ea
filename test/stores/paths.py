#!/usr/bin/python3
"""paths.py DIR: a backend that names odd files in its replies, one for each message;
DIR is a folder to make them in, which need not be there.

    paths.py --list     the messages, one a line: ID, then "refused" if no client may get
                        it, "whole" if it must be as it was when it was named, "own" if
                        it is what the user may read anyway, by an odd way

For each there is a mailbox of the same name with the message in it, so that one can be
tried without the others.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable

GOOD = b"Subject: good\n\nThe text of good\n"
BAD = b"Subject: stolen\n\nSECRET\n"
SWAPS = 2000  # of what a name means, while it is opened


def write(path: str, data: bytes = GOOD) -> str:
    with open(path, "wb") as file:
        file.write(data)
    return path


def made(make: Callable[[str], object]) -> Callable[[str], str]:
    """make(path) makes what is named."""

    def case(path: str) -> str:
        make(path)
        return path

    return case


def link_to(target: str) -> Callable[[str], str]:
    return made(lambda path: os.symlink(target, path))


def middle_link(path: str) -> str:
    os.mkdir(path + ".dir")
    write(path + ".dir/mail")
    os.symlink(path + ".dir", path)
    return path + "/mail"


def sock(path: str) -> str:
    socket.socket(socket.AF_UNIX).bind(path)
    return path


def hard_link(path: str) -> str:
    os.link(write(path + ".other"), path)
    return path


def deleted(path: str) -> str:
    os.unlink(write(path))
    return path


def open_but_deleted(path: str) -> str:
    fd = os.open(write(path), os.O_RDONLY)
    os.unlink(path)
    return f"/proc/{os.getpid()}/fd/{fd}"


def huge(path: str) -> str:
    os.truncate(write(path), 1 << 40)
    return path


def no_rights(path: str) -> str:
    os.chmod(write(path, BAD), 0)
    return path


def swapped(kind: Callable[[str], object]) -> Callable[[str], str]:
    """The name is a good file's and another's in turns, as fast as they can."""

    def swap(path: str) -> None:
        for _ in range(SWAPS):
            for what in (".good", ".odd"):
                try:
                    os.link(path + what, path + ".new", follow_symlinks=False)
                    os.rename(path + ".new", path)
                    os.path.exists(path + ".new") and os.unlink(path + ".new")
                except OSError:
                    pass

    def case(path: str) -> str:
        write(path + ".good")
        write(path)
        kind(path + ".odd")
        threading.Thread(target=swap, args=(path,), daemon=True).start()
        return path

    return case


def in_tmp(name: str) -> Callable[[str], str]:
    """BRIDGE_TMP/out leads to a folder elsewhere."""

    def case(path: str) -> str:
        tmp = os.environ["BRIDGE_TMP"]
        write(path)
        if not os.path.lexists(f"{tmp}/out"):
            os.symlink(os.path.dirname(path), f"{tmp}/out")
        return name.format(tmp=tmp, name=os.path.basename(tmp), base=os.path.basename(path))

    return case


CASES: dict[str, tuple[str, Callable[[str], str]]] = {
    "fifo": ("refused", made(os.mkfifo)),
    "folder": ("refused", made(os.mkdir)),
    "socket": ("refused", sock),
    "link": ("refused", lambda path: link_to(write(path + ".other"))(path)),
    "link-to-itself": ("refused", lambda path: link_to(path)(path)),
    "link-to-nowhere": ("refused", link_to("/nonexistent")),
    "link-to-passwd": ("refused", link_to("/etc/passwd")),
    "link-in-the-middle": ("own", middle_link),
    "hard-link": ("own", hard_link),
    "no-rights": ("refused", no_rights),
    "deleted": ("refused", deleted),
    "open-but-deleted": ("refused", open_but_deleted),
    "huge-and-empty": ("refused", huge),
    "through-a-file": ("refused", lambda path: write(path) + "/x"),
    "slash-at-the-end": ("refused", lambda path: write(path) + "/"),
    "dots": ("own", lambda path: os.path.dirname(write(path)) + "/../" + "/".join(path.split("/")[-2:])),
    "very-long": ("refused", lambda path: "/" + "x/" * 3000 + "x"),
    "long-component": ("refused", lambda path: "/tmp/" + "x" * 300),
    "root": ("refused", lambda path: "/"),
    "dev-zero": ("refused", lambda path: "/dev/zero"),
    "dev-tty": ("refused", lambda path: "/dev/tty"),
    "dev-stdin": ("refused", lambda path: "/dev/stdin"),
    "dev-fd": ("refused", lambda path: "/dev/fd/0"),
    "proc-environ": ("refused", lambda path: "/proc/self/environ"),
    "proc-mem": ("refused", lambda path: "/proc/self/mem"),
    "proc-maps": ("refused", lambda path: "/proc/self/maps"),
    "proc-exe": ("refused", lambda path: "/proc/self/exe"),
    "proc-cwd": ("refused", lambda path: "/proc/self/cwd"),
    "proc-version": ("refused", lambda path: "/proc/version"),
    "sys": ("refused", lambda path: "/sys/kernel/uevent_seqnum"),
    "shadow": ("refused", lambda path: "/etc/shadow"),
    "swapped-with-link": ("whole", swapped(lambda path: os.symlink(write(path + "2", BAD), path))),
    "swapped-with-fifo": ("whole", swapped(os.mkfifo)),
    "swapped-with-longer": ("whole", swapped(lambda path: write(path, GOOD * 1000))),
    "tmp-dots": ("own", in_tmp("{tmp}/../{name}/out/{base}")),
    "tmp-link": ("own", in_tmp("{tmp}/out/{base}")),
}


def encode(path: str) -> str:
    return path.replace("%", "%25").replace(" ", "%20").replace("\n", "%0A")


def main() -> None:
    if sys.argv[1] == "--list":
        for name, (fate, _) in CASES.items():
            print(name, fate)
        return
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for line in sys.stdin:
        verb, *words = line.split()
        reply: list[str] = ["NO UNSUPPORTED"]
        if verb == "CAPS":
            reply = ["* CAPS 1", "OK"]
        elif verb == "LIST" and not words:
            reply = ["* BOX INBOX", *(f"* BOX {name}" for name in CASES), "OK full"]
        elif verb == "LIST":
            reply = [] if words[0] == "INBOX" else [f"* MSG {words[0]}"]
            reply.append("OK full")
        elif verb == "FETCH":
            path = os.path.join(folder, f"{words[2]}.{os.getpid()}.{os.urandom(4).hex()}")
            reply = [f"* FILE {words[2]} {encode(CASES[words[2]][1](path))}", "OK"]
        print(*reply, sep="\n", flush=True)


main()
