"""`manage.py prune`: remove what is old enough to go, and say what it was."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from connections.management.base import BaseCommand
from runs.prune import prune


class Command(BaseCommand):
    help = (
        "Remove runs, logs, notifications and commit records past their retention (settings run_retention_days and"
        " log_retention_days), and staging tables of modules that are gone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--json", action="store_true", help="one JSON list on stdout, nothing else there")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        pruned = []
        for found in prune(timezone.now(), dry_run=dry_run):
            pruned.append(found)
            if not options["json"]:
                self.stdout.write(f"{found.count} {found.what} {'would go' if dry_run else 'removed'}")
            if found.error:
                self.stderr.write(f"error: {found.error}")
        if options["json"]:
            self.stdout.write(json.dumps([found.as_json() for found in pruned], ensure_ascii=False, indent=2))
        if any(found.error for found in pruned):
            sys.exit(5)
