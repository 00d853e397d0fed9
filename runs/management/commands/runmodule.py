"""`manage.py runmodule NAME`: run one module in this process and print the result."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from runs.cli.run_command import RunCommand
from runs.lifecycle.insert import RunRequest


class Command(RunCommand):
    help = "Run one module: resolve, stage, transfer, publish. Result on stdout, progress on stderr."

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
        self.add_output_arguments(parser)

    def handle(self, name: str, **options: Any) -> None:
        request = RunRequest(dry_run=options["dry_run"], full_refresh=options["full_refresh"], force=options["force"])
        self.execute_request(name, request, **options)
