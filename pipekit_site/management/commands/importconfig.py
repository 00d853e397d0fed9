"""`manage.py importconfig FILE`: create or update the configuration from YAML; with any error, nothing is changed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.db import DatabaseError

from connections import relative_paths
from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.files.path_problem import advice_for_given, path_problem
from pipekit_site import import_export
from pipekit_site.configfile.apply_sections import Changes
from pipekit_site.configfile.document import MAX_BYTES
from pipekit_site.metadata import errors
from runs import importconfig_warnings


class Command(BaseCommand):
    help = "Create or update connections, modules, groups and schedules from YAML, as exportconfig writes it."

    error_exit_codes = {ConfigurationInvalid: ExitCode.USAGE}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="print the changes as a diff, without making them")
        parser.add_argument("--prune", action="store_true", help="remove rows that the file's sections do not contain")

    def handle(self, *, file: Path, dry_run: bool, prune: bool, **options: Any) -> None:
        data = _read(file)
        try:
            result = import_export.load(data, name=str(file), actor="importconfig", dry_run=dry_run, prune=prune)
        except DatabaseError as error:
            if errors.is_damage(error):
                raise errors.from_database_error(error) from None
            raise CommandFailed(
                f"The metadata database refused the import: {error}.",
                hint="manage.py doctor",
                code="metadata",
                returncode=ExitCode.FAILED,
            ) from None
        if not dry_run:
            self.stdout.write("\n".join(_summary(result.changes)))
        elif result.diff:
            self.stdout.write(result.diff, ending="")
        else:
            self.stderr.write("Nothing would change.")
        for warning in (
            *relative_paths.warnings(result.saved["connections"]),
            *importconfig_warnings.warnings(result.saved["modules"]),
        ):
            self.stderr.write(f"Warning: {warning}")


def _read(file: Path) -> bytes:
    problem = path_problem(file)
    try:
        with file.open("rb") as opened:
            # one byte more than allowed, so that a file that is too large is recognized
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = f"{file} {problem}." if problem else f"There is no file {file}."
        hint = "Give the path of a YAML file; manage.py exportconfig FILE writes one."
        raise CommandFailed(message, hint=hint, code="not_found", returncode=ExitCode.NOT_FOUND) from None
    except OSError as error:
        message = f"{file} {problem or f'cannot be read: {error.strerror}'}."
        hint = f"Name a file in it, such as {file / 'pipekit.yaml'}."
        hint = hint if isinstance(error, IsADirectoryError) else advice_for_given(error, access="read")
        raise CommandFailed(message, hint=hint, code="file_unreadable") from None


def _summary(changes: Mapping[str, Changes]) -> list[str]:
    counts = {
        name: [f"{count} {word}" for word, count in asdict(change).items() if count] for name, change in changes.items()
    }
    return [f"{name}: {', '.join(words) or 'none'}" for name, words in counts.items()] or ["The file has no sections."]
