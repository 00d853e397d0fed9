"""`manage.py runlog RUN`: print the log of a run, and optionally follow it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from runs.cli import follow
from runs.missing_logs import KEPT, why_missing
from runs.models import Run


class Command(BaseCommand):
    help = "Print a run's log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the run's number")
        parser.add_argument("--follow", action="store_true", help="continue until the run has ended")

    def handle(self, run: int, **options: Any) -> None:
        row = Run.objects.filter(pk=run).first()
        if row is None:
            hint = "manage.py runs lists the numbers."
            raise CommandFailed(f"There is no run {run}.", hint=hint, code="not_found", returncode=ExitCode.NOT_FOUND)
        is_empty = True
        try:
            for text in follow.follow_log(row, follow=options["follow"]):
                is_empty = False
                self.stdout.write(text, ending="")
                self.stdout.flush()
            if is_empty:
                self._explain(row)
        except (PermissionError, NotADirectoryError):
            self._explain(row)
        except (KeyboardInterrupt, BrokenPipeError):
            # only the output ends; the run continues
            self.exit_code = ExitCode.CANCELLED

    def _explain(self, row: Run) -> None:
        """Say why there are no lines; fail if the log cannot be read, or that of a run that has ended is gone."""
        missing = why_missing(row)
        message = f"Run {row.pk}: {missing.reason}"
        if missing.advice:
            raise CommandFailed(
                message, hint=f"{missing.advice} {KEPT}", code="file_unreadable", returncode=ExitCode.FAILED
            )
        if not missing.is_expected:
            raise CommandFailed(message, hint=KEPT, code="not_found", returncode=ExitCode.NOT_FOUND)
        self.stderr.write(message)
