"""Starts a detached process: ``python detach.py LOG PROGRAM ARGUMENT...``.

Prints its pid. The program runs in a new session without standard input, appends its output to LOG and shares no pipe
with the caller. Imports only the standard library, so that it starts within milliseconds.
"""

from __future__ import annotations

import os
import sys


def main(log: str, argv: list[str]) -> None:
    """Fork; execute ``argv`` in the child and print its pid in the parent."""
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    # the caller's stderr, closed by execv: nothing written there means that the program has started
    caller = os.dup(2)
    os.set_inheritable(caller, False)
    pid = os.fork()
    if pid:
        print(pid)
        return
    try:
        os.setsid()
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execv(argv[0], argv)
    except OSError as error:
        os.write(caller, f"{argv[0]}: {error.strerror}".encode())
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
