"""`manage.py cancelrun RUN`: stop a run, group run or verification and wait until it has ended."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from runs.lifecycle.cancel import CancelResult, stop_execution
from runs.models import GroupRun, Run, Verification
from runs.models.publish_outcome import unfinished_sentence
from runs.verifications.cancel import stop_verification


class Command(BaseCommand):
    help = "Stop a run and wait until it has ended. Rows that are published stay. Exits with 1 unless cancelled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the run's number")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--group-run", action="store_true", help="the number is a group run's: stop all its runs")
        kind.add_argument("--verification", action="store_true", help="the number is a verification's")

    def handle(self, run: int, **options: Any) -> None:
        model: type[Run] | type[GroupRun] | type[Verification] = Run
        if options["group_run"]:
            model = GroupRun
        elif options["verification"]:
            model = Verification
        name = model._meta.verbose_name
        row = model._default_manager.filter(pk=run).first()
        if row is None:
            hint = "The admin lists them." if model is Verification else "manage.py runs lists the numbers."
            raise CommandFailed(
                f"There is no {name} {run}.", hint=hint, code="not_found", returncode=ExitCode.NOT_FOUND
            )
        result = stop_verification(row) if isinstance(row, Verification) else stop_execution(row)
        texts = {
            CancelResult.CANCELLED: "cancelled",
            CancelResult.TOO_LATE: "too late, published",
            CancelResult.ENDED: f"over already: {row.status}",
            CancelResult.REQUESTED: f"requested, still {row.status}: its process is on {row.host or 'another machine'}",
        }
        self.stdout.write(f"{name} {run}: {texts[result]}")
        if result in (CancelResult.ENDED, CancelResult.TOO_LATE):
            message = f"The {name} has already ended ({row.status}), so there is nothing to cancel."
            hint = "" if model is Verification else "manage.py runs lists what is running."
            if result is CancelResult.TOO_LATE:
                message = f"The cancel came too late: the {name} had published, and has ended: {row.status}."
                hint = f"The rows stay. {unfinished_sentence(row.unfinished) if isinstance(row, Run) else ''}".strip()
            raise CommandFailed(message, hint=hint, code="over_already", returncode=ExitCode.FAILED)
        self.exit_code = ExitCode.DONE if result is CancelResult.CANCELLED else ExitCode.FAILED
