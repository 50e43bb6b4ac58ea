"""What SEARCH looks into: the text of a message, decoded and folded."""

import email
import email.policy
import re
import sys
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses
from unicodedata import normalize

FIELDS = ("from", "to", "cc", "bcc", "subject")
ADDRESSES = FIELDS[:4]
FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.S)
ENCODINGS = ("", "7bit", "8bit", "binary", "base64", "quoted-printable")


def fold(text: str) -> str:
    """Without regard to case, and to how a letter with an accent is put together; never
    less so than i;unicode-casemap (RFC 5051), which has no dotless i."""
    text = normalize("NFKD", normalize("NFKD", text).casefold())
    return text.replace("\u0131", "i").replace("\r\n", "\n").replace("\0", "\ufffd")


def decoded(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def header(value: bytes) -> str:
    text = decoded(value.replace(b"\r", b"").replace(b"\n", b""), None)
    try:
        parts = decode_header(text)
    except (HeaderParseError, ValueError):
        return text
    return "".join(
        part if isinstance(part, str) else decoded(part, charset or "raw-unicode-escape")
        for part, charset in parts
    )


def addresses(text: str) -> str:
    """What a header of addresses says, without comments: Dovecot looks there."""
    try:
        found = getaddresses([text])
    except Exception:  # comments in comments, as deep as one likes
        return ""
    return ", ".join(f"{name} <{address}>" if name else address for name, address in found)


class Noting(email.policy.Compat32):
    """Notes the lines of all headers as they stand: TEXT looks at names and values at once."""

    noted: list[str] = []

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        self.noted.append("".join(sourcelines))
        return super().header_source_parse(sourcelines)


def texts(data: bytes) -> list[str]:
    """The values of FIELDS, then all headers, then all text, each of them folded."""
    fields: dict[str, list[str]] = {name: [] for name in FIELDS}
    head, body, top, policy = [], [], [], Noting(noted=[])
    empty = re.search(rb"(?:\A|\n)\r?\n", data)
    for line in re.split(rb"\r?\n(?![ \t])", data[: empty.start()] if empty else data):
        head.append(header(line))
        if field := FIELD.fullmatch(line):
            name = field[1].decode().lower()
            value = header(field[2]).strip()
            fields.get(name, []).append(value)
            if name in ADDRESSES and (plain := addresses(value)) != value:
                fields[name].append(plain)
            if name.startswith("content-"):
                top.append(field[1] + b":" + field[2].replace(b"\n", b"") + b"\n")
    try:  # the module ends a header where it does not like it, so it gets what it needs
        rest = data[empty.end() :] if empty else b""
        message = email.message_from_bytes(b"".join(top) + b"\n" + rest, policy=policy)
        head += [header(line.encode(errors="surrogateescape")) for line in policy.noted[len(top) :]]
        for part in message.walk():
            encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
            kind = part.get_content_maintype()
            if kind in ("text", "message") and encoding in ENCODINGS and not part.is_multipart():
                body.append(decoded(part.get_payload(decode=True) or b"", part.get_content_charset()))
    except Exception as error:  # mail has every fault, and the module some
        print(f"warning: sqlite: a message is indexed as it stands: {error!r}", file=sys.stderr)
        body = [decoded(data, None)]
    return [fold("\n".join(lines)) for lines in (*fields.values(), head, body)]
