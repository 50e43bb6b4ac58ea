"""What SEARCH looks into: the text of a message, decoded and folded.

Dovecot decides what a search finds, so this does what Dovecot does, also where mail is
broken: which lines are a header, where a part begins, what is left of bad base64. What is
not worth that is not guessed: of a column that is `unknown` every search has to look at
the message itself, and of one that is `inexact` whenever it is found there. So no message
is missed, and none can disturb the search in another one.
"""

from __future__ import annotations

import base64
import ctypes
import re
import unicodedata
from collections.abc import Iterator

ADDRESSES = ("from", "to", "cc", "bcc")
FIELDS = (*ADDRESSES, "subject")
COLUMNS = (*FIELDS, "head", "body")
BITS = {column: 1 << n for n, column in enumerate(COLUMNS)}
ALL = (1 << len(COLUMNS)) - 1  # columns
TEXT_MAX = 1 << 18  # bytes of a column; more takes too long to index
NAME_MAX = 1000  # bytes of a field's name, and limits of MIME, as Dovecot has them
BOUNDARY_MAX = 80
DEPTH_MAX = 90
ODD = frozenset(b"(\0\r")  # comments and the like in a field of MIME
PARTS_MAX = 9000
HEADER_MAX = 1 << 18  # bytes of a header, and of a text as it stands
BODY_MAX = 16 * TEXT_MAX
DASHES_MAX = 100_000  # lines that may be a boundary
LAST_LINE_MAX = 84  # bytes that are looked at in a line without an end
NO_CHARSET = b"-"  # the empty name, whatever that is
LETTER_MAX = 6  # bytes that Dovecot takes for one letter
ERRORS_MAX = 1000  # bytes in one part that its charset does not have

LINE = re.compile(rb"\r?\n(?![ \t])")
FOLD = re.compile(rb"\r?\n[ \t]")
TOKEN = rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]"
PARAMETER = re.compile(
    rb";[ \t]*+(?:(" + TOKEN + rb'++)[ \t]*+=[ \t]*+(?:"([^"\\\r\n\0]*+)"|(' + TOKEN + rb"++)|(?=;|\Z))[ \t]*+(?=;|\Z)|\Z)"
)
CONTENT_TYPE = re.compile(rb"[ \t]*+(" + TOKEN + rb"++)[ \t]*+/[ \t]*+(" + TOKEN + rb"++)[ \t]*+(?=;|\Z)")
ENCODING = re.compile(rb"[ \t]*+(" + TOKEN + rb"*+)[ \t]*+(?:;.*)?", re.S)
WORD = re.compile(rb"=\?([^?]*+)\?([^?]*+)\?([^?]*+)\?=")
Q = re.compile(rb"=([0-9A-Fa-f]{2})|=.?\Z|_", re.S)
QP = re.compile(rb"=([0-9A-Fa-f]{2})|=[ \t]*+\r?\n|[ \t]++(?:\r?(?=\n))?")
QP_END = re.compile(rb"(?:=[0-9A-Fa-f]?|=?[ \t]+\r?|=?\r)\Z")
WIDE = re.compile(rb"(csunicode|iso-?10646|ucs|unicode|utf-?(16|32))", re.I)  # charsets of which no letter is one byte
NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")

# Addresses of which Dovecot, which writes them anew for FROM, makes the same words.
_ATOM = rb"[!#$%&'*+\-/0-9=?A-Z^_`a-z{|}~\x80-\xff]"
_DOTTED = _ATOM + rb"++(?:\." + _ATOM + rb"++)*+"
_SPEC = _DOTTED + rb"@" + _DOTTED
_PHRASE = rb"(?:(?!\.)(?:(?:" + _ATOM + rb'|\.)++|"[^"\\\r\n\0]*+")[ \t]*+)++'
ADDRESS = re.compile(
    rb"[ \t]*+(?:(?:" + _PHRASE + rb")?<" + _SPEC + rb">|" + _PHRASE + rb":[ \t]*+;|(?P<spec>" + _SPEC
    + rb")(?:[ \t]*+\((?P<comment>[^()\\\r\n\0]*+)\))?+)[ \t]*+(?:,|\Z)"
)  # fmt: skip
COMMENT = re.compile(rb"\([^()]*+\)")
RUN = re.compile(rb'[^\0-\x20()<>\[\]:;@\\,"\x7f]++(?!@)')
WRITTEN = b" MISSING_MAILBOX@MISSING_DOMAIN MISSING_MAILBOX@SYNTAX_ERROR INVALID_ROUTE"  # where there is none


class Unknown(Exception):
    """Only Dovecot can tell what this is."""


# --- letters -----------------------------------------------------------------------


def _decomposition(letter: str) -> str:
    if "\uac00" <= letter <= "\ud7a3":
        return unicodedata.normalize("NFD", letter)
    if letter.title() == letter != letter.upper() and len(letter.upper()) == 1:
        return letter  # those that have a title case of their own stay together
    codes = unicodedata.decomposition(letter).split()
    if not codes or len(codes) - (codes[0][0] == "<") > 1 and letter > "\uffff":
        return letter
    return "".join(chr(int(code, 16)) for code in codes if code[0] != "<")


class _Folds(dict):
    """What becomes of each letter: i;unicode-casemap (RFC 5051), as Dovecot has it."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        title = letter.title()
        self[code] = _decomposition(title if len(title) == 1 else letter)
        return self[code]


LOST = "\ufffd"  # what could not be read
MANY_LOST = re.compile(LOST + "{2,}")
FOLDS = _Folds({0: LOST})  # SQL's texts end at a NUL
# Letters of which Dovecots and Pythons, which have Unicode 10 to 17, make different things.
UNSETTLED = re.compile(
    "[\u019b\u0264\u0282\u1c8a\u1d8e\u2c5f\u32ff\ua794\ua7b8-\ua7f6\uab69\U00010570-\U000105bf\U00010780-\U000107bf"
    "\U00010d50-\U00010d8f\U00016e60-\U00016e7f\U00016ea0-\U00016edf\U0001ccd6-\U0001ccf9\U0001e030-\U0001e06f"
    "\U0001fbf0-\U0001fbf9]"
)


def settled(text: str) -> bool:
    """Whether fold() of it is what every Dovecot makes of it."""
    return text.isascii() or not UNSETTLED.search(text)


def fold(text: str) -> str:
    """Without regard to case, and to how a letter with an accent is put together."""
    text = text.replace("\r\n", "\n")
    if text.isascii():
        return text.upper().replace("\0", LOST)
    return MANY_LOST.sub(LOST, text.translate(FOLDS))


# --- character sets ----------------------------------------------------------------


class Iconv:
    """The C library's, which Dovecot uses. No codec of Python's: some of them compute."""

    def __init__(self) -> None:
        try:
            self.lib = ctypes.CDLL(None, use_errno=True)
            self.lib.iconv_open.restype = ctypes.c_void_p
            self.lib.iconv_open.argtypes = [ctypes.c_char_p] * 2
            self.lib.iconv_close.argtypes = [ctypes.c_void_p]
            self.lib.iconv.restype = ctypes.c_size_t
            self.lib.iconv.argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * 4
        except (OSError, AttributeError) as error:
            raise Unknown from error

    def decode(self, data: bytes, charset: bytes) -> tuple[str, bool]:
        """And whether all of it was in the charset. LookupError: there is none of that name."""
        handle = self.lib.iconv_open(b"UTF-8", charset)
        if handle == ctypes.c_void_p(-1).value:
            raise LookupError
        try:
            return self._convert(handle, data)
        finally:
            self.lib.iconv_close(handle)

    def _convert(self, handle: int, data: bytes) -> tuple[str, bool]:
        import errno

        out, room, errors = [], ctypes.create_string_buffer(1 << 16), 0
        source = ctypes.c_char_p(data)  # keeps it where it is
        here = ctypes.c_void_p(ctypes.cast(source, ctypes.c_void_p).value)
        left = ctypes.c_size_t(len(data))
        while True:
            to, free = ctypes.c_void_p(ctypes.addressof(room)), ctypes.c_size_t(len(room))
            ctypes.set_errno(0)
            bad = self.lib.iconv(handle, *map(ctypes.byref, (here, left, to, free))) == ctypes.c_size_t(-1).value
            out.append(room.raw[: len(room) - free.value])
            why = ctypes.get_errno() if bad else 0
            if why == errno.E2BIG:
                continue
            if why != errno.EILSEQ:  # all, or a letter that is cut off at the end
                return b"".join(out).decode(errors="replace"), not errors
            errors += 1
            if errors > ERRORS_MAX:
                raise Unknown
            out.append(LOST.encode())
            if left.value:
                here.value, left.value = here.value + 1, left.value - 1


ICONV: list[Iconv] = []


def utf8(data: bytes) -> tuple[str, bool]:
    """What is no letter is a mark. Not certain is what comes of one that is cut off at the end."""
    text = data.decode(errors="replace")
    return text, LOST not in text[-LETTER_MAX:]


def decoded(data: bytes, charset: bytes) -> tuple[str, bool]:
    """In UTF-8 what is no letter is taken for a mark, as everywhere. LookupError as above."""
    if charset.lower() in (b"", b"us-ascii", b"ascii", b"utf-8", b"utf8"):
        return utf8(data)
    if not ICONV:
        ICONV.append(Iconv())
    return ICONV[0].decode(data, charset)


# --- encodings ---------------------------------------------------------------------


def from_base64(data: bytes) -> bytes:
    """Up to the first fault; half a group of four counts."""
    data = data.translate(None, b" \t\r\n")
    if fault := NOT_BASE64.search(data):
        data = data[: fault.start()]
    return base64.b64decode(data + b"A" * (-len(data) % 4))[: len(data) * 6 // 8]


def from_q(data: bytes) -> bytes:
    def step(found: re.Match) -> bytes:
        return bytes.fromhex(found[1].decode()) if found[1] else b" " if found[0] == b"_" else found[0]

    return Q.sub(step, data)


def from_qp(data: bytes) -> bytes:
    def step(found: re.Match) -> bytes:
        if found[1]:
            return bytes.fromhex(found[1].decode())
        at_end = found[0][:1] == b"=" or found.end() < len(data) and data[found.end()] == 10
        return b"" if at_end else found[0]

    tail = QP_END.search(data, max(len(data) - 1000, 0))
    return QP.sub(step, data[: tail.start()] if tail else data)


def header(value: bytes) -> tuple[str, bool]:
    """A header's value with its encoded words undone, and whether that is certain."""
    out, start, pos, sure = [], 0, 0, True
    while (pos := value.find(b"=?", pos)) >= 0:
        if value[start:pos].strip(b" \t\r\n"):
            out.append(value[start:pos].decode(errors="replace"))
        word = WORD.match(value, pos)
        if not word or word[2][:1] not in (b"q", b"Q", b"b", b"B"):
            start, pos = pos, pos + 2
            continue
        text = (from_q if word[2][:1] in b"qQ" else from_base64)(word[3])
        try:
            part, good = decoded(text, word[1] or b"-")
        except LookupError:
            part, good = text.decode(errors="replace"), False
        out.append(part)
        sure = sure and good
        start = pos = word.end()
    out.append(value[start:].decode(errors="replace"))
    return "".join(out), sure


# --- lines -------------------------------------------------------------------------


def unfolded(block: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name, what stands before the value, and value of each field; a line without a name
    is a value."""
    for folded in LINE.split(block):
        line = FOLD.sub(b" ", folded)
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or len(name) > NAME_MAX:
            yield b"", b"", line
        else:
            # of a value that begins in the next line, the space there is a part
            skip = folded.partition(b":")[2][:1] in (b" ", b"\t")
            yield name, line[len(name) : len(line) - len(value) + skip], value[skip:]


def address_words(value: bytes) -> tuple[list[bytes], bool]:
    """What Dovecot may make of a list of addresses, and whether it makes no other words."""
    pos, end, sure, more = 0, len(value.rstrip(b" \t")), b"'" not in value, []
    while pos < end:
        found = ADDRESS.match(value, pos)
        if not found:
            return list(dict.fromkeys([value, *_loosely(value)])), False
        if found["comment"] is not None:
            more.append(b"%b <%b>" % (found["comment"], found["spec"]))
        pos = found.end()
    return [value, *more], sure


def _loosely(value: bytes) -> Iterator[bytes]:
    """More than Dovecot makes of it: without quoting, without comments, pieces put together. What
    becomes of encoded words then, nobody knows."""
    if b"=?" in value:
        raise Unknown
    yield (plain := re.sub(rb"\\(.)", rb"\1", value))
    for _ in range(DEPTH_MAX):
        if (less := COMMENT.sub(b" ", plain)) == plain:
            break
        plain = less
    yield plain
    plain = re.sub(rb"[ \t]++", b" ", plain.replace(b'"', b""))
    yield (joined := re.sub(rb" ?([.@]) ?", rb"\1", plain))
    for end in (b"@MISSING_DOMAIN", b"@SYNTAX_ERROR"):
        yield b" ".join(run + end for run in RUN.findall(joined))
    yield WRITTEN


# --- messages ----------------------------------------------------------------------


class Part:
    """What the header of a part says about its body."""

    def __init__(self, mother: Part | None) -> None:
        self.mother, self.depth = mother, mother.depth + 1 if mother else 0
        self.kind, self.charset, self.encoding = b"", b"", b"7bit"
        self.boundary: bytes | None = None
        self.seen: set[bytes] = set()

    def field(self, name: bytes, value: bytes) -> None:
        if name in (b"content-type", b"content-transfer-encoding"):
            if name in self.seen or not ODD.isdisjoint(value):
                raise Unknown
            self.seen.add(name)
            if name == b"content-type":
                self._content_type(value)
            else:
                encoding = ENCODING.fullmatch(value)
                self.encoding = encoding[1].lower() if encoding else b""

    def _content_type(self, value: bytes) -> None:
        found = CONTENT_TYPE.match(value)
        self.kind = found[1].lower() + b"/" + found[2].lower() if found else b"-"
        if not self.kind.startswith((b"text/", b"message/", b"multipart/")):
            return
        pos = found.end()
        while pos < len(value):
            found = PARAMETER.match(value, pos)
            if not found:
                raise Unknown
            name, said = (found[1] or b"").lower(), found[3] or found[2] or b""
            if name.split(b"*")[0] in (b"charset", b"boundary"):
                if b"*" in name:
                    raise Unknown
                if name == b"charset":
                    self.charset = self.charset or said or NO_CHARSET
                elif self.kind.startswith(b"multipart/") and self.boundary is None:
                    self.boundary = said[:BOUNDARY_MAX]
            pos = found.end()

    def finish(self) -> None:
        if not self.kind:
            digest = self.mother and self.mother.kind == b"multipart/digest"
            self.kind = b"message/rfc822" if digest else b"text/plain"

    def text(self, body: bytes) -> tuple[str, bool]:
        """Of its body, as far as Dovecot looks into it."""
        if not self.kind.startswith((b"text/", b"message/")):
            return "", True
        if len(body) > BODY_MAX:
            raise Unknown
        if self.encoding == b"base64":
            body = from_base64(body)
        elif self.encoding == b"quoted-printable":
            body = from_qp(body)
        elif self.encoding not in (b"7bit", b"8bit", b"binary"):
            return "", True
        if self.charset == NO_CHARSET and not body.isascii() or WIDE.match(self.charset):
            raise Unknown  # of the latter, where it is broken, Dovecot goes on anywhere
        try:
            return decoded(body, self.charset)
        except LookupError:
            return utf8(body)


class Message:
    """The text of a message by column, and which columns are not certain."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.columns: dict[str, list[str]] = {column: [] for column in COLUMNS}
        self.sizes = dict.fromkeys(COLUMNS, 0)
        self.unknown, self.inexact = 0, 0
        self.bounds: list[tuple[bytes, Part]] = []  # the innermost is the last
        self.count = self.dashes = 0

    def add(self, column: str, text: str, sure: bool) -> None:
        if not settled(text):
            self.unknown |= BITS[column]
        text = fold(text)
        if not text:
            return
        self.sizes[column] += len(text if text.isascii() else text.encode()) + 1
        if self.sizes[column] > TEXT_MAX:
            self.unknown |= BITS[column]
        if not self.unknown & BITS[column]:
            self.columns[column].append(text)
        if not sure:
            self.inexact |= BITS[column]

    def add_field(self, name: bytes, value: bytes) -> None:
        """One of the message's own header."""
        column = name.decode("latin-1").lower()
        if column not in FIELDS:
            return
        try:
            values, sure = address_words(value) if column in ADDRESSES else ([value], True)
            for text, decodes in map(header, values):
                self.add(column, text, sure and decodes)
        except Unknown:
            self.unknown |= BITS[column]

    def read(self) -> None:
        try:
            part, pos = Part(None), 0
            while part:
                pos = self.read_header(part, pos)
                part, pos = (Part(part), pos) if part.kind == b"message/rfc822" else self.read_body(part, pos)
        except Unknown:
            self.unknown |= BITS["head"] | BITS["body"]

    def read_header(self, part: Part, pos: int) -> int:
        """From where it begins to where its body does. It ends at an empty line, and at an outer
        part's boundary."""
        self.count += 1
        if self.count > PARTS_MAX or part.depth > DEPTH_MAX:
            raise Unknown
        start, end, line = pos, pos, b""
        while line not in (b"\n", b"\r\n") and pos < len(self.data) and not self.boundary_at(pos):
            end, pos = pos, self.data.find(b"\n", pos) + 1 or len(self.data)
            line = self.data[end : min(pos, end + 3)]
        if pos - start > HEADER_MAX:
            self.unknown |= 0 if part.mother else ALL
            raise Unknown
        fields = list(unfolded(self.data[start : end if line in (b"\n", b"\r\n") else pos]))
        if not part.mother:
            for name, _, value in fields:
                self.add_field(name, value)
        for name, between, value in fields:
            text, sure = header(value)
            self.add("head", f"{name.decode(errors='replace')}{between.decode(errors='replace')}{text}", sure)
            part.field(name.lower(), value)
        part.finish()
        if part.boundary is not None and line in (b"\n", b"\r\n"):
            self.bounds.append((part.boundary, part))
        return pos

    def read_body(self, part: Part, pos: int) -> tuple[Part | None, int]:
        """A body, and what no part has. Returns the next part, and where it begins."""
        start = pos
        while True:
            while not (bound := self.boundary_at(pos)):
                at = self.data.find(b"\n--", pos)
                if at < 0:
                    self.add_body(part, self.data[start:])
                    return None, len(self.data)
                pos = at + 1
            end = pos - 1 if pos > start else pos
            self.add_body(part, self.data[start : end - (end > start and self.data[end - 1] == 13)])
            ends, n = bound
            part = self.bounds[n][1]
            del self.bounds[n + (not ends) :]
            start = pos = self.data.find(b"\n", pos) + 1 or len(self.data)
            if self.bounds and self.bounds[-1][1] is part:
                return Part(part), pos

    def add_body(self, part: Part, body: bytes) -> None:
        if not part.kind.startswith(b"multipart/") and not self.unknown & BITS["body"]:
            try:
                self.add("body", *part.text(body))
            except Unknown:
                self.unknown |= BITS["body"]

    def boundary_at(self, pos: int) -> tuple[bool, int] | None:
        """Of which part the line at pos is a boundary, and whether the last one."""
        if not self.bounds or not self.data.startswith(b"--", pos):
            return None
        self.dashes += 1
        if self.dashes > DASHES_MAX:
            raise Unknown
        pos += 2
        end = self.data.find(b"\n", pos)
        line = self.data[pos:end].removesuffix(b"\r") if end >= 0 else self.data[pos : pos + LAST_LINE_MAX]
        ends, best = end >= 0 and len(line) > 2 and line.endswith(b"--"), None
        for n in reversed(range(len(self.bounds))):
            boundary = self.bounds[n][0]
            if line.startswith(boundary) and (best is None or len(boundary) > len(self.bounds[best][0])):
                best = n
                if boundary == line or ends and boundary == line[:-2]:
                    break
        if best is None:
            return None
        return self.data.startswith(b"--", pos + len(self.bounds[best][0])), best


def texts(data: bytes) -> tuple[list[str], int, int]:
    """The folded text of COLUMNS, and the bits of those that are unknown, and inexact."""
    message = Message(data)
    message.read()
    return ["\n".join(message.columns[column]) for column in COLUMNS], message.unknown, message.inexact
