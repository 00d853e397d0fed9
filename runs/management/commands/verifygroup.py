"""`manage.py verifygroup NAME`: compare a group's modules with their destinations, one after another."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from connections.management.base import CommandFailed
from connections.management.exit_codes import ExitCode, worst
from connections.sdk.errors import AlreadyRunning
from modules.models import Module
from runs.cli.exit_code_by_status import exit_code_of
from runs.cli.find import find_group
from runs.cli.verify_command import FORCE_ALONE, VerifyCommand, usage_error
from runs.lifecycle import signals
from runs.verifications import report
from runs.verifications.insert import VerificationRequest
from runs.verifications.launch import enabled_members


class Command(VerifyCommand):
    help = "Compare the source of each of a group's modules with its destination. Result on stdout, progress on stderr."

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # of the modules that were verified
        self.results: list[dict[str, Any]] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the group's name")
        super().add_arguments(parser)

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        begun, results = self.verification, list(self.results)
        if begun is not None and begun.pk not in [result["verification"] for result in results]:
            results.append(report.verification_failed(begun, error))
        return _as_json(options.get("name"), results, error)

    def handle(self, name: str, **options: Any) -> None:
        if options["force"] and not options["repair"]:
            raise usage_error(*FORCE_ALONE)
        if not (modules := enabled_members(find_group(name).pk)):
            raise CommandFailed(
                f"The group “{name}” has no enabled module.",
                hint="Enable one, or add one to the group.",
                code="not_found",
                returncode=ExitCode.NOT_FOUND,
            )
        request = VerificationRequest(repair=options["repair"], force=options["force"])
        codes = list[ExitCode]()
        for module in modules:
            # a block for each: cancelling one in the admin does not cancel the next
            with signals.as_interrupt(deferred=True) as received:
                result, code = self._verify(module, request, **options)
            self.results.append(result)
            codes.append(code)
            if any(number != signals.FROM_THREAD for number in received):
                # even if it was too late for the verification that was running
                codes.append(ExitCode.CANCELLED)
                break
        if options["json"]:
            self.write_result(json.dumps(_as_json(name, self.results, None)))
        self.exit_code = worst(codes)

    def _verify(self, module: Module, request: VerificationRequest, **options: Any) -> tuple[dict[str, Any], ExitCode]:
        """Verify one module; return the result for JSON, and the exit code."""
        try:
            verification = self.verify(module, request, **options)
        except AlreadyRunning as busy:
            self.write_error(busy.as_dict())
            return report.verification_not_begun(module.name, busy.as_dict()), ExitCode.ALREADY_RUNNING
        return report.verification_as_json(verification), exit_code_of(verification)


def _as_json(group: str | None, results: list[dict[str, Any]], error: Mapping[str, str] | None) -> dict[str, Any]:
    return {"group": group, "verifications": results, "error": error}
