"""`manage.py importconfig FILE`: what the file names is created or updated, all of it or, with any error, nothing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.db import DatabaseError

from connections.management.base import BaseCommand, CommandFailed
from connections.sdk.errors import ConfigurationInvalid
from pipekit_site import config_yaml
from pipekit_site.configfile.document import MAX_BYTES
from pipekit_site.configfile.load import Changes
from runs import reset_columns


class Command(BaseCommand):
    help = "Create or update connections, modules, groups and schedules from YAML, as exportconfig writes it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="print what would change, as a diff; change nothing")
        parser.add_argument("--prune", action="store_true", help="remove what the file's sections do not name")

    def handle(self, *, file: Path, dry_run: bool, prune: bool, **options: Any) -> None:
        data = _read(file)
        try:
            outcome = config_yaml.load(data, name=str(file), actor="importconfig", dry_run=dry_run, prune=prune)
        except ConfigurationInvalid as error:
            raise CommandFailed.of(error) from None
        except DatabaseError as error:
            raise CommandFailed(
                f"The metadata database did not take it: {error}.",
                hint="manage.py doctor",
                code="metadata",
                returncode=1,
            ) from None
        if not dry_run:
            self.stdout.write("\n".join(_summary(outcome.changes)))
        elif outcome.diff:
            self.stdout.write(outcome.diff, ending="")
        else:
            self.stderr.write("Nothing would change.")
        for warning in reset_columns.warnings(outcome.saved["modules"]):
            self.stderr.write(f"Warning: {warning}")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            # one byte more than is taken shows that there is too much
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "Write the path of a YAML file; manage.py exportconfig FILE makes one."
        raise CommandFailed(f"There is no file {file}.", hint=hint, code="not_found", returncode=3) from None
    except OSError as error:
        hint = "Name a file that this user may read."
        raise CommandFailed(f"{file} cannot be read: {error.strerror}.", hint=hint, code="file_unreadable") from None


def _summary(changes: Mapping[str, Changes]) -> list[str]:
    found = {
        name: [f"{count} {word}" for word, count in asdict(done).items() if count] for name, done in changes.items()
    }
    return [f"{name}: {', '.join(words) or 'none'}" for name, words in found.items()] or ["The file names nothing."]
