"""`manage.py verifymodule NAME`: compare a module's source with its destination, and repair what differs."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from connections.management.base import BaseCommand
from connections.sdk.errors import AlreadyRunning
from modules.models import Module
from runs.cli import text as terminal
from runs.lifecycle import signals
from runs.verifications import cancel, execute, report
from runs.verifications.launch import VerificationRequest, claim


class Command(BaseCommand):
    help = "Compare a module's source with its destination. Result on stdout, progress on stderr."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the module's name")
        parser.add_argument(
            "--repair", action="store_true", help="pull rows that differ again, and delete extra rows where runs do so"
        )
        parser.add_argument("--force", action="store_true", help="override safety limits for the repair; recorded")
        parser.add_argument("--since", help="only rows from this watermark value on, or of an interval such as 2 days")
        parser.add_argument("--columns", help="compare only these destination columns, such as a,b")
        parser.add_argument("--sample", metavar="ROWS", help="compare a sample of about this many rows")
        parser.add_argument("--cancel", action="store_true", help="stop the active verification")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    def handle(self, name: str, **options: Any) -> None:
        if invalid := _usage_error(options):
            message, hint = invalid
            error = {"code": "usage", "message": message, "hint": hint, "detail": ""}
            self._refuse(name, error, code=2, as_json=options["json"])
        module = Module.objects.with_connections().filter(name=name).first()
        if module is None:
            error = terminal.not_found("module", name, Module.objects.values_list("name", flat=True))
            self._refuse(name, error, code=3, as_json=options["json"])
        if options["cancel"]:
            self._cancel(module, as_json=options["json"])
        scope = {
            "columns": _names(options["columns"] or ""),
            "since": options["since"],
            "sample": options["sample"] and int(options["sample"]),
        }
        request = VerificationRequest(
            repair=options["repair"],
            force=options["force"],
            options={key: value for key, value in scope.items() if value},
        )
        with signals.as_interrupt(deferred=True):
            try:
                verification = claim(module, request)
            except AlreadyRunning as busy:
                self._refuse(name, busy.as_dict(), code=4, as_json=options["json"])
            execute.execute(verification, show=(lambda text: None) if options["quiet"] else self.stderr.write)
        text = json.dumps(report.as_json(verification)) if options["json"] else report.summary(verification)
        terminal.result(self.stdout, self.stderr, text)
        if verification.error:
            self.stderr.write(terminal.error(verification.error))
        sys.exit(report.exit_code(verification))

    def _cancel(self, module: Module, *, as_json: bool) -> NoReturn:
        verification, answer = cancel.cancel(module)
        if verification is None:
            message = f"{module.name} is not being verified."
            error = {"code": "not_found", "message": message, "hint": "There is no verification to stop.", "detail": ""}
            self._refuse(module.name, error, code=3, as_json=as_json)
        text = f"verification {verification.pk}: {answer}"
        terminal.result(self.stdout, self.stderr, json.dumps(report.as_json(verification)) if as_json else text)
        sys.exit(0 if answer == cancel.CANCELLED else 1)

    def _refuse(self, name: str, error: dict[str, str], *, code: int, as_json: bool) -> NoReturn:
        if as_json:
            terminal.result(self.stdout, self.stderr, json.dumps(report.not_begun(name, error)))
        self.stderr.write(terminal.error(error))
        sys.exit(code)


def _usage_error(options: dict[str, Any]) -> tuple[str, str] | None:
    """Return message and hint for invalid options; None if they are valid."""
    sample = options["sample"]
    if sample is not None and not (sample.isascii() and sample.isdecimal() and int(sample) > 0):
        return f"--sample {sample}: not a number of rows.", "Write a whole number above 0, such as --sample 100000."
    if options["columns"] is not None and not _names(options["columns"]):
        return (
            "--columns names no column.",
            "Name columns of the destination, such as --columns a,b, or omit the option.",
        )
    if options["since"] is not None and not options["since"].strip():
        return "--since is empty.", "Write a value of the watermark column, or an interval such as 2 days, or omit it."
    if options["force"] and not options["repair"]:
        return report.FORCE_ALONE
    given = [name for name in ("repair", "since", "columns", "sample") if options[name]]
    if options["cancel"] and given:
        return f"--cancel stops a verification; --{given[0]} starts one.", "Use one of the two."
    return None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
