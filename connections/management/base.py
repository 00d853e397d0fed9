"""Base class of Pipekit's management commands: checks, results, errors and exit codes.

Django runs all system checks before each command, which imports the URLs and the whole admin: half of the time of a
small run. Their result does not change between two runs of an installation, so only Pipekit's own checks run here; all
run when `serve` starts, and with `manage.py check --all`.
"""

from __future__ import annotations

import argparse
import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, NoReturn

from django.core.management.base import BaseCommand as DjangoCommand
from django.core.management.base import CommandError, CommandParser

from connections.management.exit_codes import ExitCode
from connections.sdk.errors import PipekitError
from connections.sdk.formatting import indented

# of continuation lines of an error
_INDENT = " " * 7


class CommandFailed(CommandError):
    """A CommandError with hint, detail, error code and exit code.

    ``report`` returns the JSON object that a command with ``--json`` prints in this case, from the error's fields.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        code: str,
        detail: str = "",
        returncode: int = ExitCode.USAGE,
        report: Callable[[Mapping[str, str]], object] | None = None,
    ) -> None:
        super().__init__(f"{message} {hint} {detail}".strip(), returncode=returncode)
        self.details = {"code": code, "message": message, "hint": hint, "detail": detail}
        self.report = None if report is None else report(self.details)

    @classmethod
    def of(cls, error: PipekitError | Mapping[str, str], **options: Any) -> CommandFailed:
        """Return the command's error for a PipekitError, or for the fields of one; ``options`` as for the class."""
        fields = error.as_dict() if isinstance(error, PipekitError) else error
        detail = fields.get("detail", "")
        return cls(fields["message"], hint=fields["hint"], code=fields["code"], detail=detail, **options)


class BaseCommand(DjangoCommand):
    """A command that runs only the checks of the installation (files, permissions, variables) before it.

    It raises a `PipekitError` or `CommandFailed` for an error, which is printed to stderr as message, hint, detail and
    code. ``handle`` sets ``exit_code`` where a command that worked has a result for which it is not 0. Callers from
    Python catch CommandFailed.
    """

    requires_system_checks: list[str] | Literal["__all__"] = ["pipekit"]
    # the exit code for a PipekitError of a class; 1 for all others
    error_exit_codes: ClassVar[Mapping[type[PipekitError], int]] = {}
    exit_code: int = ExitCode.DONE

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **options)
        if getattr(self, "_called_from_command_line", False):
            for each in _with_subparsers(parser):
                each.error = partial(self._refuse, each.prog)  # type: ignore[method-assign]
        return parser

    def _refuse(self, program: str, message: str) -> NoReturn:
        """Report arguments that argparse does not accept in the form of all errors, instead of its own."""
        text = f"{message[:1].upper()}{message[1:].rstrip('.')}."
        self.write_error({"code": "usage", "message": text, "hint": f"{program} --help shows what it takes."})
        sys.exit(ExitCode.USAGE)

    def execute(self, *arguments: Any, **options: Any) -> str | None:
        try:
            output = self._execute(*arguments, **options)
        except CommandFailed as failed:
            if options.get("traceback") or not self._called_from_command_line:  # type: ignore[attr-defined]
                raise
            if options.get("json") and failed.report is not None:
                self.write_result(json.dumps(failed.report))
            self.write_error(failed.details)
            sys.exit(failed.returncode)
        if self.exit_code:
            sys.exit(self.exit_code)
        return output

    def _execute(self, *arguments: Any, **options: Any) -> str | None:
        try:
            return super().execute(*arguments, **options)
        except PipekitError as error:
            codes = self.error_exit_codes
            returncode = next((code for base, code in codes.items() if isinstance(error, base)), ExitCode.FAILED)
            raise CommandFailed.of(error, returncode=returncode) from error

    def write_result(self, text: str) -> None:
        """Write the result to stdout. A failure to write it is reported, and does not change the exit code."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            pass
        except OSError as failure:
            self.stderr.write(f"error: The result could not be written to stdout: {failure.strerror}.")

    def write_error(self, fields: Mapping[str, str]) -> None:
        """Write an error, as ``PipekitError.as_dict()`` returns it, to stderr."""
        self.stderr.write(error_text(fields))


def _with_subparsers(parser: ArgumentParser) -> Iterator[ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _with_subparsers(each)


def error_text(error: Mapping[str, str]) -> str:
    """Return the text of an error, given as ``PipekitError.as_dict()``: message, hint, detail and code."""
    lines = [f"error: {indented(error['message'], _INDENT)}"]
    if error.get("hint"):
        lines.append(f"fix:   {indented(error['hint'], _INDENT)}")
    # a number is meant for programs: the active run's, of already_running
    if error.get("detail") and not error["detail"].isdecimal():
        lines.append("why:   " + indented(error["detail"].strip(), _INDENT))
    return "\n".join([*lines, f"code:  {error['code']}"])
