#!/usr/bin/python3
"""Writes 1,000 varied and nasty messages in five mailboxes as a tree of .eml
files: DIR's own files are INBOX, folders are mailboxes, a file name is an id.

The same seed gives the same bytes and names. As a module: messages(seed) gives
(mailbox, file name, bytes), normalise(bytes) the text with CRLF line ends.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
from collections.abc import Iterator
from random import Random
from typing import Callable

TOTAL = 1000
EMPTY = "Empty"
# How many messages each mailbox gets.
MAILBOXES: dict[str, int] = {
    "INBOX": 400,
    "With Spaces & More": 250,
    "100% done": 150,
    "Entwürfe/日本": 200,
    EMPTY: 0,
}

NAMES = ("Ada Quill", "Bo Lund", "Chidi Obi", "Dörte Weiß", "Eun-ji Pak", "Ferran Solà", "山本 花")
WORDS = (
    "the a we you rain bread train Tuesday garden letter window late early before after "
    "ticket river paint bicycle kettle meeting choir bring send found lost perhaps never"
).split()


# --- pieces ----------------------------------------------------------------------


def normalise(data: bytes) -> bytes:
    """A bare LF gets its CR, CRLF and a lone CR stay: as Dovecot delivers."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", data)


def sentence(rng: Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(3, 14))).capitalize() + "."


def prose(rng: Random, paragraphs: int = 0) -> str:
    count = paragraphs or rng.randint(1, 6)
    return "\n\n".join("\n".join(sentence(rng) for _ in range(rng.randint(1, 7))) for _ in range(count)) + "\n"


def word(text: str) -> str:
    """An RFC 2047 encoded word."""
    return "=?utf-8?B?" + base64.b64encode(text.encode()).decode() + "?="


def address(rng: Random) -> str:
    name = rng.choice(NAMES)
    local = f"user{rng.randint(1, 40)}@example.{rng.choice(('org', 'com', 'net'))}"
    return f"{name if name.isascii() else word(name)} <{local}>"


def date(rng: Random) -> str:
    month = rng.choice("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
    zone = rng.choice(("+0000", "+0100", "-0800", "+0545", "GMT", "+0000 (UTC)"))
    clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
    return f"{rng.randint(1, 28)} {month} {rng.randint(1998, 2024)} {clock} {zone}"


def header(rng: Random, *more: str, subject: str = "", dated: bool = True) -> str:
    """A usual header, without the empty line behind it."""
    lines = [
        f"From: {address(rng)}",
        f"To: {', '.join(address(rng) for _ in range(rng.randint(1, 3)))}",
        f"Subject: {subject or sentence(rng)[:-1]}",
        f"Message-ID: <{rng.getrandbits(64):016x}@example.org>",
    ]
    if dated:
        lines.insert(2, f"Date: {date(rng)}")
    return "\n".join(lines + list(more)) + "\n"


def base64_lines(rng: Random, size: int) -> str:
    return base64.encodebytes(rng.randbytes(size)).decode()


def multipart(boundary: str, parts: list[str], closed: bool = True) -> str:
    text = "This is a message in several parts.\n"
    for part in parts:
        text += f"\n--{boundary}\n{part}"
    return text + (f"\n--{boundary}--\n" if closed else "\n")


def typed(kind: str, boundary: str) -> str:
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"'


# --- the kinds of message --------------------------------------------------------
#
# Each makes one message; most are text with LF ends, some decide about every byte.


def plain(rng: Random) -> bytes:
    return (header(rng) + "\n" + prose(rng)).encode()


def plain_crlf(rng: Random) -> bytes:
    return normalise(plain(rng))


def mixed_line_ends(rng: Random) -> bytes:
    lines = plain(rng).split(b"\n")
    return b"".join(line + rng.choice((b"\n", b"\r\n")) for line in lines)


def lf_header_crlf_body(rng: Random) -> bytes:
    return header(rng).encode() + b"\n" + normalise(prose(rng).encode())


def crlf_header_lf_body(rng: Random) -> bytes:
    return normalise(header(rng).encode() + b"\n") + prose(rng).encode()


def lone_cr(rng: Random) -> bytes:
    return header(rng).encode() + b"\nA progress bar\r50%\r100%\rdone\n\r\nCR CR LF:\r\r\nend\r"


def utf8_words(rng: Random) -> bytes:
    text = "Grüße aus Łódź, さようなら, 🌧️ und bis bald"
    kind = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit"
    return (header(rng, kind, subject=word(text)) + "\n" + text + "\n" + prose(rng)).encode()


def raw_utf8_header(rng: Random) -> bytes:
    return (header(rng, subject="Käse – ohne encoded word") + "\n" + prose(rng)).encode()


def raw_latin1_header(rng: Random) -> bytes:
    return (header(rng, subject="Caf\xe9 \xfcber alles") + "\nna\xefve\n").encode("latin-1")


def quoted_printable(rng: Random) -> bytes:
    kind = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable"
    return (header(rng, kind) + "\nA caf=E9, a soft=\n break, trailing=20\n=3D=3D\nbroken =ZZ =\n").encode()


def format_flowed(rng: Random) -> bytes:
    body = " \n".join(sentence(rng) for _ in range(6)) + "\n> quoted \n>> more\n-- \nsignature\n"
    return (header(rng, "Content-Type: text/plain; format=flowed; delsp=yes") + "\n" + body).encode()


def from_lines(rng: Random) -> bytes:
    return (header(rng) + "\nFrom here on it rained.\n\nFrom bo@example.org Mon Jan  1 00:00:00 2024\n>From x\n").encode()


def begins_with_from_line(rng: Random) -> bytes:
    return b"From bo@example.org Mon Jan  1 00:00:00 2024\n" + plain(rng)


def dots(rng: Random) -> bytes:
    return (header(rng) + "\n.\n..\n.leading dot\n\n.\n" + prose(rng) + ".").encode()


def no_final_newline(rng: Random) -> bytes:
    return plain(rng).rstrip(b"\n")


def ends_in_cr(rng: Random) -> bytes:
    return plain(rng).rstrip(b"\n") + b"\r"


def only_a_body(rng: Random) -> bytes:
    return b"\n" + prose(rng).encode()


def only_a_body_crlf(rng: Random) -> bytes:
    return b"\r\n" + normalise(prose(rng).encode())


def not_a_header(rng: Random) -> bytes:
    return b"just some words, no colon in sight\nand another line\n\n" + prose(rng).encode()


def empty_body(rng: Random) -> bytes:
    return header(rng).encode() + b"\n"


def no_empty_line(rng: Random) -> bytes:
    return header(rng).encode()


def header_cut_short(rng: Random) -> bytes:
    return header(rng).encode().rstrip(b"\n")


def one_newline(rng: Random) -> bytes:
    return b"\n"


def no_date(rng: Random) -> bytes:
    return (header(rng, dated=False) + "\n" + prose(rng)).encode()


def bad_date(rng: Random) -> bytes:
    bad = rng.choice(("yesterday", "32 Foo 2021 25:61:00 +9999", "", "1 Jan 1850 00:00:00 +0000", "2021-03-04"))
    return (header(rng, f"Date: {bad}", dated=False) + "\n" + prose(rng)).encode()


def two_dates(rng: Random) -> bytes:
    return (header(rng, f"Date: {date(rng)}") + "\n" + prose(rng)).encode()


def huge_header(rng: Random) -> bytes:
    received = [f"Received: from host{i}.example.net by host{i + 1}.example.net;\n\t{date(rng)}" for i in range(400)]
    return (header(rng, *received) + "\n" + prose(rng)).encode()


def many_recipients(rng: Random) -> bytes:
    folded = ",\n ".join(address(rng) for _ in range(600))
    return (header(rng, f"Cc: {folded}") + "\n" + prose(rng)).encode()


def long_header_line(rng: Random) -> bytes:
    return (header(rng, "X-Long: " + "x" * 20_000) + "\n" + prose(rng)).encode()


def odd_folding(rng: Random) -> bytes:
    lines = "Subject:\n a\n\tb\n \n  c\nX-Empty:\nX-Space : before the colon\n: no name\nno colon\n"
    return (lines + header(rng) + "\n" + prose(rng)).encode()


def repeated_headers(rng: Random) -> bytes:
    return (header(rng) + header(rng) + "\n" + prose(rng)).encode()


def strange_addresses(rng: Random) -> bytes:
    lines = (
        'Reply-To: "a \\"quoted\\" name, with comma" <x@example.org>\n'
        "Cc: undisclosed-recipients:;\nBcc: group: a@example.org, b@example.com;, <c@example.net\n"
        "Sender: @@@\nX-From: (comment (nested)) d@example.org\n"
    )
    return (lines + header(rng) + "\n" + prose(rng)).encode()


def long_line(rng: Random) -> bytes:
    return (header(rng) + "\n" + "abcdefghij" * 20_000 + "\n").encode()


def alternative(rng: Random) -> bytes:
    text = prose(rng)
    parts = [
        f"Content-Type: text/plain; charset=utf-8\n\n{text}",
        f"Content-Type: text/html; charset=utf-8\n\n<html><body><p>{text}</p></body></html>\n",
    ]
    return (header(rng, "MIME-Version: 1.0", typed("alternative", "alt")) + "\n" + multipart("alt", parts)).encode()


def attachment(rng: Random, size: int = 0) -> bytes:
    parts = [
        f"Content-Type: text/plain\n\n{prose(rng)}",
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        "Content-Disposition: attachment; filename*=utf-8''%E6%97%A5%20report.bin\n\n"
        + base64_lines(rng, size or rng.randint(200, 20_000)),
    ]
    return (header(rng, "MIME-Version: 1.0", typed("mixed", "=_b 1")) + "\n" + multipart("=_b 1", parts)).encode()


def big_attachment(rng: Random) -> bytes:
    return attachment(rng, 3_000_000)


def nested(rng: Random) -> bytes:
    text = "Content-Type: text/plain\n\nthe kernel\n"
    for depth in range(rng.randint(3, 30)):
        text = f"{typed('mixed', f'level-{depth}')}\n\n{multipart(f'level-{depth}', [text])}"
    return (header(rng, "MIME-Version: 1.0") + text).encode()


def forwarded(rng: Random) -> bytes:
    inner = alternative(rng).decode()
    parts = ["Content-Type: text/plain\n\nsee below\n", f"Content-Type: message/rfc822\n\n{inner}"]
    return (header(rng, typed("mixed", "outer")) + "\n" + multipart("outer", parts)).encode()


def digest(rng: Random) -> bytes:
    parts = ["\n" + plain(rng).decode() for _ in range(6)]
    return (header(rng, typed("digest", "dig")) + "\n" + multipart("dig", parts)).encode()


def two_thousand_parts(rng: Random) -> bytes:
    parts = [f"Content-Type: text/plain\n\npart {i}\n" for i in range(2000)]
    return (header(rng, typed("mixed", "many")) + "\n" + multipart("many", parts)).encode()


def boundary_missing(rng: Random) -> bytes:
    return (header(rng, "Content-Type: multipart/mixed") + "\n" + prose(rng)).encode()


def boundary_never_used(rng: Random) -> bytes:
    return (header(rng, typed("mixed", "nowhere")) + "\n" + prose(rng)).encode()


def boundary_unclosed(rng: Random) -> bytes:
    parts = [f"Content-Type: text/plain\n\n{prose(rng)}", f"{typed('alternative', 'in')}\n\n--in\n\nhalf a part"]
    return (header(rng, typed("mixed", "open")) + "\n" + multipart("open", parts, closed=False)).encode()


def boundary_of_parent_inside(rng: Random) -> bytes:
    inner = f"{typed('mixed', 'ab')}\n\n--ab\n\nin\n\n--a\n\nthe parent's\n\n--ab--\n"
    return (header(rng, typed("mixed", "a")) + "\n" + multipart("a", [inner])).encode()


def boundary_prefix(rng: Random) -> bytes:
    return (header(rng, typed("mixed", "x")) + "\n--x\n\none\n--xy\n\ntwo\n--x--\nepilogue\n--x--\n").encode()


def boundary_empty(rng: Random) -> bytes:
    return (header(rng, 'Content-Type: multipart/mixed; boundary=""') + "\n--\n\none\n----\n").encode()


def part_without_header(rng: Random) -> bytes:
    return (header(rng, typed("mixed", "p")) + "\n--p\n\n--p\nContent-Type: text/html\n--p--").encode()


def bad_types(rng: Random) -> bytes:
    kind = rng.choice(("text", "/", "text/plain; charset=", "text/plain; charset=klingon", 'a/b; c="d', ";;;"))
    lines = (f"Content-Type: {kind}", "Content-Transfer-Encoding: x-rot13")
    return (header(rng, *lines) + "\n" + prose(rng)).encode()


def bad_base64(rng: Random) -> bytes:
    lines = ("Content-Type: text/plain", "Content-Transfer-Encoding: base64")
    return (header(rng, *lines) + "\nSGVsbG8*gd29ybGQ\n=====\nQQ\n").encode()


def all_high_bytes(rng: Random) -> bytes:
    return header(rng).encode() + b"\n" + bytes(range(128, 256)) * 4 + b"\n" + bytes(range(1, 10)) + b"\x0b\x0c\x7f\n"


def spaces_and_tabs(rng: Random) -> bytes:
    return (header(rng) + " \n\t\n\n   \ntrailing   \n\t\n").encode()


def many_newlines(rng: Random) -> bytes:
    return header(rng).encode() + b"\n" * 3000


def with_nul(rng: Random) -> bytes:
    return (header(rng, subject="a NUL \0 here") + "\nand \0 one\0\n").encode()


Kind = Callable[[Random], bytes]

# These come exactly as often as said, everything else fills the rest.
RARE: dict[Kind, int] = {
    big_attachment: 1,
    two_thousand_parts: 1,
    long_line: 2,
    one_newline: 2,
    huge_header: 3,
    many_recipients: 3,
    long_header_line: 3,
    many_newlines: 3,
}
USUAL: tuple[Kind, ...] = (
    plain, plain_crlf, mixed_line_ends, lf_header_crlf_body, crlf_header_lf_body, lone_cr, utf8_words,
    raw_utf8_header, raw_latin1_header, quoted_printable, format_flowed, from_lines, begins_with_from_line,
    dots, no_final_newline, ends_in_cr, only_a_body, only_a_body_crlf, not_a_header, empty_body, no_empty_line,
    header_cut_short, no_date, bad_date, two_dates, odd_folding, repeated_headers, strange_addresses,
    alternative, attachment, nested, forwarded, digest, boundary_missing, boundary_never_used, boundary_unclosed,
    boundary_of_parent_inside, boundary_prefix, boundary_empty, part_without_header, bad_types, bad_base64,
    all_high_bytes, spaces_and_tabs,
)  # fmt: skip


# --- file names --------------------------------------------------------------------

STEMS = (
    "{n:04} plain words", "{n:04}=equals", "{n:04},comma,comma", "{n:04}%20not a space", "{n:04}%", "#{n:04}",
    "it's {n:04}", "${{HOME}} {n:04}", "$(id) {n:04}", "* {n:04}", "what? {n:04}", "[{n:04}]", "{n:04}[a-z]*",
    "back\\slash {n:04}", "{n:04}\\", "a;b&{n:04}", "-{n:04}", "--{n:04}", "{n:04}-", "~{n:04}", "!{n:04}",
    '"{n:04}"', "`{n:04}`", "({n:04})|<x>", " {n:04}", "{n:04} ", "{n:04}  two", "{n:04}é", "e\u0301{n:04}",
    "{n:04} 日本語 🌧", "Łódź {n:04}", "{n:04}{{a,b}}", "{n:04}:2,S", "{n:04}@example.org", "{n:04}.tar.eml", "{n:04}",
)  # fmt: skip
LONG_BYTES = 200


def file_name(n: int, rng: Random) -> str:
    """A name that no other n gives."""
    if n % 40 == 7:
        return f"{n:04} " + "long, " * 31 + "x" * 5 + ".eml"
    if n % 40 == 27:
        return f"{n:04}" + "日" * 64 + ".eml"
    return rng.choice(STEMS).format(n=n) + ".eml"


# --- all together --------------------------------------------------------------------


def kinds(rng: Random, nul: bool) -> list[Kind]:
    chosen = [kind for kind, times in RARE.items() for _ in range(times)]
    chosen += [with_nul] * (2 if nul else 0)
    rest = TOTAL - len(chosen)
    chosen += [USUAL[i % len(USUAL)] for i in range(rest)]
    rng.shuffle(chosen)
    return chosen


def messages(seed: int = 1, nul: bool = False) -> Iterator[tuple[str, str, bytes]]:
    """(mailbox, file name, bytes) of all messages; each is random on its own, so
    that a change of one kind leaves the others as they were."""
    boxes = [name for name, count in MAILBOXES.items() for _ in range(count)]
    for n, (box, kind) in enumerate(zip(boxes, kinds(Random(seed), nul), strict=True)):
        rng = Random(f"{seed} {n}")
        yield box, file_name(n, rng), kind(rng)


def folder_of(root: str, mailbox: str) -> str:
    return root if mailbox == "INBOX" else os.path.join(root, mailbox)


def write(root: str, seed: int = 1, nul: bool = False) -> int:
    for mailbox in MAILBOXES:
        os.makedirs(folder_of(root, mailbox), exist_ok=True)
    count = 0
    for mailbox, name, data in messages(seed, nul):
        with open(os.path.join(folder_of(root, mailbox), name), "wb") as file:
            file.write(data)
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", metavar="DIR")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--nul", action="store_true", help="two messages have NUL bytes, which Dovecot rewrites")
    options = parser.parse_args()
    write(options.dir, options.seed, options.nul)


if __name__ == "__main__":
    main()
