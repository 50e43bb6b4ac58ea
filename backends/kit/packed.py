"""A compressed file as a text that can be read at any place.

It is decompressed forward. What was read last stays in a window, of which a process has
one: an unlinked file of at most WINDOW bytes, or a few in memory where there is no room.
So who goes back little by little, as a mail program does that shows the newest first,
decompresses from the beginning once for each window, not once for each message.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol

BLOCK = 1 << 20  # bytes
WINDOW = 1 << 30
MEMORY = 32 << 20
FREE_SHARE = 4  # a window takes no more than this part of what is free on the disk
DECODER_MAX = 512 << 20  # bytes of memory that a compressed file may ask for

MAGIC = ((b"\x1f\x8b", "gz"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bz2"), (b"\x28\xb5\x2f\xfd", "zst"))
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, MemoryError)


def kind_of(file: IO[bytes]) -> str | None:
    """How a file is compressed, if it is."""
    head = os.pread(file.fileno(), 6, 0)
    return next((kind for magic, kind in MAGIC if head.startswith(magic)), None)


class Reader(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Xz:
    """As lzma.LZMAFile, but it takes no more memory than DECODER_MAX."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.data = file, b""
        self.decoder: lzma.LZMADecompressor | None = None
        self.streams = 0

    def read(self, size: int = -1, /) -> bytes:
        while True:
            if self.decoder is None and not self._next_stream():
                return b""
            assert self.decoder is not None
            if self.decoder.needs_input and not self.data:
                self.data = self.file.read(1 << 16)
                if not self.data:
                    raise EOFError("it ends in the middle of a stream")
            text, self.data = self.decoder.decompress(self.data, size), b""
            if self.decoder.eof:
                self.data, self.decoder = self.decoder.unused_data, None
            if text:
                return text

    def _next_stream(self) -> bool:
        self.data = self.data.lstrip(b"\0")  # padding
        while not self.data and (more := self.file.read(1 << 16)):
            self.data = more.lstrip(b"\0") if self.streams else more
        self.streams += 1
        if self.data:
            self.decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_MAX)
        return bool(self.data)


class Zstd:
    """`zstd -dc` as a stream; its end is believed only when its status is 0."""

    def __init__(self, file: IO[bytes]) -> None:
        program = shutil.which("zstd")
        if program is None:
            raise OSError("the program zstd is needed to read this file")
        memory = f"--memory={DECODER_MAX >> 20}MB"
        self.process = subprocess.Popen(
            [program, "-dcq", memory], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def read(self, size: int = -1, /) -> bytes:
        assert self.process.stdout is not None and self.process.stderr is not None
        data = self.process.stdout.read(size)
        if not data and self.process.wait() != 0:
            raise EOFError(self.process.stderr.read(200).decode(errors="replace").strip() or "zstd failed")
        return data

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


OPENERS: dict[str, Callable[[IO[bytes]], Reader]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file), "bz2": bz2.BZ2File, "xz": Xz, "zst": Zstd,
}  # fmt: skip


class Window:
    """The last blocks of one text, by their numbers."""

    def __init__(self) -> None:
        self.owner: Packed | None = None
        self.slots = 0
        self.file: IO[bytes] | None = None
        self.kept: dict[int, bytes] = {}

    def take(self, owner: Packed) -> None:
        if self.owner is owner:
            return
        if self.owner:
            self.owner.first = self.owner.next
        if not self.slots:
            self._make()
        self.owner = owner
        self.kept.clear()

    def _make(self) -> None:
        self.slots = MEMORY // BLOCK
        try:
            self.file = tempfile.TemporaryFile(dir=os.environ.get("BRIDGE_TMP"), buffering=0)
            disk = os.fstatvfs(self.file.fileno())
            self.slots = max(self.slots, min(WINDOW, disk.f_bavail * disk.f_frsize // FREE_SHARE) // BLOCK)
        except OSError:
            self.file = None

    def put(self, number: int, block: bytes) -> int:
        """Returns the number of the oldest block that is still there."""
        if self.file:
            try:
                if os.pwrite(self.file.fileno(), block, number % self.slots * BLOCK) == len(block):
                    return max(0, number - self.slots + 1)
            except OSError:
                pass
            self.file.close()  # no room
            self.file, self.slots = None, MEMORY // BLOCK
        self.kept.pop(number - self.slots, None)
        self.kept[number] = block
        return min(self.kept)

    def get(self, number: int, size: int) -> bytes:
        if self.file:
            return os.pread(self.file.fileno(), size, number % self.slots * BLOCK)
        return self.kept[number]


window = Window()


class Packed:
    """The text of a compressed file. tick is called in all long work."""

    def __init__(self, file: IO[bytes], kind: str, tick: Callable[[], None]) -> None:
        self.file, self.kind, self.tick = file, kind, tick
        self.stream: Reader | None = None
        self.first = self.next = 0  # blocks that the window has, and the one that comes
        self.size: int | None = None  # once the end was seen
        self.last = (-1, b"")  # the block that was read last, and its number

    def _rewind(self) -> None:
        self.end_stream()
        self.file.seek(0)
        window.kept.clear()
        self.first = self.next = 0
        self.size, self.last = None, (-1, b"")
        self.stream = OPENERS[self.kind](self.file)

    def end_stream(self) -> None:
        if isinstance(self.stream, Zstd):
            self.stream.close()
        self.stream = None

    def close(self) -> None:
        self.end_stream()
        self.file.close()
        if window.owner is self:
            window.owner = None

    def _more(self) -> None:
        assert self.stream is not None
        parts, missing = [], BLOCK
        try:
            while missing and (part := self.stream.read(missing)):
                self.tick()
                parts.append(part)
                missing -= len(part)
        except DAMAGE as error:
            raise OSError(f"damaged, or cut short: {error or type(error).__name__}") from error
        if missing:
            self.size = self.next * BLOCK + BLOCK - missing
        if missing < BLOCK:
            self.first = max(self.first, window.put(self.next, b"".join(parts)))
            self.next += 1

    def _block(self, number: int) -> bytes:
        if self.last[0] == number:
            return self.last[1]
        window.take(self)
        if self.stream is None or number < self.first:
            self._rewind()
        while number >= self.next and self.size is None:
            self._more()
        if number >= self.next:
            return b""
        length = BLOCK if self.size is None else min(BLOCK, self.size - number * BLOCK)
        self.last = number, window.get(number, length)
        return self.last[1]

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        """Those bytes, as far as they are there."""
        upto = offset + length
        while offset < upto:
            self.tick()
            number, place = divmod(offset, BLOCK)
            piece = self._block(number)[place : place + upto - offset]
            if not piece:
                return
            yield piece
            offset += len(piece)

    def read(self, offset: int, length: int) -> bytes:
        return b"".join(self.pieces(offset, length))

    def all(self) -> Iterator[bytes]:
        """From the beginning to the end; what is read elsewhere meanwhile does no harm."""
        number = 0
        while block := self._block(number):
            yield block
            number += 1

    def length(self) -> int:
        """Of the whole text, which is read to its end for that: so it is not damaged."""
        while self.size is None:
            window.take(self)
            if self.stream is None:
                self._rewind()
            self._more()
        return self.size

    def reach(self) -> int:
        """How far ahead one can look and come back without beginning anew."""
        window.take(self)
        return window.slots * BLOCK // 2
