"""Names of folders: as the bridge takes them, and as IMAP and Maildir++ write them."""

from __future__ import annotations

import binascii
import re
import unicodedata


def mailbox_name(raw: bytes) -> bytes:
    """UTF-8 in normal form C, which macOS has not. What is no UTF-8 was CP1252 once."""
    try:
        text = raw.decode()
    except UnicodeError:
        try:
            text = raw.decode("cp1252")
        except UnicodeError:
            text = raw.decode("latin-1")
    return unicodedata.normalize("NFC", text).encode()


def to_mutf7(text: str) -> str:
    """Modified UTF-7, RFC 3501 section 5.1.3."""

    def shift(match: re.Match[str]) -> str:
        coded = binascii.b2a_base64(match[0].encode("utf-16-be"), newline=False) if match[0] != "&" else b""
        return "&" + coded.rstrip(b"=").replace(b"/", b",").decode() + "-"

    return re.sub(r"&|[^ -~]+", shift, text)


def from_mutf7(text: str) -> str:
    """What is no modified UTF-7 gives something, or ValueError: compare with to_mutf7 of that."""

    def unshift(match: re.Match[str]) -> str:
        raw = binascii.a2b_base64(match[1].replace(",", "/") + "=" * (-len(match[1]) % 4))
        return raw.decode("utf-16-be") or "&"

    return re.sub(r"&([A-Za-z0-9+,]*)-", unshift, text)
