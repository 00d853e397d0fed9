"""`manage.py tick`: start what is due, once. cron or `manage.py scheduler` does this every minute."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from connections.management.base import BaseCommand
from connections.management.exit_codes import ExitCode
from scheduling import timestamps
from scheduling.tick import lock
from scheduling.tick.tick import tick_and_housekeeping


class Command(BaseCommand):
    help = "Start what is due now. Does nothing while another tick is running; exits with 4 if that one hangs."

    error_exit_codes = {lock.TickHangs: ExitCode.ALREADY_RUNNING}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--at",
            type=timestamps.timestamp,
            metavar="ISO",
            help="tick as of this time; without an offset: server time",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")

    def handle(self, **options: Any) -> None:
        report = tick_and_housekeeping(timestamps.in_zone(options["at"]) if options["at"] else timezone.now())
        if report is None:
            self.stderr.write("Another tick is running; it starts what is due.")
            return
        for line in report.problems():
            self.stderr.write(line)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report), cls=DjangoJSONEncoder))
        else:
            waiting = f", {report.waiting} waiting for the next tick" if report.waiting else ""
            self.stdout.write(f"{len(report.started)} started{waiting}")
