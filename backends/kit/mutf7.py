"""Modified UTF-7, RFC 3501 section 5.1.3: what IMAP and Maildir++ call folders."""

from __future__ import annotations

import binascii
import re


def to_mutf7(text: str) -> str:
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
