#!/usr/bin/python3
"""hostile.py PROGRAM [ARG...]: start a program as a careless or hostile caller
would: with descriptors left open, secrets in the environment, all signals that
can be ignored or blocked ignored or blocked, umask 0, and as root with groups
and inheritable and ambient capabilities besides."""

import fcntl
import os
import shutil
import signal
import sys

LEAKED = (3, 9, 10, 63, 200)
GROUPS = "0,4,24"  # root and two more
CAPS = "+net_admin,+dac_override"


def leak() -> None:
    source = os.open("/etc/shadow" if os.getuid() == 0 else "/etc/passwd", os.O_RDONLY)
    for number in LEAKED:
        if number != source:
            os.dup2(source, number)
        os.set_inheritable(number, True)
    root = fcntl.fcntl(os.open("/", os.O_RDONLY | os.O_DIRECTORY), fcntl.F_DUPFD, 100)
    os.set_inheritable(root, True)


def main() -> None:
    program = shutil.which(sys.argv[1]) or sys.argv[1]
    argv = [program, *sys.argv[2:]]
    if os.getuid() == 0:
        argv = ["setpriv", "--groups", GROUPS, "--inh-caps", CAPS, "--ambient-caps", CAPS, "--", *argv]
    leak()
    os.environ |= {"AWS_SECRET": "x", "MAIL_PASSWORD": "x", "IFS": "x", "ENV": "/nonexistent", "BASH_ENV": "/nonexistent"}
    os.environ |= {"BRIDGE_TMP": "/", "BRIDGE_USER": "root", "LD_LIBRARY_PATH": "/nonexistent", "LC_ALL": "C"}
    everything = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}
    for number in everything:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    os.umask(0)
    os.execvp(argv[0], argv)


main()
