"""The base of commands that execute one run of a module in their own process, and print it."""

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


class RunCommand(BaseCommand):
    """Result on stdout, progress on stderr; exit codes by the run's status."""

    # as far as it was started
    run: Run | None = None

    def add_output_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        parser.add_argument("--quiet", action="store_true", help="no progress, only warnings")

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        if self.run is None:
            return json_report.run_not_begun(options.get("name"), error)
        return json_report.run_failed(self.run, error)

    def execute_request(
        self, name: str, request: RunRequest, *, json: bool, quiet: bool, retry: bool = False, **_: Any
    ) -> None:
        """Execute the run and print it."""
        module = find_module(name)
        with signals.as_interrupt(deferred=True) as received:
            try:
                self.run = run = insert_run(module, request)
            except AlreadyRunning as busy:
                raise CommandFailed.of(busy, returncode=ExitCode.ALREADY_RUNNING) from None
            execute_run(run, on_event=progress.event_printer(self.stderr, quiet=quiet), retry=retry)
        self.write_result(_as_json(run) if json else run_summary(run))
        if run.error:
            self.write_error(run.error)
        self.exit_code = exit_code_of(run, received=received)


def _as_json(run: Run) -> str:
    return json.dumps(json_report.run_as_json(run))
