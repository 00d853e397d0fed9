"""Base class of Pipekit's management commands.

Django runs all system checks before each command, which imports the URLs and the whole admin: half of the time of a
small run. Their result does not change between two runs of an installation, so only Pipekit's own checks run here; all
run when `serve` starts, and with `manage.py check --all`.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

from django.core.management.base import BaseCommand as DjangoCommand
from django.core.management.base import CommandError

from connections.management.error_text import error_text
from connections.sdk.errors import PipekitError


class CommandFailed(CommandError):
    """A CommandError with hint, detail and error code."""

    def __init__(self, message: str, *, hint: str, code: str, detail: str = "", returncode: int = 2) -> None:
        super().__init__(f"{message} {hint} {detail}".strip(), returncode=returncode)
        self.details = {"message": message, "hint": hint, "detail": detail, "code": code}

    @classmethod
    def of(cls, error: PipekitError, *, returncode: int = 2) -> CommandFailed:
        """Return the command's error for a PipekitError."""
        return cls(error.message, hint=error.hint, detail=error.detail, code=error.code, returncode=returncode)


class BaseCommand(DjangoCommand):
    """A command that runs only the checks of the installation (files, permissions, variables) before it."""

    requires_system_checks: list[str] | Literal["__all__"] = ["pipekit"]

    def execute(self, *arguments: Any, **options: Any) -> str | None:
        try:
            return super().execute(*arguments, **options)
        except CommandFailed as failed:
            # callers from Python catch the exception
            if options.get("traceback") or not self._called_from_command_line:  # type: ignore[attr-defined]
                raise
            self.stderr.write(error_text(failed.details))
            sys.exit(failed.returncode)
