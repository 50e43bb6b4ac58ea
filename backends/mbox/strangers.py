"""What is no mbox but may be taken for one: its name, for who gave it to the wrong program."""

from __future__ import annotations

import os
import re

HEADS = (
    (rb"\d{1,10}[ ]*\r?\n[!-9;-~]{1,76}:", "a message of Apple Mail (.emlx)"),
    (rb"\*mbx\*\r\n", "an mbx file of UW-IMAP, which is another format"),
    (rb"\x01\x01\x01\x01\r?\n", "an MMDF mailbox"),
    (rb"BABYL OPTIONS:", "a Babyl file of Emacs"),
    (rb"!BDN", "an Outlook data file (.pst)"),
    (rb"SQLite format 3\0", "an SQLite database"),
    (rb"PK\x03\x04|.{257}ustar", "an archive; backends/tar serves .eml files and Maildirs in one"),
    (
        rb"[!-9;-~]{1,76}:[ \t][^\n]*\n([!-9;-~]{1,76}:|[ \t\r\n])",
        "a single message, as in a Maildir, an MH folder or an .eml file",
    ),
)  # fmt: skip
FOLDERS = (
    (rb"[1-9][0-9]*", "an MH folder, a file for each message"),
    (rb".*\.emlx", "a folder of Apple Mail's messages (.emlx)"),
    (rb".*\.(?i:eml)", "a folder of .eml files; backends/eml-dir serves it"),
)
SAMPLE = 20  # files of a folder that are looked at


def file_kind(head: bytes) -> str:
    """By its beginning; empty if nothing is known of such a file."""
    return next((name for pattern, name in HEADS if re.match(pattern, head, re.S)), "")


def folder_kind(path: bytes) -> str:
    """Empty for what may well have mbox files in it."""
    with os.scandir(path) as found:
        entries = [entry for entry in found if not entry.name.startswith(b".")]
    folders = {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
    if b"cur" in folders and (b"new" in folders or b"tmp" in folders):
        return "a Maildir; backends/maildir serves it"
    files = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    for pattern, kind in FOLDERS:
        if files and all(re.fullmatch(pattern, name, re.S) for name in files):
            heads = [head_of(os.path.join(path, name)) for name in files[:SAMPLE]]
            if any(map(file_kind, heads)) and not any(head.startswith(b"From ") for head in heads):
                return kind
    return ""


def head_of(path: bytes) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(handle, 512)
        finally:
            os.close(handle)
    except OSError:
        return b""
