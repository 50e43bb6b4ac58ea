#!/usr/bin/python3
"""onpty.py COMMAND [ARG...]: run a program at a terminal of its own, where nobody
sits: 80 columns, 40 lines, what it shows goes to stdout. It ends by itself, or by the
timeout of whoever started it. The exit status is the program's."""

import fcntl
import os
import pty
import struct
import sys
import termios


def main() -> int:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    while True:
        try:
            shown = os.read(terminal, 4096)
        except OSError:  # EIO: the last one has closed it
            shown = b""
        if not shown:
            break
        sys.stdout.buffer.write(shown)
        sys.stdout.buffer.flush()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255


if __name__ == "__main__":
    sys.exit(main())
