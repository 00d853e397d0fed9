"""The metadata database of tests: the driver kinds that a migration made are there for every test.

Tests that commit end with every table emptied; what a migration put there would be gone for the next one.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about SQLite's own file and locks where the metadata is elsewhere (see tests.fix_settings)."""
    from django.conf import settings

    if not settings.PIPEKIT.is_sqlite:
        config.hook.pytest_deselected(items=[item for item in items if _of_sqlite(item)])
        items[:] = [item for item in items if not _of_sqlite(item)]


def _of_sqlite(item: pytest.Item) -> bool:
    return item.get_closest_marker("sqlite_metadata") is not None


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Keep the name of the metadata database: each worker has a data directory of its own, whose children open it."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    from django.db.models.signals import post_migrate

    # sent after migrating and after emptying
    post_migrate.connect(_drivers, dispatch_uid="tests.drivers")


def _drivers(sender: Any, using: str, **kwargs: Any) -> None:
    from django.apps import apps
    from django.db import connections

    if sender.label == "connections":
        migration = import_module("connections.migrations.0002_driver_kinds")
        migration.create(apps, connections[using].schema_editor())
