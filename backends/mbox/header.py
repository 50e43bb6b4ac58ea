"""What mail programs keep in the header of a message: flags, keywords, counters.

They write it anew whenever they like, and the message is still the same. So these fields
are not part of what is served, as in Dovecot's own mbox, nor of a message's id.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX = 1 << 20  # bytes; a header that is longer is left as it is
KEYWORDS_MAX = 30  # of a message

# The first line is Dovecot's list. mutt writes Lines beside Content-Length.
HIDDEN = re.compile(
    rb"^(?=[CSXL])(Content-Length|Status|X-IMAP|X-IMAPbase|X-Keywords|X-Status|X-UID"
    rb"|Lines|X-Mozilla-Status2?|X-Mozilla-Keys|X-Evolution)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)",
    re.M | re.I,
)
END = re.compile(rb"^\r?\n", re.M)
OTHER = re.compile(rb"^(Subject|From|X-Gmail-Labels)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.M | re.I)
KEYWORD = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]{1,100}")
COUNTERS = re.compile(rb"0*[1-9][0-9]*[ ]+[0-9]+")
INTERNAL = (b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA", b"Mail System Internal Data")

FLAGS = (b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft")
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = (1 << n for n in range(len(FLAGS)))
X_STATUS = {b"A"[0]: ANSWERED, b"F"[0]: FLAGGED, b"D"[0]: DELETED, b"T"[0]: DRAFT}
MOZILLA = {0x1: SEEN, 0x2: ANSWERED, 0x4: FLAGGED, 0x8: DELETED}
MOZILLA_FORWARDED = 0x1000
EVOLUTION = {0x1: ANSWERED, 0x2: DELETED, 0x4: DRAFT, 0x8: FLAGGED, 0x10: SEEN}


Labels = Callable[[bytes], tuple[int, list[bytes]]]  # what X-Gmail-Labels means: flags, keywords


@dataclass
class Facts:
    """Of a message, by its header."""

    flags: int = 0  # bits in the order of FLAGS
    keywords: tuple[bytes, ...] = ()
    content_length: int | None = None
    declared: frozenset[bytes] | None = None  # keywords of the whole mailbox
    pseudo: bool = False  # no message at all: a mail program's own data
    hides: bool = False  # fields that are not served


def end_of(data: bytes, begin: int, upto: int, look: int = 0) -> int:
    """The place behind the empty line that ends the header that begins there, or -1.
    Before look there is none."""
    match = END.search(data, max(begin, look), min(upto, begin + MAX))
    return match.end() if match else -1


def letters(value: bytes, known: bytes) -> bytes:
    """The letters of a status; none if it is some other word."""
    found = value.translate(None, b" \t\r\n")
    return found if not found.strip(known) and len(set(found)) == len(found) else b""


def number(value: bytes, base: int) -> int | None:
    text = value.strip()
    return int(text, base) if re.fullmatch(rb"[0-9A-Fa-f]{1,16}" if base == 16 else rb"[0-9]{1,16}", text) else None


def bits(value: int | None, meaning: dict[int, int]) -> int:
    return sum(flag for bit, flag in meaning.items() if value is not None and value & bit)


def facts_of(
    header: bytes, first: bool, declared: frozenset[bytes] | None = None, labels: Labels | None = None
) -> Facts:
    """first: of the first message of a file, the only one that may speak for all; declared:
    the keywords that it has named."""
    facts, words, own = Facts(declared=declared), [], []
    x_imap = False
    fields = HIDDEN.findall(header)
    facts.hides = bool(fields)
    if not fields and not labels and INTERNAL[0] not in header:
        return facts  # as most are
    for name, value in fields:
        match name.lower():
            case b"content-length":
                facts.content_length = number(value, 10)
            case b"status":
                facts.flags |= SEEN if b"R" in letters(value, b"ROUN") else 0
            case b"x-status":
                facts.flags |= sum(X_STATUS[letter] for letter in letters(value, b"AFDT"))
            case b"x-mozilla-status":
                status = number(value, 16)
                facts.flags |= bits(status, MOZILLA)
                words += [b"$Forwarded"] if status and status & MOZILLA_FORWARDED else []
            case b"x-evolution":
                facts.flags |= bits(number(value.partition(b"-")[2], 16), EVOLUTION)
            case b"x-mozilla-keys":
                words += value.split()
            case b"x-keywords":
                own += value.split()
            case b"x-imap" | b"x-imapbase" if first and COUNTERS.match(value.strip()):
                x_imap = x_imap or name.lower() == b"x-imap"
                facts.declared = frozenset(word.lower() for word in value.split()[2:])
    words += [word for word in own if facts.declared is None or word.lower() in facts.declared]
    others = {name.lower(): value for name, value in OTHER.findall(header)}
    if labels and b"x-gmail-labels" in others:
        flags, found = labels(others[b"x-gmail-labels"])
        facts.flags |= flags
        words += found
    unique = {word.lower(): word for word in reversed(words) if KEYWORD.fullmatch(word)}
    facts.keywords = tuple(sorted(unique.values()))[:KEYWORDS_MAX]
    told = INTERNAL[0] in others.get(b"subject", b"") and INTERNAL[1] in others.get(b"from", b"")
    facts.pseudo = x_imap or told
    return facts


def visible(header: bytes) -> bytes:
    return HIDDEN.sub(b"", header)
