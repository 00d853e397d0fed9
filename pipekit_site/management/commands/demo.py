"""`manage.py demo`: everything Pipekit does, in a minute, on a machine with nothing but Python."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from rich.console import Console

from connections.management.base import BaseCommand
from connections.sdk.errors import PipekitError
from pipekit_site.demo import playing


class Command(BaseCommand):
    help = "Start a PostgreSQL of its own, sync an AS/400-like source into it by every strategy, twice, and verify it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--stop", action="store_true", help="stop the PostgreSQL that the demo has started")

    def handle(self, *, stop: bool, **options: Any) -> None:
        if stop:
            playing.stop()
            self.stdout.write("The demo's PostgreSQL is stopped; whatever needs it next starts it again.")
            return
        try:
            agreed = playing.play(_console())
        except PipekitError as error:
            self.stderr.write(f"error: {error.message}\nfix:   {error.hint}\n{error.detail}")
            sys.exit(1)
        sys.exit(0 if agreed else 1)


def _console() -> Console:
    file = getattr(sys.stdout, "unfiltered", None)
    console = Console(file=file)
    # a pipe has no width of its own; the table wants this much
    return console if console.is_terminal else Console(width=100)
