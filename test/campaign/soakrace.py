"""What `soak.py --races` adds: deliveries by LMTP, a client that idles, and delays.
A module of soak.py.

    Delivery    an LMTP session with a real Dovecot (dovecot-server), beside the IMAP sessions
    delays      words that make a session slow at random system calls: those around
                locks and commits
"""

from __future__ import annotations

import os
import random
import re
import smtplib
import subprocess
import time
from typing import TextIO

from base import ROOT
from soakclient import ANSWER_SECS, Answer

USER = "soak"
SERVER = f"{ROOT}/test/lib/dovecot-server"
# where others may come between: locks, what is written, what is made visible
SLOW = "fcntl flock fdatasync fsync rename pwrite64 write unlink link sendfile".split()
SLOWEST_SECS = 0.08


def delays(rng: random.Random) -> list[str]:
    """The words before a program that make it, and what it starts, slow."""
    calls = rng.sample(SLOW, rng.randint(1, 3))
    words = ["strace", "-fqq", "--seccomp-bpf", "-o", os.devnull, "-e", f"trace={','.join(calls)}"]
    for call in calls:
        usecs = int(1e6 * SLOWEST_SECS * 10 ** -rng.uniform(0, 2))
        words += ["-e", f"inject={call}:delay_enter={usecs}:when={rng.randint(1, 6)}+{rng.randint(1, 6)}"]
    return words


class Delivery:
    """Mail comes in. begin and finish are those of a Client."""

    name = "lmtp"

    def __init__(self, folder: str, backend: list[str], transcript: TextIO) -> None:
        self.folder, self.transcript = folder, transcript
        conf = ["--protocols", "lmtp", "--conf", "lmtp_save_to_detail_mailbox = yes"]
        subprocess.run([SERVER, "start", folder, *conf, "--", *backend], check=True)
        with open(f"{folder}/env", encoding="ascii") as file:
            self.port = int(file.read().partition("=")[2])
        self.lmtp: smtplib.LMTP | None = None

    def begin(self, box: str, data: bytes) -> None:
        """Send a message for a mailbox; the server has all of it then, but for its answer."""
        self.running = Answer(f"LMTP to {box}")
        self.transcript.write(f"{time.time() % 10000:.3f} {self.name} > to {box}: {data[:30]!r}\n")
        if self.lmtp is None:
            self.lmtp = smtplib.LMTP("127.0.0.1", self.port, local_hostname="localhost", timeout=ANSWER_SECS)
            self.lmtp.ehlo()
        self.lmtp.mail("a@example.org")
        self.lmtp.rcpt(f"{USER}+{box}")
        self.lmtp.putcmd("DATA")
        self.lmtp.getreply()
        self.lmtp.send(data + b".\r\n")

    def finish(self) -> Answer:
        assert self.lmtp
        code, text = self.lmtp.getreply()
        self.running.status = "OK" if code == 250 else "NO"
        self.running.text = re.sub(rb"\S+ (Saved)", rb"\1", text).decode()
        self.transcript.write(f"{time.time() % 10000:.3f} {self.name} < {code} {text!r}\n")
        return self.running

    def stop(self) -> None:
        if self.lmtp is not None:
            self.lmtp.close()
        subprocess.run([SERVER, "stop", self.folder], check=True)
