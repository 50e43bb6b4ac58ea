"""The Dovecot that is installed: its version, and where its programs and plugins are.
common.bash has the same for bats.
"""

from __future__ import annotations

import functools
import glob
import os
import subprocess

CONFIG = "/usr/lib*/dovecot/dovecot-config"
PROGRAM = "/usr/sbin/dovecot"


@functools.cache
def said(name: str) -> str:
    """What dovecot-config calls dovecot_NAME."""
    for path in glob.glob(CONFIG):
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, _, value = line.strip().partition("=")
                if key == f"dovecot_{name}":
                    return value
    raise FileNotFoundError(f"{CONFIG} does not say dovecot_{name}: is dovecot-dev installed?")


def libexec(program: str) -> str:
    return os.path.join(said("pkglibexecdir"), program)


def alone() -> list[str]:
    """What doveadm wants where no -u is."""
    return ["--no-userdb-lookup"] if dovecot_is("2.4") else []


def kept(*names: str) -> dict[str, str]:
    """For an imap without a master, which forgets all other variables in 2.4."""
    return {"DOVECOT_PRESERVE_ENVS": " ".join(names)} if dovecot_is("2.4") else {}


@functools.cache
def version() -> str:
    """Of bats it comes in the environment."""
    told = os.environ.get("DOVECOT") or subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout
    return told.split()[0]


def dovecot_is(start: str) -> bool:
    """dovecot_is("2.4"): of any of its releases."""
    return f"{version()}.".startswith(f"{start}.")
