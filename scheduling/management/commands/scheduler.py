"""`manage.py scheduler`: the tick in a loop, for machines without cron."""

from __future__ import annotations

import sys
from typing import Any

from connections.management.base import BaseCommand
from scheduling import loop


class Command(BaseCommand):
    help = "Tick every minute until it is told to end (SIGTERM, Ctrl+C). Not needed where cron ticks: installcron."

    def handle(self, **options: Any) -> None:
        self.stderr.write("Ticking every minute. Ctrl+C ends it; runs that were started go on.")
        received = loop.loop(self.stderr.write)
        self.stderr.write(f"Ended by {received.name}.")
        sys.exit(128 + received)
