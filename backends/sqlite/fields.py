"""The fields of a line: bytes that are encoded, numbers, flags, names."""

from __future__ import annotations

from collections.abc import Iterable

NAME_MAX = 1024  # bytes of a mailbox name
COMPONENT_MAX = 255
ID_MAX = 254
FLAGS_MAX = 16_384  # bytes of a message's flags, as a line has them
DATE_MAX = (1 << 32) - 2  # Dovecot has no later one
SIZE_MAX = (1 << 31) - 1
UID_MAX = (1 << 32) - 2

SYSTEM_FLAGS = {flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
CONTROLS = bytes([*range(32), 127])
ESCAPES = {byte: f"%{byte:02X}" for byte in (*range(33), 127, ord("%"))}
JSON = {byte: f"\\u{byte:04x}" for byte in (*range(32), ord('"'), ord("\\"))}
DIGITS = "0123456789ABCDEFabcdef"
HEX = {(one + two).encode(): bytes.fromhex(one + two) for one in DIGITS for two in DIGITS}


class No(Exception):
    """A request that fails: a code and a text for the user."""


def decode_bytes(field: str) -> bytes:
    if "%" not in field:
        return field.encode(errors="surrogateescape")
    first, *escapes = field.encode(errors="surrogateescape").split(b"%")
    try:
        return first + b"".join(HEX[part[:2]] + part[2:] for part in escapes)
    except KeyError:
        raise No("CANNOT a % without two hexadecimal digits") from None


def decode(field: str) -> str | None:
    """The text of a field. What is not UTF-8 is None, which equals nothing in SQL."""
    try:
        return decode_bytes(field).decode()
    except UnicodeDecodeError:
        return None


def decode_name(field: str) -> str | None:
    return None if field == "-" else decode(field)


def encode(text: str) -> str:
    return "%2D" if text == "-" else text.translate(ESCAPES)


def encode_list(elements: Iterable[str]) -> str:
    return ",".join(element.translate(ESCAPES).replace(",", "%2C") for element in elements)


def json_list(texts: Iterable[str | None]) -> str:
    """What json.dumps() says, whose import takes longer than a short session."""
    return "[" + ",".join("null" if text is None else f'"{text.translate(JSON)}"' for text in texts) + "]"


def wire(part: str | bytes) -> bytes:
    return part if isinstance(part, bytes) else part.encode(errors="surrogateescape")


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def number(text: str) -> int:
    if not is_number(text):
        raise No("CANNOT not a number")
    return int(text)


def flag_set(text: str) -> dict[str, str]:
    """A list of flags, by their names in lower case; without unknown ones with a backslash."""
    flags: dict[str, str] = {}
    for element in text.split(","):
        try:
            flag = decode(element)
        except No:
            flag = element if is_text(element) else None  # somebody wrote 100% into the database
        if flag and (flag[0] != "\\" or flag.lower() in SYSTEM_FLAGS):
            flags.setdefault(flag.lower(), SYSTEM_FLAGS.get(flag.lower(), flag))
    return flags


def change_flags(text: str, change: str) -> str:
    flags = flag_set(text)
    for element in change.split(","):
        step = flag_set(element[1:])
        if element[:1] == "+":
            flags |= {name: flag for name, flag in step.items() if name not in flags}
        elif element[:1] == "-":
            flags = {name: flag for name, flag in flags.items() if name not in step}
        else:
            raise No("CANNOT a change of flags begins with + or -")
    return encode_list(flags.values())


def is_text(text: str) -> bool:
    """Was it UTF-8?"""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_id(text: str) -> bool:
    """Can a row with this id be asked for?"""
    return "\0" not in text and is_text(text) and 0 < len(text.encode()) <= ID_MAX


def is_name(text: str) -> bool:
    """Can a mailbox of this name be listed? (The bridge has more to say about names, 7.3.)"""
    if "\0" in text or not is_text(text) or len(text.encode()) > NAME_MAX:
        return False
    return all(part not in ("", ".", "..") and len(part.encode()) <= COMPONENT_MAX for part in text.split("/"))


def new_name(field: str) -> str:
    """The name of a mailbox to be made."""
    name = decode_name(field)
    parts = name.split("/") if name else [""]
    if any(part in ("", ".", "..") for part in parts) or name.encode().translate(None, CONTROLS) != name.encode():
        raise No("CANNOT a mailbox cannot have this name")
    if parts[0].upper() == "INBOX" != parts[0]:
        raise No("CANNOT the inbox is written INBOX")
    if len(name.encode()) > NAME_MAX or any(len(part.encode()) > COMPONENT_MAX for part in parts):
        raise No("LIMIT the name is too long")
    return name


def header_end(data: bytes) -> int:
    """Where the first empty line ends, 0 if there is none."""
    if data.startswith((b"\n", b"\r\n")):
        return data.index(b"\n") + 1
    return min((at + len(mark) for mark in (b"\n\n", b"\n\r\n") if (at := data.find(mark)) >= 0), default=0)
