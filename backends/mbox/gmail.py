"""What the labels of Gmail mean, as Google Takeout writes them into X-Gmail-Labels."""

from __future__ import annotations

import binascii
import re

from header import DRAFT, FLAGGED, SEEN
from names import to_mutf7

MEANINGS = {"starred": FLAGGED, "drafts": DRAFT, "opened": 0, "unread": 0}
WORD = rb"=\?utf-8\?([bq])\?([^?\s]*)\?="  # Gmail knows no other charset
RUN = re.compile(rb"%b(?:[ \t]+%b)*" % (WORD, WORD), re.I)
WORD = re.compile(WORD, re.I)
BASE64 = re.compile(rb"[A-Za-z0-9+/]*")


def unpacked(kind: bytes, text: bytes) -> bytes:
    """Of an encoded word. ValueError: it is none."""
    if kind in b"qQ":
        return re.sub(rb"=([0-9A-Fa-f]{2})", lambda code: binascii.unhexlify(code[1]), text.replace(b"_", b" "))
    letters = text.rstrip(b"=")
    if not BASE64.fullmatch(letters):
        raise ValueError
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def decoded(value: bytes) -> str:
    """Not by Python's package email, of which each version makes something else of what is
    broken. That is left as it is."""

    def text(run: re.Match[bytes]) -> bytes:  # a letter may begin in one word and end in the next
        try:
            return b"".join(unpacked(*word) for word in WORD.findall(run[0]))
        except ValueError:
            return run[0]

    return RUN.sub(text, re.sub(rb"\r?\n[ \t]+", b" ", value)).decode(errors="replace").strip()


def labels(value: bytes) -> tuple[int, list[bytes]]:
    """Flags, and all other labels as keywords: of what a keyword cannot have, spaces and
    the like become "_", and letters outside ASCII modified UTF-7."""
    found = [label.strip(' \t"') for label in decoded(value).split(",")]
    low = {label.lower() for label in found}
    flags = sum(MEANINGS.get(label, 0) for label in low) + (0 if "unread" in low else SEEN)
    words = [re.sub(r'[\x00- \x7f(){%*"\\\]]', "_", to_mutf7(label)) for label in found]
    return flags, [word.encode() for word, label in zip(words, found) if label and label.lower() not in MEANINGS]
