"""`manage.py doctor`: what this install stands on, checked one by one, each with what to do about it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from connections.management.base import BaseCommand
from pipekit_site.doctor import checks as examining


class Command(BaseCommand):
    help = "Check this install: Python, packages, clock, configuration, metadata, secrets, drivers, jrunner."
    # they are among what it reports
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--connections", action="store_true", help="also connect to every system; may take a while")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")

    def handle(self, *, connections: bool, **options: Any) -> None:
        checks = []
        for check in examining.examine(connections=connections):
            checks.append(check)
            if not options["json"]:
                self._show(check)
        ok = all(check.ok for check in checks)
        if options["json"]:
            answer = {"ok": ok, "checks": [check.as_json() for check in checks]}
            self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2))
        if not ok:
            sys.exit(1)

    def _show(self, check: examining.Check) -> None:
        self.stdout.write(f"{'✔' if check.ok else '✘'} {check.name}: {check.message}")
        if check.hint:
            self.stdout.write(f"  → {check.hint}")
        self.stdout.flush()
