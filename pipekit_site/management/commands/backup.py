"""`manage.py backup [FILE]`: back up the SQLite metadata database to one file, while Pipekit runs."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from connections.management.base import BaseCommand
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import ConfigurationError
from pipekit_site.metadata.backup import back_up


class Command(BaseCommand):
    help = (
        "Back up the metadata database to FILE, also while runs write to it. Without the secrets file and the secret"
        " key."
    )

    error_exit_codes = {ConfigurationError: ExitCode.USAGE}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            type=Path,
            metavar="FILE",
            help="a new file, or a directory (default: backups/ in the data directory)",
        )

    def handle(self, *, file: Path | None, **options: Any) -> str:
        return str(back_up(file))
