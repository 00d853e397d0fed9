"""`manage.py cancelrun RUN`: stop a run, and say whether that was in time."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from runs.lifecycle import cancel
from runs.lifecycle.cancel import Answer
from runs.models import GroupRun, Run


class Command(BaseCommand):
    help = "Stop a run and wait for its end; the destination stays as it was. Exit code 1 when it was not cancelled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the run's number")
        parser.add_argument("--group-run", action="store_true", help="the number is a group run's: stop all of it")

    def handle(self, run: int, **options: Any) -> None:
        model: type[Run] | type[GroupRun] = GroupRun if options["group_run"] else Run
        name = "group run" if options["group_run"] else "run"
        row = model._default_manager.filter(pk=run).first()
        if row is None:
            hint = "The numbers are listed by manage.py runs."
            raise CommandFailed(f"There is no {name} {run}.", hint=hint, code="not_found", returncode=3)
        answer = cancel.stop(row)
        told = {
            Answer.CANCELLED: "cancelled",
            Answer.TOO_LATE: "too late, published",
            Answer.OVER: f"over already: {row.status}",
            Answer.ASKED: f"asked, and still {row.status}: its process is on {row.host or 'another machine'}",
        }
        self.stdout.write(f"{name} {run}: {told[answer]}")
        if answer is Answer.OVER:
            message = f"The {name} has ended already ({row.status}), so there is nothing to cancel."
            raise CommandFailed(
                message, hint="manage.py runs lists what is running.", code="over_already", returncode=1
            )
        sys.exit(0 if answer is Answer.CANCELLED else 1)
