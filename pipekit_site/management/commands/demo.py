"""`manage.py demo`: sync sample tables with each strategy into an embedded PostgreSQL; needs nothing but Python."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from rich.console import Console

from connections.management.base import BaseCommand
from connections.management.exit_codes import ExitCode
from pipekit_site.demo import demo


class Command(BaseCommand):
    help = "Start an embedded PostgreSQL, sync an AS/400-like source to it with each strategy twice, and compare them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--stop", action="store_true", help="stop the PostgreSQL that the demo started")

    def handle(self, *, stop: bool, **options: Any) -> None:
        if stop:
            if demo.stop():
                self.stdout.write("The demo's PostgreSQL is stopped. The next command that uses it starts it again.")
            else:
                self.stdout.write("There is no demo in this data directory.")
            return
        self.exit_code = ExitCode.DONE if demo.run_demo(_console()) else ExitCode.FAILED


def _console() -> Console:
    file = getattr(sys.stdout, "unfiltered", None)
    console = Console(file=file)
    # a pipe has no width; the tables need this much
    return console if console.is_terminal else Console(width=100)
