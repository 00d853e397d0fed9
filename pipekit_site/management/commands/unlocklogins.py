"""`manage.py unlocklogins`: forget failed attempts to log in, so that whoever was limited can try again at once."""

from __future__ import annotations

from typing import Any

from connections.management.base import BaseCommand
from pipekit_site.logins import throttle


class Command(BaseCommand):
    help = "Forget failed attempts to log in; limits end at once instead of after ten minutes."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"Forgotten: {throttle.unlock()} attempts to log in.")
