"""`manage.py uninstallcron`: take Pipekit's line out of the crontab."""

from __future__ import annotations

import sys
from typing import Any

from connections.management.base import BaseCommand
from connections.sdk.errors import PipekitError
from runs.cli import text
from scheduling.crontab import install


class Command(BaseCommand):
    help = "Take this install's line out of this user's crontab, and nothing else."

    def handle(self, **options: Any) -> None:
        try:
            done = install.uninstall()
        except PipekitError as error:
            self.stderr.write(text.error(error.as_dict()))
            sys.exit(1)
        if done.backup:
            self.stderr.write(f"The crontab as it was is kept in {done.backup}")
        self.stdout.write("removed" if done.changed else "it was not there")
