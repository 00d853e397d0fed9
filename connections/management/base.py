"""What every command of Pipekit is made from.

Django runs the checks of all code before each command, for which it imports the URLs and every page of the admin:
half of the time that a small run takes. They say nothing that can change between two runs of an install; developers
have `manage.py check` for them.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand as DjangoCommand
from django.core.management.base import CommandError

from connections.management.error_text import error_text
from connections.sdk.errors import PipekitError


class CommandFailed(CommandError):
    """An error of a command with its fix and code, which Django's own form does not have."""

    def __init__(self, message: str, *, hint: str, code: str, detail: str = "", returncode: int = 2) -> None:
        super().__init__(f"{message} {hint} {detail}".strip(), returncode=returncode)
        self.found = {"message": message, "hint": hint, "detail": detail, "code": code}

    @classmethod
    def of(cls, error: PipekitError, *, returncode: int = 2) -> CommandFailed:
        return cls(error.message, hint=error.hint, detail=error.detail, code=error.code, returncode=returncode)


class BaseCommand(DjangoCommand):
    """A command before which only the checks of the installation are run: files, rights, variables."""

    requires_system_checks = ["pipekit"]

    def execute(self, *arguments: Any, **options: Any) -> str | None:
        try:
            return super().execute(*arguments, **options)
        except CommandFailed as failed:
            # who calls it from Python catches it
            if options.get("traceback") or not self._called_from_command_line:  # type: ignore[attr-defined]
                raise
            self.stderr.write(error_text(failed.found))
            sys.exit(failed.returncode)
