"""What the labels of Gmail mean, as Google Takeout writes them into X-Gmail-Labels."""

from __future__ import annotations

import email.errors
import email.header
import re

from header import DRAFT, FLAGGED, SEEN
from names import to_mutf7

MEANINGS = {"starred": FLAGGED, "drafts": DRAFT, "opened": 0, "unread": 0}


def decoded(value: bytes) -> str:
    text = re.sub(rb"\r?\n[ \t]+", b" ", value).decode(errors="replace").strip()
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (email.errors.HeaderParseError, LookupError, ValueError):
        return text


def labels(value: bytes) -> tuple[int, list[bytes]]:
    """Flags, and all other labels as keywords: of what a keyword cannot have, spaces and
    the like become "_", and letters outside ASCII modified UTF-7."""
    found = [label.strip(' \t"') for label in decoded(value).split(",")]
    low = {label.lower() for label in found}
    flags = sum(MEANINGS.get(label, 0) for label in low) + (0 if "unread" in low else SEEN)
    words = [re.sub(r'[\x00- \x7f(){%*"\\\]]', "_", to_mutf7(label)) for label in found]
    return flags, [word.encode() for word, label in zip(words, found) if label and label.lower() not in MEANINGS]
