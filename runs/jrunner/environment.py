"""Makes the machine's settings mean nothing: time zone, locale, encoding, libpq's variables; sets Arrow's allocator.

Keeps what the process knows in it: no core dumps.
"""

from __future__ import annotations

import io
import os
import sys
import time

from connections.sdk.process_memory import keep_private

_IGNORED = ("PGTZ", "PGDATESTYLE", "PGOPTIONS", "PGCLIENTENCODING", "PGGEQO", "PGAPPNAME", "PGSERVICE", "PGSERVICEFILE")


def neutralise() -> None:
    """Called before any driver is imported; they read these when they load."""
    keep_private()
    for name in _IGNORED:
        os.environ.pop(name, None)
    os.environ["TZ"] = "UTC"
    # Arrow's own allocators keep what is free; the system's gives it back
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    time.tzset()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a lone surrogate must not stop an error from being told
            stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream is not sys.stdin else "strict")
