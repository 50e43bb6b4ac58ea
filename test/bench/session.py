"""One measured IMAP session: load.c, and the environment that it gives to imap."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import base as _  # noqa: F401: it finds the next two
from dovecot import dovecot_is, libexec
from dovecotconf import configuration

# What prints the environment, and what keeps the configuration
DOVECONF_23 = ["-m", "imap", "-f", "service=imap", "-p", "-e", "/usr/bin/env", "-0"]
DOVECONF_24 = ["-F", "/bin/sh", "-c", 'cat /proc/self/fd/$DOVECOT_CONFIG_FD >"$LOAD_CONFIG"; exec /usr/bin/env -u DOVECOT_CONFIG_FD -0']


@dataclass(frozen=True)
class Cost:
    """What load.c reports of a command. Times in seconds, memory in MiB."""

    wall: float = 0.0
    imap: float = 0.0
    others: float = 0.0
    peak: float = 0.0
    bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.wall + other.wall,
            self.imap + other.imap,
            self.others + other.others,
            max(self.peak, other.peak),
            self.bytes + other.bytes,
        )

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.wall - other.wall,
            self.imap - other.imap,
            self.others - other.others,
            self.peak - other.peak,
            self.bytes - other.bytes,
        )


class SessionError(Exception):
    """imap has ended, or said NO."""


def environment(folder: str, name: str, settings: dict[str, str]) -> str:
    """Write FOLDER/NAME: what imap gets from its master for these settings, so that
    no session spends time on configuration. Returns its path."""
    settings = {
        "protocols": "",
        "ssl": "no",
        "base_dir": f"{folder}/run",
        "state_dir": f"{folder}/run",
        "log_path": "/dev/stderr",
        "namespace/inbox/inbox": "yes",
    } | settings
    with open(f"{folder}/{name}.conf", "w", encoding="utf-8") as file:
        file.write(configuration("".join(section(key.split("/"), value) for key, value in settings.items())))
    base = {"PATH": "/usr/bin:/bin", "USER": "bench", "HOME": folder, "LOAD_IMAP": libexec("imap")}
    if dovecot_is("2.4"):
        base["LOAD_CONFIG"] = f"{folder}/{name}.config"
    command = ["doveconf", "-c", f"{folder}/{name}.conf", *(DOVECONF_24 if dovecot_is("2.4") else DOVECONF_23)]
    with open(f"{folder}/{name}", "wb") as file:
        subprocess.run(command, stdout=file, env=base, check=True)
    return f"{folder}/{name}"


def section(keys: list[str], value: str) -> str:
    """A line of dovecot.conf, within as many sections as its key says."""
    if len(keys) == 1:
        return f'{keys[0]} = "{value}"\n' if value else f"{keys[0]} =\n"
    head = " ".join(keys[:-1])
    return f"{head} {{\n  {section(keys[-1:], value)}}}\n"


class Session:
    def __init__(self, load: str, env: str, remote: str | None, memory_bytes: int) -> None:
        options = ["-r", remote] if remote else []
        options += ["-m", str(memory_bytes)] if memory_bytes else []
        self.log = f"{env}.log"
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [load, *options, env], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            self.greeting = self.cost("the greeting")
        except SessionError:
            self.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, command: str, may_fail: bool = False) -> Cost:
        return self.send(f"do {command}", command, may_fail)

    def append(self, mailbox: str, mode: str, first: int, count: int, folder: str) -> Cost:
        return self.send(f"append {mailbox} {mode} {first} {count} {folder}", f"APPEND to {mailbox}")

    def send(self, line: str, command: str, may_fail: bool = False) -> Cost:
        assert self.process.stdin
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.cost(command, may_fail)

    def cost(self, command: str, may_fail: bool = False) -> Cost:
        assert self.process.stdout
        line = self.process.stdout.readline()
        wall, imap, others, peak, count, answer = (line.split(maxsplit=5) + [""] * 6)[:6]
        if not line or not (answer.startswith(("OK", "[CAPABILITY")) or may_fail):
            raise SessionError(f"{command}: {answer.strip() or 'no answer'}; {last_line(self.log)}")
        return Cost(int(wall) / 1e9, int(imap) / 1e9, int(others) / 1e9, int(peak) / 1024, int(count))

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
        self.process.stdout.close()


def last_line(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines() or ["nothing was logged"]
    return lines[-1]
