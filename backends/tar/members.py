"""What an archive holds, member by member, and the bytes of each.

Nothing that an archive claims is believed before it is there: a size is where to look for
the next member, no reason to take memory.
"""

from __future__ import annotations

import calendar
import contextlib
import lzma
import os
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "kit"))

from packed import BLOCK, DECODER_MAX, Packed, kind_of  # noqa: E402

HEADERS_MAX = 1 << 20  # bytes of extended headers before a member, and of all global ones
CHAIN_MAX = 16  # of them before a member
SPARSE_MAX = 1_000  # blocks that a sparse file may describe itself with
DATE_MAX = 253_402_300_800  # the year 10000
EXTENDED = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
DAMAGE = (
    EOFError, ValueError, OverflowError, IndexError, NotImplementedError, zlib.error, lzma.LZMAError,
    struct.error, tarfile.TarError, zipfile.BadZipFile, MemoryError, RecursionError,
)  # fmt: skip


@dataclass(slots=True)
class Member:
    """A file or folder. place is where its data, in a zip its header, begins."""

    path: bytes
    size: int = 0
    date: int = 0
    place: int = 0
    stored: bool = False  # its bytes stand in the archive as they are
    folder: bool = False
    link: bytes = b""  # the path of the member whose bytes it has
    strange: str = ""  # why it cannot be read
    info: zipfile.ZipInfo | None = None


class Header(tarfile.TarInfo):
    """tarfile takes a broken header behind the first for the end of the archive, and what
    an extended header claims for memory that it may have."""

    @classmethod
    def fromtarfile(cls, tar: Any) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(tar)
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from None

    def _proc_member(self, tar: Any) -> tarfile.TarInfo:
        if self.type in EXTENDED:
            tar.chain += 1
            tar.claimed += self.size
            tar.globals += self.size if self.type == tarfile.XGLTYPE else 0
            if self.size < 0 or tar.chain > CHAIN_MAX or max(tar.claimed, tar.globals) > HEADERS_MAX:
                raise tarfile.ReadError("the header of a member is larger than any should be")
        return super()._proc_member(tar)  # type: ignore[misc,no-any-return]

    # Sparse files are left out: what of them is where does not matter.
    def _proc_sparse(self, tar: Any) -> tarfile.TarInfo:
        more = self._sparse_structs[1]  # type: ignore[attr-defined]
        self.sparse: list[tuple[int, int]] = []
        for _ in range(SPARSE_MAX):
            if not more:
                break
            more = bool(tar.fileobj.read(tarfile.BLOCKSIZE)[504])
        else:
            raise tarfile.ReadError("a sparse file in more pieces than any should have")
        self.offset_data = tar.fileobj.tell()
        tar.offset = self.offset_data + self._block(self.size)  # type: ignore[attr-defined]
        return self

    def _proc_gnusparse_10(self, following: Any, *_: Any) -> None:
        following.sparse = []


class Reader(tarfile.TarFile):
    chain = claimed = globals = 0

    def next(self) -> tarfile.TarInfo | None:
        self.chain = self.claimed = 0
        return super().next()


class Text:
    """What of a file tarfile needs, of a compressed one."""

    def __init__(self, packed: Packed) -> None:
        self.packed, self.at = packed, 0

    def read(self, size: int) -> bytes:
        data = self.packed.read(self.at, size)
        self.at += len(data)
        return data

    def seek(self, place: int) -> None:
        self.at = place

    def tell(self) -> int:
        return self.at


class Tar:
    """A tar, compressed or not."""

    has_links = True

    def __init__(self, file: IO[bytes], kind: str | None, tick: Callable[[], None]) -> None:
        self.file, self.tick = file, tick
        self.packed = Packed(file, kind, tick) if kind else None

    def head(self) -> bytes:
        return self._read(0, tarfile.BLOCKSIZE)

    def close(self) -> None:
        if self.packed:
            self.packed.close()
        self.file.close()

    def members(self) -> Iterator[Member]:
        text: Any = Text(self.packed) if self.packed else self.file
        text.seek(0)
        with Reader(fileobj=text, mode="r", encoding="utf-8", errors="surrogateescape", tarinfo=Header) as tar:
            at = -1
            while (item := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # or they would stay in memory
                if item.size < 0 or tar.offset <= at:
                    raise tarfile.ReadError("a member before the one before it")
                at = tar.offset
                yield self._member(item)
            end = tar.offset
        # tarfile takes a cut for the end, too
        if self._read(end, tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end of archive")
        if self.packed:
            self.packed.length()

    def _member(self, item: tarfile.TarInfo) -> Member:
        path = item.name.encode(errors="surrogateescape")
        date = int(item.mtime) if 0 < item.mtime < DATE_MAX else 0
        if item.isdir():
            return Member(path, folder=True)
        if item.islnk():
            return Member(path, date=date, link=item.linkname.encode(errors="surrogateescape"))
        if item.issparse() or not item.isreg():
            return Member(path, strange="not a plain file (a link, a device, sparse)")
        return Member(path, item.size, date, item.offset_data, not self.packed)

    def _read(self, begin: int, length: int) -> bytes:
        return self.packed.read(begin, length) if self.packed else os.pread(self.file.fileno(), length, begin)

    def slice(self, member: Member) -> tuple[int, int] | None:
        return (member.place, member.size) if member.stored else None

    def pieces(self, member: Member) -> Iterator[bytes]:
        left, at = member.size, member.place
        while left and (block := self._read(at, min(BLOCK, left))):
            self.tick()
            left, at = left - len(block), at + len(block)
            yield block

    def part(self, member: Member, begin: int, length: int) -> bytes:
        return self._read(member.place + begin, max(0, min(member.size - begin, length)))


class Zip:
    has_links = False

    def __init__(self, file: IO[bytes], tick: Callable[[], None]) -> None:
        self.file, self.tick = file, tick
        self.zip = zipfile.ZipFile(file)

    def close(self) -> None:
        self.file.close()

    def members(self) -> Iterator[Member]:
        for item in self.zip.infolist():
            path = self._path(item)
            kind = stat.S_IFMT(item.external_attr >> 16)
            if path.endswith(b"/"):
                yield Member(path, folder=True)
            elif item.flag_bits & 1:
                yield Member(path, strange="it is encrypted")
            elif kind not in (0, stat.S_IFREG):
                yield Member(path, strange="not a plain file (a link, a device)")
            else:
                stored = item.compress_type == zipfile.ZIP_STORED and item.compress_size == item.file_size
                yield Member(path, item.file_size, self._date(item), item.header_offset, stored, info=item)

    @staticmethod
    def _path(item: zipfile.ZipInfo) -> bytes:
        name = item.filename.encode(errors="surrogateescape")
        if not item.flag_bits & 0x800:
            # most that say cp437 mean UTF-8
            with contextlib.suppress(UnicodeError):
                raw = item.filename.encode("cp437")
                raw.decode()
                name = raw
        # made by MS-DOS, or by NTFS: there a backslash is no part of a name
        return name.replace(b"\\", b"/") if item.create_system in (0, 10, 11) else name

    @staticmethod
    def _date(item: zipfile.ZipInfo) -> int:
        extra = item.extra
        while len(extra) >= 4:
            kind, length = struct.unpack_from("<HH", extra)
            if kind == 0x5455 and length >= 5 and len(extra) >= 9 and extra[4] & 1:
                return int(struct.unpack_from("<i", extra, 5)[0])
            extra = extra[4 + length :]
        try:
            return calendar.timegm((*item.date_time, 0, 0, 0))
        except (ValueError, OverflowError):
            return 0

    def _data(self, member: Member) -> int:
        """Where the data of a member begins."""
        header = os.pread(self.file.fileno(), 30, member.place)
        if len(header) < 30 or header[:4] != b"PK\3\4":
            raise zipfile.BadZipFile("no header where a member should begin")
        name, extra = struct.unpack_from("<HH", header, 26)
        return member.place + 30 + int(name) + int(extra)

    def slice(self, member: Member) -> tuple[int, int] | None:
        if not member.stored:
            return None
        begin = self._data(member)
        if begin + member.size > os.fstat(self.file.fileno()).st_size:
            raise zipfile.BadZipFile("a member goes beyond the end")
        return begin, member.size

    def pieces(self, member: Member) -> Iterator[bytes]:
        assert member.info is not None
        if member.info.compress_type == zipfile.ZIP_LZMA:
            claim = os.pread(self.file.fileno(), 9, self._data(member))[5:]
            if int.from_bytes(claim, "little") > DECODER_MAX:
                raise zipfile.BadZipFile("a member needs too much memory to be decompressed")
        with self.zip.open(member.info) as data:
            while block := data.read(BLOCK):
                self.tick()
                yield block

    def part(self, member: Member, begin: int, length: int) -> bytes:
        found, at = b"", 0
        for piece in self.pieces(member):
            found += piece[max(0, begin - at) : max(0, begin + length - at)]
            at += len(piece)
            if at >= begin + length:
                break
        return found


def open_archive(file: IO[bytes], tick: Callable[[], None]) -> Tar | Zip:
    head = os.pread(file.fileno(), 4, 0)
    return Zip(file, tick) if head in (b"PK\3\4", b"PK\5\6") else Tar(file, kind_of(file), tick)


def is_archive(file: IO[bytes], tick: Callable[[], None]) -> bool:
    head = os.pread(file.fileno(), 2, 0)
    if head == b"PK" or not head:
        return bool(head)
    tar = Tar(file, kind_of(file), tick)
    try:
        tarfile.TarInfo.frombuf(tar.head(), "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return True
    except tarfile.HeaderError:
        return False
    except (OSError, *DAMAGE):
        return True  # reading it will say what is wrong
    finally:
        if tar.packed:
            tar.packed.end_stream()
    return True
