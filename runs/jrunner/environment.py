"""Makes jrunner independent of the machine's settings: time zone, encoding, libpq's environment variables.

Also sets Arrow's memory allocator and disables core dumps, which could contain secrets.
"""

from __future__ import annotations

import io
import os
import sys
import time

from connections.sdk.process_memory import keep_private

_IGNORED = ("PGTZ", "PGDATESTYLE", "PGOPTIONS", "PGCLIENTENCODING", "PGGEQO", "PGAPPNAME", "PGSERVICE", "PGSERVICEFILE")


def neutralise() -> None:
    """Set the process up. Call it before any driver is imported, because drivers read these settings when they load."""
    keep_private()
    for name in _IGNORED:
        os.environ.pop(name, None)
    os.environ["TZ"] = "UTC"
    # Arrow's own allocators keep freed memory; the system's returns it
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    time.tzset()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a lone surrogate must not keep an error from being reported
            stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream is not sys.stdin else "strict")
