#!/usr/bin/env python
"""Entry point of all commands. An invalid configuration is reported here, with exit code 2."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from connections.management.exit_codes import ExitCode
from connections.sdk.process_memory import keep_private
from pipekit_site.cli import command_line

_HINT = "Correct it where it is set: pipekit_site/docs/configuration.md describes each key and variable."


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipekit_site.settings")
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import get_commands

        from connections.management.base import error_text
        from pipekit_site.cli import help
    except ImportError as error:
        raise SystemExit(f"{error}. Install the dependencies first: python -m pip install .") from error
    try:
        settings.INSTALLED_APPS  # noqa: B018 - loads the settings now, before a command hides their error
    except ImproperlyConfigured as error:
        print(error_text({"code": "configuration_invalid", "message": str(error), "hint": _HINT}), file=sys.stderr)
        raise SystemExit(ExitCode.USAGE) from None
    if len(sys.argv) > 1:
        import django

        from pipekit_site.metadata import errors, migrate

        django.setup()
        with errors.exit_on_error(_report), _usage(known={*get_commands(), "help", "version"}):
            migrate.prepare_for(sys.argv[1])
            help.CommandLine(sys.argv).execute()
        return
    help.CommandLine(sys.argv).execute()


def _report(error: Mapping[str, str]) -> None:
    """Write an error that ends the command; a command of Pipekit may also write it as JSON."""
    from django.core.management import get_commands, load_command_class

    from connections.management.base import BaseCommand, error_text

    name = sys.argv[1]
    app = get_commands().get(name)
    # the one that was executed knows what it has begun
    command = BaseCommand.executed or (load_command_class(app, name) if isinstance(app, str) else app)
    if isinstance(command, BaseCommand):
        command.write_failure(error, sys.argv[2:])
    else:
        print(error_text(error), file=sys.stderr)


@contextmanager
def _usage(*, known: set[str]) -> Iterator[None]:
    """Exit with code 2 for an unknown command, for which Django exits with 1."""
    try:
        yield
    except SystemExit as ended:
        if sys.argv[1].startswith("-") or sys.argv[1] in known:
            raise
        raise SystemExit(ExitCode.USAGE) from ended


if __name__ == "__main__":
    keep_private()
    # imports leave nothing to collect; it is enabled again when the command is loaded
    gc.disable()
    try:
        with command_line.guarded():
            main()
    finally:
        # Python ends with several collections, which do not visit what is frozen
        gc.freeze()
