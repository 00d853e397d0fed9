"""`manage.py unlocklogins`: delete failed login attempts, so that users need not wait for the limit to end."""

from __future__ import annotations

from typing import Any

from connections.management.base import BaseCommand
from pipekit_site.logins import throttle


class Command(BaseCommand):
    help = "Delete failed login attempts, so that limits end at once instead of after ten minutes."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"{throttle.unlock()} login attempts deleted.")
