"""`manage.py scheduler`: run the tick every minute, for machines without cron."""

from __future__ import annotations

from typing import Any

from connections.management.base import BaseCommand
from scheduling.loop import tick_until_signal


class Command(BaseCommand):
    help = "Tick every minute until SIGTERM or Ctrl+C. Not needed if cron runs the tick: see installcron."

    def handle(self, **options: Any) -> None:
        self.stderr.write("Ticking every minute. Ctrl+C stops it; runs that were started continue.")
        received = tick_until_signal(self.stderr.write)
        self.stderr.write(f"Stopped by {received.name}.")
        self.exit_code = 128 + received
