"""Starts a program as a process of its own that nobody waits for: ``python detaching.py LOG PROGRAM ARGUMENT...``.

Prints the process id. The program has a session of its own, no standard input, and appends its output to LOG; it has
no pipe to whoever asked. Knows nothing but the standard library, because it starts in a moment that way.
"""

from __future__ import annotations

import os
import sys


def main(log: str, argv: list[str]) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    # closed as the program begins: silence there means that it did
    asker = os.dup(2)
    os.set_inheritable(asker, False)
    pid = os.fork()
    if pid:
        print(pid)
        return
    try:
        os.setsid()
        os.dup2(nowhere, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execv(argv[0], argv)
    except OSError as error:
        os.write(asker, f"{argv[0]}: {error.strerror}".encode())
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
