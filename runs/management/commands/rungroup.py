"""`manage.py rungroup NAME`: run a group, each member in its own process, and print the result."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import AlreadyRunning
from runs.cli import follow, json_report
from runs.cli.exit_code_by_status import exit_code_of
from runs.cli.find import find_group
from runs.cli.text import group_run_summary
from runs.lifecycle import signals
from runs.lifecycle.cancel import stop_execution
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_group_run
from runs.models import GroupRun, Run


class Command(BaseCommand):
    help = "Run a group's modules in run order and wait until they have ended. Result on stdout, progress on stderr."

    # as far as it was started; its runs as they were read last
    group_run: GroupRun | None = None
    runs: list[Run]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.runs = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the group's name")
        parser.add_argument("--dry-run", action="store_true", help="build each module's SQL, move nothing")
        parser.add_argument("--full-refresh", action="store_true", help="run each module as strategy full, once")
        parser.add_argument("--no-wait", action="store_true", help="return as soon as the group run is started")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        if self.group_run is None:
            return json_report.group_run_not_begun(options.get("name"), error)
        return json_report.group_run_failed(self.group_run, self.runs, error)

    def handle(self, name: str, **options: Any) -> None:
        group = find_group(name)
        try:
            request = RunRequest(dry_run=options["dry_run"], full_refresh=options["full_refresh"])
            self.group_run = group_run = launch_group_run(group, request)
        except AlreadyRunning as busy:
            raise CommandFailed.of(busy, returncode=ExitCode.ALREADY_RUNNING) from None
        if not options["no_wait"]:
            self._wait(group_run, quiet=options["quiet"])
        as_json = json_report.group_run_as_json
        self.write_result(json.dumps(as_json(group_run)) if options["json"] else group_run_summary(group_run))
        if group_run.error:
            self.write_error(group_run.error)
        if group_run.is_final or not options["no_wait"]:
            self.exit_code = exit_code_of(group_run)

    def _wait(self, group_run: GroupRun, *, quiet: bool) -> None:
        """Print the progress until the group run has ended; Ctrl+C cancels it."""
        with signals.as_interrupt():
            try:
                follow.watch_group(group_run, lambda text: None if quiet else self.stderr.write(text), self.runs)
            except KeyboardInterrupt:
                signals.shield()
                stop_execution(group_run)
