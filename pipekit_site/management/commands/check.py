"""`manage.py check`: run Django's system checks, by default without those of pages, which import the whole admin."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags
from django.core.checks.registry import registry
from django.core.management.base import CommandParser
from django.core.management.commands import check

# checks of URLs, templates and admin classes: their result changes only with the code
_PAGES = frozenset({Tags.admin, Tags.templates, Tags.urls})


class Command(check.Command):
    help = "Check the installation: configuration, files, models. With --all also the admin's pages, as serve does."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="Also check the pages: URLs, templates and the admin.")

    def handle(self, *app_labels: Any, **options: Any) -> None:
        # a choice of checks is Django's
        if not (options.pop("all") or app_labels or options["tags"] or options["deploy"]):
            options["tags"] = sorted(registry.tags_available() - _PAGES)
        super().handle(*app_labels, **options)
