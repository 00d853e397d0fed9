"""A copy of the configuration in memory, in which an import is validated without locking the metadata file.

SQLite allows one writer at a time: validating in a transaction on the file would keep runs from recording progress.
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
# the stored values that an import depends on, by table
ConfiguredValues = dict[str, list[tuple[Any, ...]]]


def configured_values(sections: Sequence[Section]) -> ConfiguredValues:
    """Return the configured fields of the sections' tables, without timestamps and results of connection tests."""
    values: ConfiguredValues = {}
    for model, fields in _tables(sections):
        columns = [model._meta.get_field(name).attname for name in fields]  # type: ignore[union-attr]
        values[model._meta.db_table] = list(model._default_manager.order_by("pk").values_list("pk", *columns))
    return values


def _tables(sections: Sequence[Section]) -> Iterator[tuple[type[models.Model], Sequence[str]]]:
    for section in sections:
        # rows of a section are identified by their names
        yield section.model, ("name", *section.fields)
        for part in section.parts:
            yield part.model, (part.owner, *part.fields)


@contextmanager
def private_copy(
    sections: Sequence[Section], blocking_rows: Sequence[models.QuerySet[Any]]
) -> Iterator[ConfiguredValues]:
    """Direct the block's queries to the copy; yield the configured values of the copied rows.

    ``blocking_rows`` are rows of other tables that decide what may be removed. The copy does not enforce foreign keys.
    """
    live: Any = connections[DEFAULT_DB_ALIAS]
    copy: Any = type(live)({**live.settings_dict, "NAME": ":memory:", "OPTIONS": {}}, DEFAULT_DB_ALIAS)
    copy.connect()
    try:
        with _read_transaction(live):
            _copy(live, copy, sections, blocking_rows)
            copied = configured_values(sections)
        connections[DEFAULT_DB_ALIAS] = copy
        try:
            yield copied
        finally:
            connections[DEFAULT_DB_ALIAS] = live
    finally:
        # close() of Django's connection leaves databases in memory open
        copy.connection.close()


@contextmanager
def _read_transaction(live: Any) -> Iterator[None]:
    """Run the block's reads on one snapshot, without the write lock that Django's transactions take here."""
    if live.in_atomic_block:
        yield
        return
    with live.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def _copy(live: Any, copy: Any, sections: Sequence[Section], blocking_rows: Sequence[models.QuerySet[Any]]) -> None:
    targets = {field.related_model for model, _ in _tables(sections) for field in model._meta.concrete_fields}
    copied = dict.fromkeys([*(model for model, _ in _tables(sections)), *(target for target in targets if target)])
    querysets = [model._base_manager.all() for model in copied] + list(blocking_rows)
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
