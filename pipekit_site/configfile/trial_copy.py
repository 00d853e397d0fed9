"""A private copy of the configuration in memory, in which an import is tried without the lock of the metadata's file.

SQLite lets one process write at a time: whoever thinks in a transaction keeps every run from recording what it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models

from pipekit_site.configfile.sections import Section

_SCHEMA = (
    "SELECT sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
)
# what an import reads of the stored rows, by table
State = dict[str, list[tuple[Any, ...]]]


def state(sections: Sequence[Section]) -> State:
    """Return what the sections' tables hold of configuration: neither times nor results of tests."""
    found: State = {}
    for model, fields in _tables(sections):
        columns = [model._meta.get_field(name).attname for name in fields]  # type: ignore[union-attr]
        found[model._meta.db_table] = list(model._default_manager.order_by("pk").values_list("pk", *columns))
    return found


def _tables(sections: Sequence[Section]) -> Iterator[tuple[type[models.Model], Sequence[str]]]:
    for section in sections:
        # a section's rows are told apart by their names
        yield section.model, ("name", *section.fields)
        for part in section.parts:
            yield part.model, (part.owner, *part.fields)


@contextmanager
def private_copy(sections: Sequence[Section], beside: Sequence[models.QuerySet[Any]]) -> Iterator[State]:
    """Let the block's queries go to the copy; yields the state of what was copied.

    ``beside`` are rows of other tables that decide what may be removed. Foreign keys are not checked in the copy.
    """
    live: Any = connections[DEFAULT_DB_ALIAS]
    copy: Any = type(live)({**live.settings_dict, "NAME": ":memory:", "OPTIONS": {}}, DEFAULT_DB_ALIAS)
    copy.connect()
    try:
        with _one_moment(live):
            _copy(live, copy, sections, beside)
            found = state(sections)
        connections[DEFAULT_DB_ALIAS] = copy
        try:
            yield found
        finally:
            connections[DEFAULT_DB_ALIAS] = live
    finally:
        # Django keeps databases in memory open
        copy.connection.close()


@contextmanager
def _one_moment(live: Any) -> Iterator[None]:
    """Let the block's reads see one state, without the lock that Django's transactions take."""
    if live.in_atomic_block:
        yield
        return
    with live.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def _copy(live: Any, copy: Any, sections: Sequence[Section], beside: Sequence[models.QuerySet[Any]]) -> None:
    targets = {field.related_model for model, _ in _tables(sections) for field in model._meta.concrete_fields}
    copied = dict.fromkeys([*(model for model, _ in _tables(sections)), *(target for target in targets if target)])
    querysets = [model._base_manager.all() for model in copied] + list(beside)
    with live.cursor() as reading, copy.cursor() as writing:
        writing.execute("PRAGMA foreign_keys = OFF")
        reading.execute(f"{_SCHEMA} ORDER BY type DESC")
        for (sql,) in reading.fetchall():
            writing.execute(sql)
        for queryset in querysets:
            sql, parameters = queryset.order_by().query.sql_with_params()
            reading.execute(sql, parameters)
            columns = [live.ops.quote_name(field.column) for field in queryset.model._meta.concrete_fields]
            table = live.ops.quote_name(queryset.model._meta.db_table)
            places = ", ".join(["%s"] * len(columns))
            writing.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", reading.fetchall())
