#!/usr/bin/python3
"""Searches odd mail in Dovecot's Maildir and by backends/sqlite, and compares.

    searchdiff.py WORK [--seed N] [--count N] [--python PROGRAM]

Makes COUNT (150) messages, of which each has something that is odd: encoded words and
character sets of every kind and of none, bad base64 and quoted-printable, parts in parts,
addresses with comments, bytes that are no text. What Dovecot finds in a Maildir, the backend
must find, and no more where it says that it is sure, or is sure of that message. A piece of each message is looked for
by each key, and so is what no message has. Differences make the exit status 1.
"""

from __future__ import annotations

import argparse
import base64
import os
import quopri
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from random import Random

from base import ROOT
from dovecot import kept, libexec
from dovecotconf import configuration
from imapclient import Session
from wireclient import Client, encode

FOLDER = os.path.join(ROOT, "backends", "sqlite")
sys.path.insert(0, FOLDER)

import words  # noqa: E402

TEXTS = (
    "Grüße aus München", "plain words only", "C:\\users\\udo\\new", "日本語のテキスト", "naïve café", "STRASSE straße Straße",
    "ﬁne ﬂoor ǅemal ǆ Ǆ", "İstanbul ırmak IRMAK", "Ωmega Ω K Å", "a" * 90, "x=41=y =?=", "50% _under_ [a-z]*?",
    "Ελλάδα ΣΊΣΥΦΟΣ ς", "𝔘nicode 🌧️ 👍🏽", "é e\u0301 ẹ\u0301 ṩ", "한국어", "½ ² ™ ﷺ", "\u00a0no-break\u2028line", "O'Brien, Bob", "a\tb",
)  # fmt: skip
CHARSETS = (
    "utf-8", "UTF-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "koi8-r", "iso-2022-jp", "shift_jis", "euc-kr",
    "gb2312", "gbk", "big5", "utf-7", "utf-16", "utf-16le", "utf-32", "unicode-escape", "raw-unicode-escape", "unicode_internal",
    "idna", "punycode", "zip", "hex", "rot13", "bz2", "base64", "uu", "undefined", "mbcs", "cp65001", "x-unknown", "utf-8*en",
    "utf8", "UTF-8//IGNORE", "..", "/etc/passwd", "iso-8859-8-i", "unknown-8bit", "cp932", "latin1", "macintosh", "utf-8-sig",
)  # fmt: skip
RAW = (
    b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"Gr\xfc\xdfe", b"\xe2\x82", b"+2AA-", b"+AGE-", b"\\ud800 \\x41",
    b"\x1b$B8\x1b(B", b"~{", b"\x00", b"a\rb", b"\x7f\x01", b"=41", b"=", b"&AOk-", b"\xef\xbf\xbd",
)  # fmt: skip
PIECES = (1, 2, 3, 4, 6, 9, 15)
FIXED = ("a", "e", "x", "strasse", "straße", "\ufb01ne", "fine", "\u212a", "k", "i", "\u0130", "boundary", "missing_domain", "=?", "?=", "\u03c2", "日本")


def charset_bytes(rng: Random, text: str, charset: str) -> bytes:
    if rng.random() < 0.2:
        return rng.choice(RAW) + text.encode(errors="replace") + rng.choice(RAW)
    try:
        return text.encode(charset, "replace") if charset in CHARSETS[:17] else text.encode()
    except LookupError:
        return text.encode()


def word(rng: Random) -> bytes:
    """An encoded word, or what looks like one."""
    charset, text = rng.choice(CHARSETS), rng.choice(TEXTS)
    data = charset_bytes(rng, text, charset)[: rng.choice((40, 200))]
    kind = rng.choice((b"q", b"Q", b"b", b"B", b"qx", b"z", b""))
    if kind[:1] in b"bB":
        coded = base64.b64encode(data)
        if rng.random() < 0.3:
            at = rng.randrange(len(coded) + 1)
            coded = coded[:at] + rng.choice((b"=", b" ", b"!", b"====", b"", b"?")) + coded[at + rng.randrange(2) :]
    else:
        coded = b"".join(b"=%02X" % b if b > 126 or b < 33 or b in b"=?_" else bytes([b]) for b in data).replace(b"=20", b"_")
        if rng.random() < 0.3:
            coded += rng.choice((b"=", b"=4", b"=zz", b" ", b"_", b"=_", b"?", b"=e4"))
    end = rng.choice((b"?=",) * 8 + (b"", b"?", b"="))
    return b"=?%b?%b?%b%b" % (charset.encode(), kind, coded, end)


def text(rng: Random) -> bytes:
    """A header's text."""
    parts = [rng.choice((word, word, lambda r: r.choice(TEXTS).encode(), lambda r: r.choice(RAW).replace(b"\r", b"")))(rng)
             for _ in range(rng.randrange(1, 5))]  # fmt: skip
    return rng.choice((b" ", b"", b"\n ", b"\n\t", b"  ", b"\r\n ")).join(parts)


def address(rng: Random) -> bytes:
    local, domain = rng.choice((b"ann", b"bo.li", b'"a b"', b"=?utf-8?q?x?=", b"o'b", b"bo . li")), rng.choice((b"x.org", b"[1.2.3.4]", b"y . net"))
    name = rng.choice((b"Ann", b"Ann B. C.", b'"Li, Bo"', b'"O\'Brien, B"', b'"a \\"q\\" b"', b'"=?utf-8?q?M=C3=BCller=2C_B?="', word(rng), text(rng)))
    return rng.choice((
        b"%b <%b@%b>" % (name, local, domain), b"%b@%b" % (local, domain), b"%b@%b (%b)" % (local, domain, name), local,
        b"%b (%b)" % (local, name), name, b"<%b@%b>" % (local, domain), b"%b: %b@%b;" % (name, local, domain), b"undisclosed-recipients:;",
        b"<@r.org:%b@%b>" % (local, domain), b"%b(x(y)z)@(c)%b" % (local, domain), b"<>", b"", b"%b<%b" % (name, local),
    ))  # fmt: skip


def header(rng: Random) -> bytes:
    lines = [b"Subject:%b%b" % (rng.choice((b" ", b"", b"\t", b"  ", b"\n ")), text(rng))]
    for name in (b"From", b"To", b"Cc", b"BCC"):
        for _ in range(rng.choice((0, 1, 1, 2))):
            lines.append(b"%b: %b" % (name, rng.choice((b", ", b",", b",\n ")).join(address(rng) for _ in range(rng.randrange(1, 4)))))
    more = (b"X-Long: " + b"word " * 2000, b"X-Tab:\tafter", b"no colon here", b"Name : spaced", b":", b"X-\xfc: \xfc", b"X" * 1100 + b": y", b"Subject : two")
    lines += rng.sample(more, rng.randrange(3))
    rng.shuffle(lines)
    return b"\n".join(lines) + b"\n"


def entity(rng: Random, depth: int = 0) -> bytes:
    """Fields of MIME, an empty line, and a body."""
    kind, ends = rng.random(), rng.choice((b"\n", b"\r\n"))
    if depth < 4 and kind < 0.35:
        boundary = rng.choice((b"b", b"b%d" % depth, b"=_x", b"outer", b"outer inner", b"-", b"b--"))
        said = rng.choice((b'"%b"', b'"%b"', b"%b")) % boundary
        lines = [b"Content-Type: multipart/%b; boundary=%b" % (rng.choice((b"mixed", b"digest", b"alternative")), said), b"", b"preamble text"]
        for _ in range(rng.randrange(4)):
            lines += [b"--" + boundary + rng.choice((b"", b"", b"", b" ", b"x")), entity(rng, depth + 1)]
        lines += rng.choice(([b"--" + boundary + b"--", b"epilogue text"], [], [b"--" + boundary], [b"--" + boundary + b"--"]))
        return ends.join(lines)
    if depth < 4 and kind < 0.45:
        return b"Content-Type: message/rfc822\n\n" + header(rng) + entity(rng, depth + 1)
    charset = rng.choice(CHARSETS)
    data = b" ".join(charset_bytes(rng, rng.choice(TEXTS), charset) for _ in range(rng.randrange(1, 8)))
    encoding = rng.choice((b"7bit", b"8bit", b"base64", b"BASE64", b"quoted-printable", b"quoted-printable", b"x-uuencode", b"", b"base64 (c)", b"8-bit"))
    if encoding[:6].lower() == b"base64":
        data = base64.encodebytes(data)
        at = rng.randrange(len(data))
        data = rng.choice((data, data, data[:at] + b"!" + data[at:], data[:at] + b"==" + data[at:], data[:at], data.replace(b"\n", b" \r\n")))
    elif encoding == b"quoted-printable":
        data = quopri.encodestring(data)
        at = rng.randrange(len(data))
        data = rng.choice((data, data, data[:at] + b"=" + data[at:], data[:at] + b"=  \n" + data[at:], data + b"=", data[:at] + b"  \n" + data[at:], data.lower()))
    type = rng.choice((b"text/plain", b"text/plain", b"text/html", b"TEXT/Plain", b"image/png", b"application/octet-stream", b"text", b"", b"message/delivery-status", b"text/plain/x", b"t ext/plain"))
    fields = [b"Content-Type: %b%b" % (type, rng.choice((b"; charset=%b", b'; charset="%b"', b";charset=%b;", b"; charset*=utf-8''%b", b"; x=y; charset=%b; a=\"b\"", b" ; Charset = %b", b";; charset=%b", b"; charset==?%b?", b"; charset=")).replace(b"%b", charset.encode()))]
    if encoding:
        fields.append(b"Content-Transfer-Encoding:%b%b" % (rng.choice((b" ", b"", b"  ")), encoding))
    if rng.random() < 0.2:
        fields.append(b'Content-Disposition: attachment; filename="%b"' % text(rng).replace(b"\n", b""))
    if rng.random() < 0.1:
        fields = rng.choice(([], fields * 2, [b"MIME-Version: 1.0"]))
    return ends.join([*fields, b"", data]) if rng.random() < 0.95 else ends.join(fields)


def message(rng: Random) -> bytes:
    data = header(rng) + entity(rng)
    if rng.random() < 0.1:
        at = rng.randrange(len(data))
        data = data[:at] + rng.choice(RAW) + data[at:]
    return data if data.strip() else b"Subject: x\n\n"


class Maildir:
    """Dovecot's own, with the messages in their order."""

    def __init__(self, work: str, mails: list[bytes]) -> None:
        os.makedirs(f"{work}/Maildir/cur")
        for name in ("new", "tmp"):
            os.mkdir(f"{work}/Maildir/{name}")
        for n, data in enumerate(mails):
            with open(f"{work}/Maildir/cur/{1_700_000_000 + n}.M{n}.x:2,S", "wb") as file:
                file.write(data)
        user = "nobody" if os.getuid() == 0 else None
        if user:
            for folder, _, names in os.walk(f"{work}/Maildir"):
                for path in (folder, *(f"{folder}/{name}" for name in names)):
                    shutil.chown(path, user, "nogroup")
        settings = {"mail_location": f"maildir:{work}/Maildir", "log_path": f"{work}/maildir.log", "stats_writer_socket_path": "",
                    "ssl": "no", "base_dir": work, "state_dir": work, "mail_home": f"{work}/Maildir"}  # fmt: skip
        with open(f"{work}/maildir.conf", "w", encoding="utf-8") as file:
            text = "".join(f"{name} = {value}\n" for name, value in settings.items())
            file.write(configuration(text + "namespace inbox {\n  inbox = yes\n}\n"))
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if user else []
        variables = {name: os.environ[name] for name in os.environ if name in ("PATH", "LD_PRELOAD")} | kept("USER", "HOME", "LD_PRELOAD")
        environment = [f"{name}={value}" for name, value in variables.items()]
        argv = [*become, "env", "-i", *environment, f"HOME={work}/Maildir", "USER=" + (user or "me"), libexec("imap"), "-c", f"{work}/maildir.conf"]
        open(f"{work}/maildir.log", "wb").close()
        os.chmod(f"{work}/maildir.log", 0o666)
        self.session = Session(argv, f"{work}/maildir.err")
        self.session.select("INBOX")

    def search(self, key: str, value: str) -> set[int]:
        self.session.literal = value.encode()
        kind, found = self.session.uid("SEARCH", "CHARSET", "UTF-8", *key.upper().split())
        assert kind == "OK", (key, value, found)
        return {int(uid) - 1 for uid in (found[0] or b"").split()}


def found_alone(work: str, data: bytes, key: str, value: str) -> bool:
    """Whether Dovecot finds it where no other message is. What its decoder has left of a letter
    at the end of one message comes before the text of the next."""
    folder = tempfile.mkdtemp(prefix="alone-", dir=work)
    os.chmod(folder, 0o1777)
    return bool(Maildir(folder, [data]).search(key, value))


class Store:
    """backends/sqlite, with the same."""

    def __init__(self, path: str, mails: list[bytes], python: str) -> None:
        program = [python, "-B", f"{FOLDER}/sqlite", path, "--synchronous", "off"]
        subprocess.run(program, input=b"LIST\n", stdout=subprocess.DEVNULL, check=True)
        base = sqlite3.connect(path)
        for n, data in enumerate(mails):
            base.execute("INSERT INTO mail (id, mailbox, data) VALUES (?, 'INBOX', ?)", (str(n), data))
        base.commit()
        base.close()
        self.client = Client(program, 120)
        self.client.ask("CAPS 1")

    def search(self, key: str, value: str) -> tuple[set[int], bool]:
        answer = self.client.ask(b"SEARCH INBOX " + key.split()[-1].lower().encode() + b" " + encode(value.encode()))
        assert answer.ok, (key, value, answer)
        return {int(item.id) for item in answer.items}, answer.final == b"OK"


def pieces(rng: Random, mails: list[bytes]) -> list[tuple[str, str]]:
    """Keys, and values as the bridge sends them: without what it cuts at."""
    found = [(key, value) for key in ("SUBJECT", "FROM", "TEXT", "BODY") for value in FIXED]
    for data in mails:
        columns = dict(zip(words.COLUMNS, words.texts(data)[0]))
        for key, texts in (*((name, columns[name]) for name in words.FIELDS), ("text", columns["head"]), ("body", columns["body"])):
            source = rng.choice((texts, texts, texts.lower(), data.decode(errors="replace")))
            cut = "[\\0-\\x1f\\x7f\ufffd]" if key == "body" else "[\\0-\\x20\\x7f\ufffd]"
            cut = cut if key not in words.ADDRESSES else "[\\0-\\x20\\x7f\ufffd()<>\\[\\]:;\\\\,\"]"
            known = [part for part in re.split(cut, source) if part]
            if known:
                part = rng.choice(known)
                at = rng.randrange(len(part))
                if value := part[at : at + rng.choice(PIECES)].strip():
                    header = key in words.FIELDS and rng.random() < 0.3
                    found.append((f"HEADER {key}" if header else key.upper(), value))
    return found


def run(options: argparse.Namespace) -> int:
    rng = Random(options.seed)
    mails = [message(rng) for _ in range(options.count)]
    maildir, store = Maildir(options.work, mails), Store(f"{options.work}/mail.sqlite", mails, options.python)
    bad, sure, hits, more, doubted = 0, 0, 0, 0, 0
    asked = pieces(rng, mails)
    odd = [unknown | inexact for _, unknown, inexact in map(words.texts, mails)]
    for key, value in asked:
        theirs = maildir.search(key, value)
        ours, exact = store.search(key, value)
        theirs = {n for n in theirs if n in ours or found_alone(options.work, mails[n], key, value)}
        sure, hits, more = sure + exact, hits + len(theirs), more + len(ours - theirs)
        columns = {"text": ("head", "body")}.get(name := key.split()[-1].lower(), (name,))
        doubt = sum(words.BITS[column] for column in columns)
        wrong = theirs - ours | {n for n in ours - theirs if exact or not odd[n] & doubt}
        doubted += sum(bool(bits & doubt) for bits in odd)
        if wrong:
            bad += 1
            print(f"seed {options.seed}: {key} {value!r}: missed {sorted(theirs - ours)}, too many {sorted(wrong - theirs)}")
            for n in sorted(wrong)[:1] if options.show else ():
                print(mails[n].decode(errors="backslashreplace")[:3000])
    print(f"{len(asked)} searches, {hits} hits, {more} looked at in vain, {sure} answers and "
          f"{len(asked) * len(mails) - doubted} of {len(asked) * len(mails)} messages sure, {bad} wrong")
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    options.work = os.path.abspath(options.work)
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
