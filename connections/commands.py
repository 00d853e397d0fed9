"""What every command of Pipekit is made from.

Django runs the checks of all code before each command, for which it imports the URLs and every page of the admin:
half of the time that a small run takes. They say nothing that can change between two runs of an install; developers
have `manage.py check` for them.
"""

from __future__ import annotations

from django.core.management.base import BaseCommand as DjangoCommand


class BaseCommand(DjangoCommand):
    """A command before which only the checks of the installation are run: files, rights, variables."""

    requires_system_checks = ["pipekit"]
