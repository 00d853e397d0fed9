"""`manage.py runlog RUN`: a run's log, as it is or as it grows."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from runs.cli import follow
from runs.models import Run


class Command(BaseCommand):
    help = "Print a run's log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the run's number")
        parser.add_argument("--follow", action="store_true", help="go on until the run is over")

    def handle(self, run: int, **options: Any) -> None:
        found = Run.objects.filter(pk=run).first()
        if found is None:
            hint = "The numbers are listed by manage.py runs."
            raise CommandFailed(f"There is no run {run}.", hint=hint, code="not_found", returncode=3)
        try:
            for text in follow.follow_log(found, follow=options["follow"]):
                self.stdout.write(text, ending="")
                self.stdout.flush()
        except (KeyboardInterrupt, BrokenPipeError):
            # whoever looked on has gone; the run goes on
            sys.exit(130)
