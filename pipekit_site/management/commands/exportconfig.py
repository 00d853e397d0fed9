"""`manage.py exportconfig [FILE]`: the whole configuration as YAML, secrets not included."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from pipekit_site import config_yaml


class Command(BaseCommand):
    help = "Write connections, modules, groups and schedules as YAML: to FILE, or to stdout."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="replaced when it exists; without it, stdout")

    def handle(self, *, file: Path | None, **options: Any) -> None:
        text = config_yaml.dump()
        if file is None:
            self.stdout.write(text, ending="")
            return
        if not file.absolute().parent.is_dir():
            hint = "Create it, or write to another one."
            message = f"There is no directory {file.absolute().parent}."
            raise CommandFailed(message, hint=hint, code="not_found", returncode=3)
        try:
            _replace(file, text)
        except OSError as error:
            hint = "Name a file in a directory where this user may write."
            message = f"{file} cannot be written: {error.strerror}."
            raise CommandFailed(message, hint=hint, code="file_unwritable") from error
        self.stderr.write(f"The configuration is in {file}.")


def _replace(file: Path, text: str) -> None:
    """Write the file whole or not at all; one that is no regular file (a pipe, a device) is written to."""
    if file.exists() and not file.is_file():
        file.write_text(text, encoding="utf-8")
        return
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.absolute().parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as temporary:
            temporary.write(text)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
