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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Literal, NoReturn

from django.core.checks import run_checks
from django.core.management.base import BaseCommand as DjangoCommand
from django.core.management.base import CommandError, CommandParser, SystemCheckError

from connections.management.exit_codes import ExitCode
from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.sdk.formatting import indented

# of continuation lines of an error
_INDENT = " " * 7


class CommandFailed(CommandError):
    """A CommandError with hint, detail, error code and exit code."""

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        code: str,
        detail: str = "",
        returncode: int = ExitCode.USAGE,
    ) -> None:
        super().__init__(f"{message} {hint} {detail}".strip(), returncode=returncode)
        self.details = {"code": code, "message": message, "hint": hint, "detail": detail}

    @classmethod
    def of(cls, error: PipekitError | Mapping[str, str], **options: Any) -> CommandFailed:
        """Return the command's error for a PipekitError, or for the fields of one; ``options`` as for the class."""
        fields = error.as_dict() if isinstance(error, PipekitError) else error
        detail = fields.get("detail", "")
        return cls(fields["message"], hint=fields["hint"], code=fields["code"], detail=detail, **options)


class BaseCommand(DjangoCommand):
    """A command that runs only the checks of the installation (files, permissions, variables) before it.

    It raises a `PipekitError` or `CommandFailed` for an error, which is printed to stderr as message, hint, detail and
    code; with ``--json`` also to stdout, as `failure_as_json` returns it. ``handle`` sets ``exit_code`` where a command
    that worked has a result for which it is not 0. Callers from Python catch CommandFailed.
    """

    requires_system_checks: list[str] | Literal["__all__"] = ["pipekit"]
    # the exit code for a PipekitError of a class; 1 for all others
    error_exit_codes: ClassVar[Mapping[type[PipekitError], int]] = {}
    exit_code: int = ExitCode.DONE
    # of the command line; empty if it is called from Python
    _words: Sequence[str] = ()
    # the command that this process executes; None before it begins, and if it is called from Python
    executed: ClassVar[BaseCommand | None] = None

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        """Return what the command prints with ``--json`` for an error before it had its whole result; None for nothing.

        What the command has begun is in it, as far as it is known. ``options`` has no other key than ``json`` if the
        arguments were not accepted.
        """
        return None

    def run_from_argv(self, argv: list[str]) -> None:
        self._words = argv[2:]
        super().run_from_argv(argv)

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **options)
        if getattr(self, "_called_from_command_line", False):
            for each in _with_subparsers(parser):
                each.error = partial(self._refuse, each.prog)  # type: ignore[method-assign]
        return parser

    def _refuse(self, program: str, message: str) -> NoReturn:
        """Report arguments that argparse does not accept in the form of all errors, instead of its own."""
        text = f"{message[:1].upper()}{message[1:].rstrip('.')}."
        hint = f"{program} --help shows what it takes."
        self._write_failure({"code": "usage", "message": text, "hint": hint, "detail": ""}, _not_parsed(self._words))
        sys.exit(ExitCode.USAGE)

    def execute(self, *arguments: Any, **options: Any) -> str | None:
        if self._called_from_command_line:  # type: ignore[attr-defined]
            BaseCommand.executed = self
        try:
            output = self._execute(*arguments, **options)
        except CommandFailed as failed:
            if options.get("traceback") or not self._called_from_command_line:  # type: ignore[attr-defined]
                raise
            self._write_failure(failed.details, options)
            sys.exit(failed.returncode)
        if self.exit_code:
            sys.exit(self.exit_code)
        return output

    def check(self, *arguments: Any, **options: Any) -> None:
        try:
            super().check(*arguments, **options)
        except SystemCheckError as error:
            problems = [problem for problem in run_checks(tags=options.get("tags")) if problem.is_serious()]
            if not problems:
                raise
            message = "\n".join(str(problem.msg) for problem in problems)
            hint = "\n".join(str(problem.hint) for problem in problems if problem.hint)
            raise CommandFailed(message, hint=hint, code=ConfigurationInvalid.code) from error

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

    def write_failure(self, error: Mapping[str, str], words: Sequence[str]) -> None:
        """Write an error that the command itself does not write; ``words`` are the arguments on the command line."""
        options: Mapping[str, Any] = _not_parsed(words)
        if options["json"]:
            with suppress(CommandError, SystemExit):
                options = vars(self.create_parser("", "").parse_args(list(words)))
        self._write_failure(error, options)

    def _write_failure(self, error: Mapping[str, str], options: Mapping[str, Any]) -> None:
        if options.get("json") and (failure := self.failure_as_json(error, options)) is not None:
            self.write_result(json.dumps(failure))
        self.write_error(error)

    def write_error(self, fields: Mapping[str, str]) -> None:
        """Write an error, as ``PipekitError.as_dict()`` returns it, to stderr."""
        self.stderr.write(error_text(fields))


def _not_parsed(words: Sequence[str]) -> dict[str, Any]:
    """Return the options as far as they are known without parsing the arguments."""
    return {"json": "--json" in words}


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
