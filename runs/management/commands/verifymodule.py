"""`manage.py verifymodule NAME`: compare a module's source with its destination, and repair what differs."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from connections.management.base import CommandFailed
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import AlreadyRunning
from modules.models import Module
from runs.cli.exit_code_by_status import exit_code_of
from runs.cli.find import find_module
from runs.cli.verify_command import FORCE_ALONE, VerifyCommand, usage_error
from runs.lifecycle import signals
from runs.verifications import report
from runs.verifications.cancel import CANCELLED, stop_verification_of
from runs.verifications.execute import invalid_option
from runs.verifications.insert import VerificationRequest


class Command(VerifyCommand):
    help = "Compare a module's source with its destination. Result on stdout, progress on stderr."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the module's name")
        parser.add_argument("--since", help="only rows from this watermark value on, or of an interval such as 2 days")
        parser.add_argument("--columns", help="compare only these destination columns, such as a,b")
        parser.add_argument("--sample", metavar="ROWS", help="compare a sample of about this many rows")
        parser.add_argument("--cancel", action="store_true", help="stop the active verification")
        super().add_arguments(parser)

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        if self.verification is None:
            return report.verification_not_begun(options.get("name"), error)
        return report.verification_failed(self.verification, error)

    def handle(self, name: str, **options: Any) -> None:
        if unusable := _usage_error(options):
            raise usage_error(*unusable)
        module = find_module(name)
        if options["cancel"]:
            return self._cancel(module, as_json=options["json"])
        scope = {
            "columns": _names(options["columns"] or ""),
            "since": options["since"],
            "sample": options["sample"] and int(options["sample"]),
        }
        scope = {key: value for key, value in scope.items() if value}
        if invalid := invalid_option(module, scope):
            raise CommandFailed.of(invalid, returncode=ExitCode.USAGE)
        request = VerificationRequest(repair=options["repair"], force=options["force"], options=scope)
        with signals.as_interrupt(deferred=True):
            try:
                verification = self.verify(module, request, **options)
            except AlreadyRunning as busy:
                raise CommandFailed.of(busy, returncode=ExitCode.ALREADY_RUNNING) from None
        if options["json"]:
            self.write_result(json.dumps(report.verification_as_json(verification)))
        self.exit_code = exit_code_of(verification)

    def _cancel(self, module: Module, *, as_json: bool) -> None:
        verification, answer = stop_verification_of(module)
        if verification is None:
            raise CommandFailed(
                f"{module.name} is not being verified.",
                hint="There is no verification to stop.",
                code="not_found",
                returncode=ExitCode.NOT_FOUND,
            )
        text = f"verification {verification.pk}: {answer}"
        self.write_result(json.dumps(report.verification_as_json(verification)) if as_json else text)
        self.exit_code = ExitCode.DONE if answer == CANCELLED else ExitCode.FAILED


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
        return FORCE_ALONE
    given = [name for name in ("repair", "since", "columns", "sample") if options[name]]
    if options["cancel"] and given:
        return f"--cancel stops a verification; --{given[0]} starts one.", "Use one of the two."
    return None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
