"""`manage.py verifygroup NAME`: compare a group's modules with their destinations, one after another."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from connections.management.base import BaseCommand
from connections.sdk.errors import AlreadyRunning
from modules.models import Group, Module
from runs.cli import text as terminal
from runs.lifecycle import signals
from runs.verifications import execute, report
from runs.verifications.launch import VerificationRequest, claim, members

_USAGE, _NOT_FOUND, _BUSY, _CANCELLED = 2, 3, 4, 130


class Command(BaseCommand):
    help = "Compare the source of each of a group's modules with its destination. Result on stdout, progress on stderr."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the group's name")
        parser.add_argument(
            "--repair", action="store_true", help="pull rows that differ again, and delete extra rows where runs do so"
        )
        parser.add_argument("--force", action="store_true", help="override safety limits for the repairs; recorded")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    def handle(self, name: str, **options: Any) -> None:
        if options["force"] and not options["repair"]:
            message, hint = report.FORCE_ALONE
            error = {"code": "usage", "message": message, "hint": hint, "detail": ""}
            self._refuse(name, error, as_json=options["json"], code=_USAGE)
        group = Group.objects.filter(name=name).first()
        if group is None:
            error = terminal.not_found("group", name, Group.objects.values_list("name", flat=True))
            self._refuse(name, error, as_json=options["json"])
        if not (modules := members(group.pk)):
            error = {
                "code": "not_found",
                "message": f"The group “{name}” has no enabled module.",
                "hint": "Enable one, or add one to the group.",
                "detail": "",
            }
            self._refuse(name, error, as_json=options["json"])
        request = VerificationRequest(repair=options["repair"], force=options["force"])
        results, codes = list[dict[str, Any]](), list[int]()
        for module in modules:
            # a block for each: cancelling one in the admin does not cancel the next
            with signals.as_interrupt(deferred=True) as received:
                result, code = self._verify(module, request, **options)
            results.append(result)
            codes.append(code)
            if any(number != signals.FROM_THREAD for number in received):
                # even if it was too late for the verification that was running
                codes.append(_CANCELLED)
                break
        if options["json"]:
            terminal.result(
                self.stdout, self.stderr, json.dumps({"group": name, "verifications": results, "error": None})
            )
        sys.exit(next(code for code in (_CANCELLED, 1, 5, _BUSY, 0) if code in codes))

    def _verify(self, module: Module, request: VerificationRequest, **options: Any) -> tuple[dict[str, Any], int]:
        """Verify one module and print its text; return the result for JSON, and the exit code."""
        try:
            verification = claim(module, request)
        except AlreadyRunning as busy:
            self.stderr.write(terminal.error(busy.as_dict()))
            return report.not_begun(module.name, busy.as_dict()), _BUSY
        execute.execute(verification, show=(lambda text: None) if options["quiet"] else self.stderr.write)
        if not options["json"]:
            terminal.result(self.stdout, self.stderr, report.summary(verification))
        if verification.error:
            self.stderr.write(terminal.error(verification.error))
        return report.as_json(verification), report.exit_code(verification)

    def _refuse(self, name: str, error: dict[str, str], *, as_json: bool, code: int = _NOT_FOUND) -> NoReturn:
        if as_json:
            result = {"group": name, "verifications": [], "error": error}
            terminal.result(self.stdout, self.stderr, json.dumps(result))
        self.stderr.write(terminal.error(error))
        sys.exit(code)
