"""`manage.py runs`: list runs, newest first."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from connections.management.base import BaseCommand
from modules.models import Module
from runs.cli.find import not_found
from runs.cli.json_report import run_as_json
from runs.cli.text import run_line, run_list_header
from runs.models import Run


class Command(BaseCommand):
    help = "List runs, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--module", metavar="NAME", help="only runs of this module")
        parser.add_argument(
            "--limit", type=_count, default=20, metavar="N", help="maximum number of runs (default: 20)"
        )
        parser.add_argument("--json", action="store_true", help="a list of objects as runmodule --json prints them")

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        return [] if error["code"] == "not_found" else None

    def handle(self, *, module: str | None, limit: int, **options: Any) -> None:
        runs = Run.objects.newest_first()
        if module is not None:
            runs = runs.filter(module_name=module)
            if not runs.exists() and not Module.objects.filter(name=module).exists():
                names = Module.objects.values_list("name", flat=True)
                raise not_found("module", module, names)
        if options["json"]:
            self.stdout.write(json.dumps([run_as_json(run) for run in runs[:limit]]))
            return
        if self.stdout.isatty():
            # the header is for people: a pipe gets only runs
            self.stdout.write(run_list_header())
        for run in runs.without_texts()[:limit]:
            self.stdout.write(run_line(run))


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
        raise ArgumentTypeError("expected a whole number, at least 1")
    return int(text)
