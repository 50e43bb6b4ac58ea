"""What an answer means by protocol.md: a second reader beside that of core/.

meaning() says what a caller must be told of the bytes of an answer, in the words of
test/campaign/exchange.c, or raises Refused (they break a rule, so nothing of them may be
believed) or Unfinished (the final line has not come).
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata

LINE_MAX, ID_MAX, MESSAGE_MAX, UID_MAX = 65_535, 1024, 2**31 - 1, 2**32 - 2
DATE_MAX = 2**32 - 1
VERBS = "CAPS LIST FETCH STORE APPEND EXPUNGE COPY MOVE CREATE DELETE RENAME SEARCH WATCH".split()
CODES = (
    "UNAVAILABLE BUSY INTERNAL UNCERTAIN OVERQUOTA NOTFOUND EXISTS NOPERM READONLY LIMIT CANNOT UNSUPPORTED"
).split()
KEYS = "from to cc bcc subject body text".split()
ITEMS = {
    "CAPS": "CAPS FLAGS KEYS",
    "BOXES": "BOX",
    "LIST": "MSG GONE",
    "FETCH": "DATA FILE GONE FAIL",
    "STORE": "MSG GONE FAIL",
    "APPEND": "MSG",
    "EXPUNGE": "GONE FAIL",
    "COPY": "NEW GONE FAIL",
    "MOVE": "NEW GONE FAIL",
    "SEARCH": "HIT",
    "WATCH": "CHANGED",
}
VERSION = re.compile(rb"[0-9]+:[0-9]+:-?[0-9]+\.[0-9]{9,}")
Item = tuple[str, list[bytes], bytes]  # keyword, fields, octets


class Refused(Exception):
    """A rule is broken."""


class Unfinished(Exception):
    """There is more to come."""


def must(good: bool, rule: str) -> None:
    if not good:
        raise Refused(rule)


def decode(field: bytes) -> bytes:
    must(not re.search(rb"%(?![0-9A-Fa-f]{2})", field), "2.4 escape")
    return re.sub(rb"%(..)", lambda m: bytes([int(m[1], 16)]), field)


def encode(raw: bytes) -> bytes:
    return b"%2D" if raw == b"-" else re.sub(rb"[\0-\x20\x7f%]", lambda m: b"%%%02X" % m[0][0], raw)


def ident(fields: list[bytes], n: int = 0) -> bytes:
    must(len(fields) > n and fields[n] != b"-", "2.6 an id")
    must(len(decode(fields[n])) <= ID_MAX, "14.1 length of an id")
    return decode(fields[n])


def number(value: bytes | None, most: int, least: int = 0) -> int:
    must(value is not None and re.fullmatch(rb"[0-9]+", value) is not None, "2.11 a number")
    must(least <= int(value or b"0") <= most, "2.11 range")
    return int(value or b"0")


def options(fields: list[bytes]) -> dict[bytes, bytes | None]:
    pairs = (field.partition(b"=") for field in fields)
    return {key: value if eq else None for key, eq, value in pairs}


def shown(value: bytes | None) -> str:
    return "-" if value is None else value.hex() + "."


def split(reply: bytes, verb: str) -> tuple[list[Item], str, list[bytes]]:
    """Items, OK or NO, and the fields of the final line."""
    items: list[Item] = []
    at = 0
    while True:
        end = reply.find(b"\n", at)
        must((end if end >= 0 else len(reply)) - at <= LINE_MAX, "14.1 length of a line")
        if end < 0:
            raise Unfinished
        line, at = reply[at:end], end + 1
        if line == b"!" or line.startswith(b"! "):
            continue
        must(line.startswith((b"* ", b"OK ", b"NO ")) or line == b"OK", "2.13 stray output")
        must(not re.search(rb"[\0-\x1f\x7f]", line), "2.2 control byte")
        word, *fields = [field for field in line.split(b" ") if field]
        if word == b"NO":
            must(bool(fields), "2.1 code")
        if word != b"*":
            return items, word.decode(), fields
        must(bool(fields) and re.fullmatch(rb"[A-Z]+", fields[0]) is not None, "2.1 keyword")
        keyword, octets = fields.pop(0).decode(), b""
        if keyword == "DATA":
            must(verb == "FETCH" and len(fields) > 1, "2.1 octets")
            size = number(fields[1], MESSAGE_MAX)
            octets, at = reply[at : at + size], at + size
        if keyword in ITEMS.get(verb, "").split():
            items.append((keyword, fields, octets))
        if at > len(reply):
            # what stands in the line itself is looked at before the octets come
            meaning_of_items(verb, items)
            raise Unfinished


def meaning_of_items(verb: str, items: list[Item]) -> None:
    if verb == "FETCH":
        for item in items:
            must(bool(item[1]), "5.3 an id")


def code(fields: list[bytes]) -> str:
    word = fields[0].decode("latin-1") if fields else "INTERNAL"
    return word if word in CODES else "UNAVAILABLE"


# --- each verb -------------------------------------------------------------------


def of_caps(items: list[Item], _fields: list[bytes]) -> str:
    said: list[bytes] | None = None
    flags: tuple[int, bytes] | None = None
    keys: set[bytes] = set()
    for keyword, fields, _ in items:
        if keyword == "CAPS":
            must(said is None, "3.2 one CAPS")
            number(fields[0] if fields else None, 1, 1)
            said = fields[1:]
        elif keyword == "FLAGS":
            must(bool(fields), "4.1 FLAGS")
            key, _, value = fields[0].partition(b"=")
            must(key in (b"seed", b"local", b"backend"), "4.1 FLAGS")
            if key == b"backend":
                flags = (3, b"") if value == b"all" else (2, value)
            else:
                flags = (0, b"") if key == b"seed" else (1, b"")
        else:
            keys |= set(fields)
    must(said is not None, "3.2 a CAPS")
    given = options(said or [])
    verbs = "".join(str(int(verb.encode() in (said or []) or n < 3)) for n, verb in enumerate(VERBS))
    if flags is None:
        flags = (3 if verbs[3] == "1" else 0, b"")
    numbers = [
        min(number(given[key], 2**64 - 1, 1), most) if key in given else least
        for key, most, least in ((b"batch", 10000, 1), (b"pipeline", 1000, 1), (b"poll", 86400, 0))
    ]
    bools = "".join(str(int(key in given)) for key in (b"delta", b"crlf", b"key", b"uids", b"inline"))
    listed = shown(flags[1]) if flags[1] else "-"
    asked = "".join(str(int(key.encode() in keys)) for key in KEYS)
    return f"ok {bools} {' '.join(map(str, numbers))} {verbs} {flags[0]} {listed}{asked}"


def carried(name: bytes) -> bool:
    """Whether Dovecot can carry the name of a mailbox (7.3, 7.4)."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    parts = name.split(b"/")
    if len(name) > 1024 or re.search(rb"[\0-\x1f\x7f]", name) or unicodedata.normalize("NFC", text) != text:
        return False
    if parts[0].upper() == b"INBOX" and parts[0] != b"INBOX":
        return False
    return all(part not in (b"", b".", b"..") and len(part) <= 255 for part in parts)


def of_boxes(items: list[Item], final: list[bytes]) -> str:
    boxes: dict[bytes, str] = {}
    ids: set[bytes] = set()
    for _, fields, _ in items:
        must(bool(fields) and fields[0] != b"-", "2.6 a name")
        name = decode(fields[0])
        given = options(fields[1:])
        box_id = given.get(b"id") or None
        must(len(decode(box_id or b"")) <= ID_MAX, "7.6 id=")
        if not carried(name):
            continue
        must(name not in boxes, "6.7 twice")
        if box_id:
            must(decode(box_id) not in ids, "7.6 one id")
            ids.add(decode(box_id))
            box_id = encode(decode(box_id))
        state = given.get(b"state") or None
        flags = given[b"flags"] or b"" if b"flags" in given else None  # not kept: what is not said has no flags
        boxes[name] = " " + shown(name) + "".join(map(shown, (box_id, flags, state)))
        boxes[name] += "ro" if b"ro" in given else ""
    word = "delta" if final[:1] == [b"delta"] else "full"
    return f"ok {word}" + "".join(text for _, text in sorted(boxes.items()))


def of_list(items: list[Item], final: list[bytes]) -> str:
    seen: set[bytes] = set()
    texts = ""
    for keyword, fields, _ in items:
        name = ident(fields)
        must(name not in seen, "6.7 twice")
        seen.add(name)
        given = options(fields[1:])
        size = number(given[b"size"], MESSAGE_MAX) if b"size" in given else -1
        vsize = number(given[b"vsize"], 2 * MESSAGE_MAX) if b"vsize" in given else -1
        date = number(given[b"date"], 2**64 - 1) if b"date" in given else -1
        date = -1 if date > DATE_MAX else date  # 12.6
        uid = number(given[b"uid"], UID_MAX, 1) if b"uid" in given else 0
        must(b"flags" not in given or given[b"flags"] is not None, "2.9 flags=")
        texts += f" {int(keyword == 'GONE')} {size} {vsize} {date} {uid} "
        texts += shown(fields[0]) + shown(given.get(b"flags"))
    must(final[:1] in ([b"full"], [b"delta"]), "6.4 full or delta")
    given = options(final[1:])
    full = final[0] == b"full"
    if given.get(b"count") is not None:
        listed = sum(keyword == "MSG" for keyword, _, _ in items)
        must(number(given[b"count"], 2**64 - 1) == listed or not full, "10.3 count")
    validity = number(given[b"uidvalidity"], 2**32 - 1, 1) if given.get(b"uidvalidity") is not None else 0
    box_id = given.get(b"id")
    if box_id is not None:
        must(box_id != b"" and len(decode(box_id)) <= ID_MAX, "7.6 id=")
        box_id = encode(decode(box_id))
    must(len(given.get(b"state") or b"") <= 16384, "14.1 a state")
    return f"ok {final[0].decode()} {validity} {shown(given.get(b'state') or b'-')}{shown(box_id)}{texts}"


def version_of(info: os.stat_result) -> list[int]:
    """The numbers of a file's version, of the time after 1970."""
    return [info.st_ino, info.st_size, *divmod(info.st_mtime_ns, 10**9)]


def of_file(fields: list[bytes], size: int | None) -> str:
    must(len(fields) > 1, "8.4 a path")
    path = decode(fields[1])
    must(path.startswith(b"/") and b"\0" not in path, "8.4 an absolute path")
    given = options(fields[2:])
    version = given.get(b"version")
    must(b"version" not in given or VERSION.fullmatch(version or b"") is not None, "8.14 a version")
    if version is not None:
        numbers = [int(part) for part in re.split(rb"[:.]", version[: 10 + version.rindex(b".")])]
        must(numbers[0] < 2**64 and max(numbers[1], abs(numbers[2])) < 2**63, "8.14 numbers of 64 bits")
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return "fault UNAVAILABLE"
    except OSError:
        return "fault UNAVAILABLE"
    if not stat.S_ISREG(info.st_mode):
        return "fault INTERNAL"
    if version is not None and version_of(info) != numbers:
        return "fault UNAVAILABLE"
    offset = number(given[b"offset"], 2**63 - 1) if b"offset" in given else 0
    length = number(given[b"length"], MESSAGE_MAX) if b"length" in given else info.st_size - offset
    if offset > info.st_size or offset + length > info.st_size:
        return "fault INTERNAL"
    if size is not None and (length > size if b"part=header" in fields[2:] else length != size):
        return "fault INTERNAL"
    with open(path, "rb") as file:
        return file.read()[offset : offset + length].hex()


def of_fetch(items: list[Item], asked: dict[bytes, int | None], header: bool) -> str:
    told: dict[bytes, str] = {}
    for keyword, fields, octets in items:
        must(bool(fields), "5.3 an id")
        name = decode(fields[0])
        must(name in asked, "2.16 an id that was asked for")
        must(name not in told, "5.3 once")
        part = b"part=header" in fields[2:] and keyword in ("DATA", "FILE")
        must(header or not part, "6.9 header")
        if keyword == "GONE":
            told[name] = "gone"
        elif keyword == "FAIL":
            told[name] = f"fault {code(fields[1:])} said"
        else:
            size = asked[name]
            text = octets.hex()
            if keyword == "FILE":
                text = of_file(fields, size)
            elif size is not None and (len(octets) > size if part else len(octets) != size):
                text = "fault INTERNAL"
            told[name] = text if text.startswith("fault") else f"{'header' if part else 'full'} {text}"
    texts = [told.get(name, "fault INTERNAL") for name in asked]
    if len(asked) == 1 and texts[0].startswith("fault"):
        return texts[0]
    return "ok " + " ".join(texts)


def of_write(verb: str, items: list[Item], final: str) -> str:
    told: dict[bytes, str] = {}
    for keyword, fields, _ in items:
        must(bool(fields) and decode(fields[0]) in (b"a", b"b c"), "5.3 an id that was asked for")
        must(decode(fields[0]) not in told, "5.3 once")
        flags, new, uid = "", "", 0
        if keyword == "MSG":
            given = options(fields[1:])
            if given.get(b"flags") is not None:
                flags = shown(given[b"flags"])
        if keyword == "NEW":
            ident(fields, 1)
            new = shown(fields[1])
            given = options(fields[2:])
            uid = number(given[b"uid"], UID_MAX, 1) if b"uid" in given else 0
        told[decode(fields[0])] = {
            "GONE": "gone 0",
            "FAIL": f"failed {code(fields[1:])}0",
        }.get(keyword, f"done {flags}{new}{uid}")
    named = verb in ("COPY", "MOVE")
    rest = "unknown 0" if final.startswith("fault") else "failed INTERNAL0" if named else "done 0"
    return final + "".join(" " + told.get(name, rest) for name in (b"a", b"b c"))


def of_append(items: list[Item]) -> str:
    must(len(items) == 1, "6.13 one MSG")
    fields = items[0][1]
    ident(fields)
    given = options(fields[1:])
    size = number(given[b"size"], MESSAGE_MAX) if b"size" in given else -1
    uid = number(given[b"uid"], UID_MAX, 1) if b"uid" in given else 0
    return f"ok {size} {uid} {shown(fields[0])}"


def of_search(items: list[Item], final: list[bytes]) -> str:
    hits = {ident(fields) for _, fields, _ in items}
    found = "".join(str(int(name in hits)) for name in (b"a", b"b c", b"d", b"nobody"))
    return f"ok {int(b'maybe' not in final)} {found}"


def of_watch(items: list[Item]) -> str:
    must(len(items) < 2, "6.25 one CHANGED")
    for _, fields, _ in items:
        must(bool(fields) and decode(fields[0]) == b"INBOX", "6.25 the mailbox")
    return "ok changed" if items else "ok same"


ASKED: dict[str, dict[bytes, int | None]] = {
    "fetch-data": {b"a": 18},
    "fetch-header": {b"a": 18},
    "fetch-header-version": {b"a": 18},
    "fetch-file": {b"b c": None},
    "fetch-version": {b"b c": None},
    "fetch-batch": {b"a": 18, b"b c": None, b"d": 18},
}
WRITES = ("STORE", "EXPUNGE", "COPY", "MOVE")


def meaning(name: str, verb: str, reply: bytes) -> str:
    """What the caller is told by the exchange of that name (a line of exchange.c)."""
    items, word, final = split(reply, verb)
    if verb in WRITES:
        return of_write(verb, items, "ok" if word == "OK" else f"fault {code(final)} said")
    if word == "NO":
        by_items(name, verb, items)
        return f"fault {code(final)} said"
    if verb in ("CREATE", "DELETE", "RENAME"):
        return "ok"
    table = {"CAPS": of_caps, "BOXES": of_boxes, "LIST": of_list, "SEARCH": of_search}
    if verb in table:
        return table[verb](items, final)
    if verb == "FETCH":
        return of_fetch(items, ASKED[name], name.startswith("fetch-header"))
    return of_append(items) if verb == "APPEND" else of_watch(items)


def by_items(name: str, verb: str, items: list[Item]) -> None:
    """Items before a NO are looked at as well; one that is wrong ends the copy."""
    if verb == "FETCH":
        of_fetch(items, ASKED[name], name.startswith("fetch-header"))
