"""`manage.py installcron`: add a line to the crontab that ticks every minute."""

from __future__ import annotations

from typing import Any

from connections.management.base import BaseCommand
from scheduling.crontab import install


class Command(BaseCommand):
    help = "Add a line to this user's crontab that ticks every minute. Other lines are not changed."

    def handle(self, **options: Any) -> None:
        result = install.install_line()
        if result.backup:
            self.stderr.write(f"The previous crontab was saved to {result.backup}")
        self.stdout.write(f"{'installed' if result.changed else 'already installed'}: {result.line}")
