"""`manage.py runmodule NAME`: run one module in this process and print the result."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import AlreadyRunning
from runs.cli import json_report, progress
from runs.cli.exit_code_by_status import exit_code_of
from runs.cli.find import find_module
from runs.cli.text import run_summary
from runs.lifecycle import signals
from runs.lifecycle.execute import execute_run
from runs.lifecycle.insert import RunRequest, insert_run
from runs.models import Run


class Command(BaseCommand):
    help = "Run one module: resolve, stage, transfer, publish. Result on stdout, progress on stderr."

    # as far as it was started
    run: Run | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the module's name")
        parser.add_argument(
            "--dry-run", action="store_true", help="build and check the SQL, move nothing; works without the source"
        )
        parser.add_argument("--full-refresh", action="store_true", help="run it as strategy full, once")
        parser.add_argument("--force", action="store_true", help="override safety limits for this run; recorded")
        parser.add_argument(
            "--retry", action="store_true", help="retry transient failures as the module says; default: one attempt"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        parser.add_argument("--quiet", action="store_true", help="no progress, only warnings")

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        if self.run is None:
            return json_report.run_not_begun(options.get("name"), error)
        return json_report.run_failed(self.run, error)

    def handle(self, name: str, **options: Any) -> None:
        module = find_module(name)
        request = RunRequest(dry_run=options["dry_run"], full_refresh=options["full_refresh"], force=options["force"])
        with signals.as_interrupt(deferred=True) as received:
            try:
                self.run = run = insert_run(module, request)
            except AlreadyRunning as busy:
                raise CommandFailed.of(busy, returncode=ExitCode.ALREADY_RUNNING) from None
            print_event = progress.event_printer(self.stderr, quiet=options["quiet"])
            execute_run(run, on_event=print_event, retry=options["retry"])
        self.write_result(json.dumps(json_report.run_as_json(run)) if options["json"] else run_summary(run))
        if run.error:
            self.write_error(run.error)
        self.exit_code = exit_code_of(run, received=received)
