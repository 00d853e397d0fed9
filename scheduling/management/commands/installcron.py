"""`manage.py installcron`: have cron tick every minute."""

from __future__ import annotations

import sys
from typing import Any

from connections.management.base import BaseCommand
from connections.sdk.errors import PipekitError
from runs.cli import text
from scheduling.crontab import install


class Command(BaseCommand):
    help = "Put one line into this user's crontab that ticks every minute. No other line is touched."

    def handle(self, **options: Any) -> None:
        try:
            done = install.install()
        except PipekitError as error:
            self.stderr.write(text.error(error.as_dict()))
            sys.exit(1)
        if done.backup:
            self.stderr.write(f"The crontab as it was is kept in {done.backup}")
        self.stdout.write(f"{'installed' if done.changed else 'already there'}: {done.line}")
