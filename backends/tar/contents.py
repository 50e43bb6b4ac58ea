"""Which members of an archive are mail, and to which mailbox each belongs.

Folders are mailboxes, as backends/eml-dir has them, but where they are Maildirs, as
backends/maildir has those. What a folder is can be told only when all members are known.
"""

from __future__ import annotations

import binascii
import collections
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from members import Member, Tar, Zip
from names import from_mutf7, mailbox_name, to_mutf7

NAME_MAX = 1024  # bytes of the name of a mailbox,
ID_MAX = 1024  # of an id,
PATH_MAX = 4096  # of a path in an archive
MESSAGE_MAX = (1 << 31) - 1
MESSAGES_MAX = 4_000_000  # the bridge takes no more in a mailbox
KEYWORDS_SIZE = 1 << 16  # of a dovecot-keywords
KINDS_TOLD = 5  # of files, where there is no mail
PLIST_MAX = 1 << 16  # behind the message in an .emlx

Path = tuple[bytes, ...]
Archive = Tar | Zip

SUBS = (b"cur", b"new", b"tmp")
MAIL_NAME = re.compile(rb"\.(?i:eml|emlx)\Z")
INFO = re.compile(rb"(.+?)(?:[:;!]2,([A-Za-z]*))?\Z", re.S)
MAILDIR_NAME = re.compile(rb".*[:;!]2,[A-Za-z]*\Z|[0-9]{9,}\.[^.]+\..", re.S)  # seconds.unique.host
FLAGS = {b"S": b"\\Seen", b"R": b"\\Answered", b"F": b"\\Flagged", b"T": b"\\Deleted", b"D": b"\\Draft"}
EMLX_FLAGS = (b"\\Seen", b"\\Deleted", b"\\Answered", b"", b"\\Flagged", b"", b"\\Draft")
OTHER_FORMATS = {b".mbox": ", which backends/mbox serves", b".pst": " of Outlook", b".msg": " of Outlook"}


@dataclass(slots=True)
class Message:
    """So many bytes of a member, behind the first begin."""

    member: Member
    begin: int
    size: int
    flags: bytes | None = None  # as LIST tells them


Copies = collections.Counter[tuple[Path, bytes]]  # how often a name stood in a folder
Found = dict[Path, dict[bytes, Message]]  # by folder and name; of a Maildir the folder is cur


@dataclass
class Files:
    """What there is, before it is known what it means."""

    mail: list[tuple[Path, bytes, Member]] = field(default_factory=list)  # folder, name: where mail may be
    above: dict[Path, Path] = field(default_factory=dict)  # each folder once, to spare memory
    folders: dict[Path, None] = field(default_factory=dict)
    subs: dict[Path, set[bytes]] = field(default_factory=lambda: collections.defaultdict(set))
    named: set[Path] = field(default_factory=set)  # above files that are called as in a Maildir
    keywords: dict[Path, Member] = field(default_factory=dict)
    others: collections.Counter[bytes] = field(default_factory=collections.Counter)  # by ending
    slash: bool = False
    backslash: bool = False

    def is_maildir(self, path: Path) -> bool:
        """new, cur and tmp are a Maildir together, or with names that only a Maildir has.
        A folder of Maildir++ may lack one."""
        subs = self.subs.get(path, set())
        folder = path[-1:] and path[-1].startswith(b".")
        return path in self.named or len(subs) == len(SUBS) or bool(folder and subs & {b"cur", b"new"})


@dataclass
class Contents:
    boxes: dict[bytes, dict[bytes, Message]]
    others: collections.Counter[bytes]

    def lack(self) -> str:
        """What is there if there is no mail; empty if there is some."""
        if any(self.boxes.values()):
            return ""
        some = self.others.most_common(KINDS_TOLD)
        more = sum(self.others.values()) - sum(n for _, n in some)
        kinds = [
            f"{n} {os.fsdecode(end) or 'other'} file{'s' * (n > 1)}{OTHER_FORMATS.get(end, '')}" for end, n in some
        ] + [f"{more} more"] * bool(more)
        return f"no .eml or .emlx file and no Maildir, but {', '.join(kinds)}" if kinds else "no file at all"


def normal(path: bytes) -> Path | None:
    """None for a path that leads out of the archive."""
    parts = tuple(part for part in path.split(b"/") if part not in (b"", b"."))
    return None if path.startswith(b"/") or b".." in parts else parts


def key_of(path: bytes, parts: Path) -> bytes:
    """A path without what does not matter; the same object where nothing is left out."""
    key = b"/".join(parts)
    return path if key == path else key


def may_be_mail(parts: Path) -> bool:
    if not parts or parts[0] == b"__MACOSX" or parts[-1].startswith(b"."):
        return False
    return bool(MAIL_NAME.search(parts[-1])) or len(parts) > 1 and parts[-2] in SUBS


class Sorter:
    def __init__(self, archive: Archive, warn: Callable[[str], None]) -> None:
        self.archive, self.warn = archive, warn
        self.tick = archive.tick

    def leave_out(self, path: bytes, why: str) -> None:
        self.warn(f"{os.fsdecode(path[:200])} is left out: {why}")

    # --- links ---

    def linked(self) -> Iterator[Member]:
        """The members; a hard link is the file that it leads to, wherever that stands."""
        if not self.archive.has_links:
            yield from self.archive.members()
            return
        known: dict[bytes, Member] = {}
        waiting: list[Member] = []
        for member in self.archive.members():
            if member.link and not self._follow(member, known):
                waiting.append(member)
                continue
            parts = normal(member.path)
            if parts and not member.folder and not member.strange and may_be_mail(parts):
                known[key_of(member.path, parts)] = member
            yield member
        yield from self._late(waiting, known)

    @staticmethod
    def _follow(member: Member, known: dict[bytes, Member]) -> bool:
        parts = normal(member.link)
        target = known.get(key_of(member.link, parts)) if parts else None
        if target is None:
            return False
        member.size, member.place, member.stored, member.link = target.size, target.place, target.stored, b""
        member.date = member.date or target.date
        return True

    def _late(self, waiting: list[Member], known: dict[bytes, Member]) -> Iterator[Member]:
        """Links to what came later, and to what is no mail by its name."""
        for looked in (False, True):
            if looked and waiting:
                wanted = {normal(member.link) for member in waiting}
                for member in self.archive.members():
                    parts = normal(member.path)
                    if parts and parts in wanted and not (member.folder or member.strange or member.link):
                        known[key_of(member.path, parts)] = member
            moved = True
            while moved:
                found = [member for member in waiting if self._follow(member, known)]
                waiting = [member for member in waiting if member.link]
                for member in found:
                    if parts := normal(member.path):
                        known[key_of(member.path, parts)] = member
                moved = bool(found)
                yield from found
        for member in waiting:
            yield Member(member.path, strange="a link to what is not in the archive")

    # --- files ---

    def collect(self, backslashes: bool) -> Files:
        files = Files()
        for member in self.linked():
            self.tick()
            if backslashes:
                member.path = member.path.replace(b"\\", b"/")
            files.slash = files.slash or b"/" in member.path
            files.backslash = files.backslash or b"\\" in member.path
            parts = normal(member.path)
            if parts is None:
                self.leave_out(member.path, "its path leads out of the archive")
            elif len(member.path) > PATH_MAX:
                self.leave_out(member.path, "its path is too long")
            elif parts and parts[0] != b"__MACOSX":
                self._folder(files, parts) if member.folder else self._file(files, parts, member)
        return files

    @staticmethod
    def _folder(files: Files, parts: Path) -> None:
        files.folders[parts] = None
        if parts[-1] in SUBS:
            files.subs[parts[:-1]].add(parts[-1])

    def _file(self, files: Files, parts: Path, member: Member) -> None:
        if len(parts) > 1 and parts[-2] in SUBS:
            files.subs[parts[:-2]].add(parts[-2])
            if MAILDIR_NAME.match(parts[-1]) and not MAIL_NAME.search(parts[-1]):
                files.named.add(parts[:-2])
        if not may_be_mail(parts):
            if parts[-1] == b"dovecot-keywords" and not member.strange:
                files.keywords[parts[:-1]] = member
            else:
                files.others[os.path.splitext(parts[-1])[1].lower()[:20]] += 1
        elif member.strange:
            self.leave_out(member.path, member.strange)
        elif member.size > MESSAGE_MAX:
            self.leave_out(member.path, "it is over 2^31-1 bytes")
        else:
            if len(files.mail) == MESSAGES_MAX:
                raise OSError(f"more than {MESSAGES_MAX} messages")
            home = files.above.setdefault(parts[:-1], parts[:-1])
            files.mail.append((home, parts[-1], member))

    # --- messages ---

    def sort(self) -> Contents:
        files = self.collect(False)
        if files.backslash and not files.slash:  # packed on Windows
            files = self.collect(True)
        found: Found = collections.defaultdict(dict)
        copies: Copies = collections.Counter()
        words = {home: keywords(self.archive.part(item, 0, KEYWORDS_SIZE)) for home, item in files.keywords.items()}
        in_maildirs = True
        files.mail.reverse()  # so that it can become shorter from its end
        while files.mail:
            home, name, member = files.mail.pop()
            self.tick()
            if home and home[-1] in SUBS and files.is_maildir(home[:-1]):
                if home[-1] != b"tmp":
                    folder, known = found[(*home[:-1], b"cur")], words.get(home[:-1], {})
                    self._maildir_message(folder, name, member, known, copies, home[:-1])
            elif not MAIL_NAME.search(name):
                files.others[os.path.splitext(name)[1].lower()[:20]] += 1
            elif not any(part.startswith(b".") for part in home) and (message := self._single(name, member)):
                in_maildirs = False
                self._put(found[home], name, message, copies, home)
        return Contents(self._boxes(files, found, in_maildirs), files.others)

    @staticmethod
    def _put(folder: dict[bytes, Message], name: bytes, message: Message, copies: Copies, home: Path) -> None:
        """Of two members with one path the later counts: that is how tar replaces a file.
        It gets another id, as its bytes are others."""
        if name in folder or (home, name) in copies:
            before = copies[home, name] or 1
            folder.pop(numbered(name, before), None)
            copies[home, name] = before + 1
            name = numbered(name, before + 1)
        folder[name] = message

    def _single(self, name: bytes, member: Member) -> Message | None:
        if not name.lower().endswith(b".emlx"):
            return Message(member, 0, member.size)
        head = re.match(rb"[ \t]*([0-9]{1,10})[ \t]*\r?\n", self.archive.part(member, 0, 64))
        if head is None or head.end() + int(head[1]) > member.size:
            self.leave_out(member.path, "it does not begin as an .emlx")
            return None
        begin, size = head.end(), int(head[1])
        return Message(member, begin, size, emlx_flags(self.archive.part(member, begin + size, PLIST_MAX)))

    @staticmethod
    def _maildir_message(
        folder: dict[bytes, Message], name: bytes, member: Member, words: dict[bytes, bytes], copies: Copies, home: Path
    ) -> None:
        """A base name that stands twice is one message, the later one; two messages if they
        differ in size."""
        match = INFO.match(name)
        if match is None:
            return
        flags, base = None, match[1]
        if match[2] is not None:
            names = FLAGS | words
            flags = b",".join(names[letter] for letter in map(bytes, zip(sorted(set(match[2])))) if letter in names)
        if base in folder and folder[base].size != member.size:
            copies[home, base] += 1
            base = numbered(base, copies[home, base] + 1)
        folder[base] = Message(member, 0, member.size, flags)

    # --- mailboxes ---

    def _boxes(self, files: Files, found: Found, in_maildirs: bool) -> dict[bytes, dict[bytes, Message]]:
        homes = [path for path in files.subs if files.is_maildir(path)]
        maildirs = [name for path in homes if (name := maildir_name(path)) is not None]
        base = os.path.commonprefix([list(name) for name in maildirs]) if maildirs and in_maildirs else []
        boxes: dict[bytes, dict[bytes, Message]] = {b"INBOX": {}}
        for name in [*maildirs, *plain_folders(files)]:
            if name[: len(base)] == tuple(base):
                boxes.setdefault(box_name(name[len(base) :]), {})
        rooms: dict[bytes, list[Path]] = collections.defaultdict(list)
        for home in found:
            folder = maildir_name(home[:-1]) if files.is_maildir(home[:-1]) and home[-1:] == (b"cur",) else home
            if folder is not None:
                rooms[box_name(folder[len(base) :])].append(home)
        for box, origins in rooms.items():
            boxes[box] = found[origins[0]] if len(origins) == 1 else merged(origins, found)
        for box, mail in boxes.items():
            self._shorten(box, mail)
        return {box: mail for box, mail in boxes.items() if len(box) <= NAME_MAX}

    def _shorten(self, box: bytes, mail: dict[bytes, Message]) -> None:
        """Takes out what cannot be asked for."""
        for name in [name for name in mail if len(name) > ID_MAX or len(box) > NAME_MAX]:
            self.leave_out(mail.pop(name).member.path, "its name is too long")


def box_name(folder: Path) -> bytes:
    if not folder or folder[0].upper() == b"INBOX":
        folder = (b"INBOX", *folder[1:])
    return mailbox_name(b"/".join(folder))


def merged(origins: list[Path], found: Found) -> dict[bytes, Message]:
    """A mailbox of several folders, as the top and the folder INBOX are. A name that two
    have is an id of the one with the shorter path alone; the other's id is its path. So ids
    do not depend on the order of the archive."""
    mail: dict[bytes, Message] = {}
    for origin in sorted(origins, key=lambda path: (len(path), path)):
        for name, message in found[origin].items():
            if name in mail:
                name = b"/".join((*origin, name))
            while name in mail:
                name += b"#"
            mail[name] = message
    return dict(sorted(mail.items(), key=lambda item: item[1].member.place))


def numbered(name: bytes, version: int) -> bytes:
    return name if version == 1 else b"%s#%d" % (name, version)


def maildir_name(path: Path) -> Path | None:
    """Of a Maildir; None if it is hidden."""
    if any(part.startswith(b".") for part in path[:-1]):
        return None
    parts = path if not path or not path[-1].startswith(b".") else (*path[:-1], *path[-1].split(b"."))
    return tuple(plain_name(part) for part in parts if part)


def plain_name(part: bytes) -> bytes:
    """Of a part of a folder's name in Maildir++, as backends/maildir has it: escapes for
    what cannot stand there, and modified UTF-7. What is not written so stays as it is."""
    try:
        text = re.sub(r"\\([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), part.decode())
        name = from_mutf7(text)
        if to_mutf7(name) == text and "/" not in name and name not in ("", ".", ".."):
            return name.encode()
    except (UnicodeError, binascii.Error):
        pass
    return part


def plain_folders(files: Files) -> Iterator[Path]:
    """The folders that are mailboxes even if nothing is in them."""
    above = {path[:n] for path in files.subs if files.is_maildir(path) for n in range(len(path) + 1)}
    for path in files.folders:
        if path in above or path[-1] in SUBS and path[:-1] in above and files.is_maildir(path[:-1]):
            continue
        if not any(part.startswith(b".") for part in path):
            yield path


def keywords(text: bytes) -> dict[bytes, bytes]:
    """dovecot-keywords: a line "NUMBER KEYWORD" for each letter, 0 is "a"."""
    words: dict[bytes, bytes] = {}
    for number, word in re.findall(rb"^([0-9]{1,2}) ([^\x00-\x20\x7f]+)$", text, re.M):
        if int(number) < 26:
            words.setdefault(bytes([ord("a") + int(number)]), word.replace(b"%", b"%25").replace(b",", b"%2C"))
    return words


def emlx_flags(plist: bytes) -> bytes | None:
    match = re.search(rb"<key>flags</key>\s*<integer>([0-9]{1,18})</integer>", plist)
    if match is None:
        return None
    return b",".join(name for bit, name in enumerate(EMLX_FLAGS) if name and int(match[1]) >> bit & 1)
