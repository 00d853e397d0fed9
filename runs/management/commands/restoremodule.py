"""`manage.py restoremodule NAME`: put back the former table, which the module's last run has exchanged and kept."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from runs.cli.run_command import RunCommand
from runs.lifecycle.insert import RunRequest


class Command(RunCommand):
    help = "Put back the table that the module's last run exchanged, unless anything wrote to the new one since."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the module's name")
        self.add_output_arguments(parser)

    def handle(self, name: str, **options: Any) -> None:
        self.execute_request(name, RunRequest(restore=True), **options)
