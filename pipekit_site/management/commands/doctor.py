"""`manage.py doctor`: check the installation, with a hint for each problem."""

from __future__ import annotations

import argparse
from typing import Any

from connections.management.base import BaseCommand
from connections.management.exit_codes import ExitCode
from pipekit_site.doctor.checks import checks_as_json, run_all_checks


class Command(BaseCommand):
    help = "Check the installation: Python, packages, clock, configuration, metadata, secrets, drivers, jrunner."
    # run and reported by the check of the configuration
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--connections", action="store_true", help="also test all connections; may take a while")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *, connections: bool, **options: Any) -> None:
        checks = []
        for check in run_all_checks(connections=connections):
            checks.append(check)
            if not options["json"]:
                # each as soon as it ends
                self.stdout.write(check.as_text())
                self.stdout.flush()
        if options["json"]:
            self.stdout.write(checks_as_json(checks))
        self.exit_code = ExitCode.DONE if all(check.ok for check in checks) else ExitCode.FAILED
