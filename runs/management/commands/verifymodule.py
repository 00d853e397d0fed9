"""`manage.py verifymodule NAME`: compare a module's source with its destination, and repair what differs."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, NoReturn

from connections.commands import BaseCommand
from connections.sdk.errors import AlreadyRunning
from modules.models import Module
from runs import interrupting, terminal, verification_report, verifying
from runs.verification_launch import VerificationRequest, claim


class Command(BaseCommand):
    help = "Compare a module's source with its destination. Result on stdout, progress on stderr."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the module's name")
        parser.add_argument(
            "--repair", action="store_true", help="pull what differs again, delete what is extra as runs do"
        )
        parser.add_argument("--force", action="store_true", help="override safety limits for the repair; recorded")
        parser.add_argument("--since", default="", help="only rows from this watermark on: a value, or 2 days")
        parser.add_argument("--columns", default="", help="compare only these destination columns: a,b")
        parser.add_argument("--sample", type=_rows, default=0, metavar="ROWS", help="compare only about so many rows")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    def handle(self, name: str, **options: Any) -> None:
        module = Module.objects.with_connections().filter(name=name).first()
        if module is None:
            error = terminal.not_found("module", name, Module.objects.values_list("name", flat=True))
            self._refuse(name, error, code=3, as_json=options["json"])
        columns = [column.strip() for column in options["columns"].split(",") if column.strip()]
        chosen = {"columns": columns, "since": options["since"], "sample": options["sample"]}
        request = VerificationRequest(
            repair=options["repair"],
            force=options["force"],
            options={key: value for key, value in chosen.items() if value},
        )
        with interrupting.as_cancel(held=True):
            try:
                verification = claim(module, request)
            except AlreadyRunning as busy:
                self._refuse(name, busy.as_dict(), code=4, as_json=options["json"])
            verifying.execute(verification, log=(lambda text: None) if options["quiet"] else self.stderr.write)
        found = verification_report.as_json(verification)
        text = json.dumps(found) if options["json"] else verification_report.summary(verification)
        terminal.result(self.stdout, self.stderr, text)
        if verification.error:
            self.stderr.write(terminal.error(verification.error))
        sys.exit(verification_report.exit_code(verification))

    def _refuse(self, name: str, error: dict[str, str], *, code: int, as_json: bool) -> NoReturn:
        if as_json:
            terminal.result(self.stdout, self.stderr, json.dumps(verification_report.not_begun(name, error)))
        self.stderr.write(terminal.error(error))
        sys.exit(code)


def _rows(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError("expected a number of rows, at least 1")
    return int(text)
