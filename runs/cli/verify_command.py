"""Base class of the commands that verify: common options, and the verification of one module."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from modules.models import Module
from runs.models.verification import Verification
from runs.verifications.execute import execute_verification
from runs.verifications.insert import VerificationRequest, insert_verification
from runs.verifications.report import verification_summary

# message and hint
FORCE_ALONE = ("--force needs --repair: only a repair has safety limits.", "Add --repair, or remove --force.")


class VerifyCommand(BaseCommand):
    """A command that verifies one or several modules in this process."""

    # the last one that was begun
    verification: Verification | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repair", action="store_true", help="pull rows that differ again, and delete extra rows where runs do so"
        )
        parser.add_argument("--force", action="store_true", help="override safety limits for repairs; recorded")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    def verify(self, module: Module, request: VerificationRequest, **options: Any) -> Verification:
        """Verify the module; print its summary, unless the result is JSON, and its error.

        Raises AlreadyRunning while the module is being verified.
        """
        self.verification = verification = insert_verification(module, request)
        execute_verification(verification, show=(lambda text: None) if options["quiet"] else self.stderr.write)
        if not options["json"]:
            self.write_result(verification_summary(verification))
        if verification.error:
            self.write_error(verification.error)
        return verification


def usage_error(message: str, hint: str) -> CommandFailed:
    """Return the error for options that are invalid or contradict each other."""
    return CommandFailed(message, hint=hint, code="usage")
