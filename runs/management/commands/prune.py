"""`manage.py prune`: remove runs, logs and leftovers past their retention, and list what was removed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from connections.management.base import BaseCommand
from connections.management.exit_codes import ExitCode
from runs.prune import remove_expired


class Command(BaseCommand):
    help = (
        "Remove runs, logs, notifications and commit records past their retention (settings run_retention_days and"
        " log_retention_days), and staging tables of deleted modules."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")
        parser.add_argument("--json", action="store_true", help="one JSON list on stdout, nothing else there")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        results = []
        for pruned in remove_expired(timezone.now(), dry_run=dry_run):
            results.append(pruned)
            if not options["json"]:
                self.stdout.write(f"{pruned.count} {pruned.what} {'would be removed' if dry_run else 'removed'}")
            if pruned.error:
                self.stderr.write(f"error: {pruned.error}")
        if options["json"]:
            self.stdout.write(json.dumps([pruned.as_json() for pruned in results], ensure_ascii=False, indent=2))
        if any(pruned.error for pruned in results):
            self.exit_code = ExitCode.PARTLY
