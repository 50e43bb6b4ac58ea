#!/usr/bin/python3
"""folder.py path|data DIR LOG: the files of DIR as the INBOX, in Python.

As folder.c, which says what LOG is. Messages are answered with paths or with their
bytes; with `data`, headers that are asked for alone are answered alone.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator

HEADER_MAX = 65536  # of a message whose header is answered alone
NAME = re.compile(rb"(\d+)\.\d+\.bench,S=(\d+),W=(\d+),")


def item(name: bytes) -> bytes:
    if match := NAME.match(name):
        date, size, crlf_size = match.groups()
        return b"* MSG %b size=%b vsize=%b date=%b\n" % (name, size, crlf_size, date)
    return b"* MSG %b\n" % name


def list_box(folder: bytes, log: bytes, state: bytes) -> Iterator[bytes]:
    """Written as it is made, so that the bridge has something to do meanwhile."""
    with open(log, "rb") as file:
        length = file.seek(0, os.SEEK_END)  # before the list is read
        if state.isdigit() and int(state) <= length:
            file.seek(int(state))
            changes = file.read(length - int(state)).splitlines()
            for line in changes:
                yield item(line[1:]) if line[:1] == b"+" else b"* GONE %b\n" % line[1:]
            yield b"OK delta state=%d\n" % length
            return
    names = [name for name in os.listdir(folder) if name[:1] != b"."]
    names.sort()
    yield from map(item, names)
    yield b"OK full state=%d count=%d\n" % (length, len(names))


def path_of(folder: bytes, _want: bytes, name: bytes) -> list[bytes]:
    path = folder + b"/" + name
    return [b"* FILE %b %b\n" % (name, path) if os.path.exists(path) else b"* GONE %b\n" % name]


def data_of(folder: bytes, want: bytes, name: bytes) -> list[bytes]:
    try:
        with open(folder + b"/" + name, "rb", buffering=0) as file:
            if want.startswith(b"header"):
                text = file.read(HEADER_MAX)
                if (end := text.find(b"\n\n") + 2) >= 2:
                    return [b"* DATA %b %d part=header\n" % (name, end), text[:end]]
                file.seek(0)
            text = file.readall()
            return [b"* DATA %b %d\n" % (name, len(text)), text]
    except FileNotFoundError:
        return [b"* GONE %b\n" % name]


def main() -> None:
    kind, folder, log = sys.argv[1], *map(os.fsencode, sys.argv[2:4])
    answer = {"path": path_of, "data": data_of}[kind]
    for line in sys.stdin.buffer:
        reply: Iterable[bytes]
        match line.split():
            case [b"CAPS", *_]:
                reply = [b"* CAPS 1 delta batch=100 pipeline=16\n", b"OK\n"]
            case [b"LIST"]:
                reply = [b"* BOX INBOX\n", b"OK full\n"]
            case [b"LIST", b"INBOX", *state]:
                reply = list_box(folder, log, b"".join(state))
            case [b"FETCH", b"INBOX", want, *names]:
                for name in names:
                    sys.stdout.buffer.writelines(answer(folder, want, name))
                reply = [b"OK\n"]
            case [b"LIST" | b"FETCH", *_]:
                reply = [b"NO NOTFOUND there is only INBOX\n"]
            case _:
                reply = [b"NO UNSUPPORTED\n"]
        sys.stdout.buffer.writelines(reply)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
