"""The metadata database of tests. After tests that commit all tables are emptied; the drivers are then made again."""

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
    from django.conf import settings

    if settings.PIPEKIT.is_sqlite:
        _keep_permissions()


def _keep_permissions() -> None:
    """Leave content types and permissions where all else is emptied: to make them again takes longer than most tests.

    They follow from the models alone. PostgreSQL empties all tables in one statement, and those with them.
    """
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.management import create_contenttypes
    from django.contrib.contenttypes.models import ContentType
    from django.db.models.signals import post_migrate

    flush: Any = import_module("django.core.management.commands.flush")
    kept = tuple(f'"{model._meta.db_table}"' for model in (ContentType, Permission))
    every = flush.sql_flush

    def emptying(*arguments: Any, **options: Any) -> list[str]:
        return [sql for sql in every(*arguments, **options) if not any(name in sql for name in kept)]

    flush.sql_flush = emptying
    assert post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    assert post_migrate.disconnect(create_contenttypes)
