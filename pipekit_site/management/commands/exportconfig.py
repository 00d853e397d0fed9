"""`manage.py exportconfig [FILE]`: export the whole configuration as YAML, without secrets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from connections.sdk.files.path_problem import advice_for_given, path_problem
from connections.sdk.files.private import replace_file
from pipekit_site import import_export


class Command(BaseCommand):
    help = "Write connections, modules, groups and schedules as YAML: to FILE, or to stdout."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "file", nargs="?", type=Path, help="the file to write, replaced if it exists (default: stdout)"
        )

    def handle(self, *, file: Path | None, **options: Any) -> None:
        text = import_export.dump()
        if file is None:
            self.stdout.write(text, ending="")
            return
        if not file.absolute().parent.is_dir():
            hint = "Create it, or name another file."
            message = f"There is no directory {file.absolute().parent}."
            raise CommandFailed(message, hint=hint, code="not_found", returncode=ExitCode.NOT_FOUND)
        try:
            _replace(file, text)
        except OSError as error:
            problem = path_problem(file)
            message = f"{file} {problem or f'cannot be written: {error.strerror}'}."
            hint = f"Name a file in it, such as {file / 'pipekit.yaml'}."
            hint = hint if isinstance(error, IsADirectoryError) else advice_for_given(error, access="write")
            raise CommandFailed(message, hint=hint, code="file_unwritable") from error
        self.stderr.write(f"The configuration was written to {file}.")


def _replace(file: Path, text: str) -> None:
    """Write the file atomically; write directly to one that is not a regular file, such as a pipe or a device."""
    if file.exists() and not file.is_file():
        file.write_text(text, encoding="utf-8")
        return
    replace_file(file, text)
