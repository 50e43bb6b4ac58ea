#!/usr/bin/python3
"""keyed.py PROGRAM [ARG...]: start a program with a session keyring of its own, in
which is the key dovebridge-test (keyrings(7))."""

import ctypes
import os
import sys

SESSION = -3  # KEY_SPEC_SESSION_KEYRING


def main() -> None:
    keys = ctypes.CDLL("libkeyutils.so.1", use_errno=True)
    keys.keyctl_join_session_keyring(None)
    if keys.add_key(b"user", b"dovebridge-test", b"x", ctypes.c_size_t(1), SESSION) < 0:
        sys.exit(f"no key can be added: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])


main()
