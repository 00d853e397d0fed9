"""`manage.py uninstallcron`: remove this installation's line from the crontab."""

from __future__ import annotations

from typing import Any

from connections.management.base import BaseCommand
from scheduling.crontab import install


class Command(BaseCommand):
    help = "Remove this installation's line from this user's crontab. Other lines are not changed."

    def handle(self, **options: Any) -> None:
        result = install.remove_line()
        if result.backup:
            self.stderr.write(f"The previous crontab was saved to {result.backup}")
        self.stdout.write("removed" if result.changed else "not installed")
