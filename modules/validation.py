"""Validation of modules before they are saved, shared by the admin and importconfig.

Each check yields (field, message) pairs; a message says what is wrong, why, and what to do. A check yields nothing if a
field that it needs is missing, because that is reported already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError

from connections import registry
from connections.sdk.errors import PipekitError
from connections.sdk.schema import KEYS_SUFFIX, TableName
from modules import column_names, watermark_types
from modules.choices import DuplicateKeys
from modules.cron import grammar as cron_grammar
from modules.overlap import overlap_problem
from modules.query.placeholders import check_placeholders, find_placeholders
from modules.strategies import traits_of

if TYPE_CHECKING:
    from modules.models import Hook, Module

FieldErrors = Iterator[tuple[str, str]]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# PostgreSQL's limit is 63 bytes, and the staging table of key_sync has the module's name and a suffix
NAME_BYTES = 63 - len(KEYS_SUFFIX)


def check(module: Module) -> None:
    """Raise one ValidationError with all findings by field."""
    findings: dict[str, list[str]] = {}
    for find in _CHECKS:
        for field, message in find(module):
            findings.setdefault(field, []).append(message)
    if findings:
        raise ValidationError(dict(findings))


def check_hook(hook: Hook) -> None:
    """Raise ValidationError if the hook has no SQL."""
    if not hook.sql.strip():
        raise ValidationError({"sql": "A hook needs SQL; delete the hook if there is none."})


def _error_text(error: PipekitError) -> str:
    """Return message and hint of an error in one line."""
    return f"{error.message} {error.hint}".strip()


def _name(module: Module) -> FieldErrors:
    if not module.name:
        return
    if len(module.name) > NAME_BYTES:
        yield (
            "name",
            f"The name has {len(module.name)} characters; at most {NAME_BYTES} leave room for its staging tables.",
        )
    if not _NAME.fullmatch(module.name):
        yield (
            "name",
            f"“{module.name}” cannot name a staging table everywhere. Use lower-case letters, digits and “_”, a letter "
            "first.",
        )


def _dest_table(module: Module) -> FieldErrors:
    if not module.dest_table or module.dest_connection_id is None:
        return
    try:
        dialect = registry.dialect(module.dest_connection.driver.kind)
        dialect.qualified(TableName.parse(module.dest_table))
    except PipekitError as error:
        yield "dest_table", _error_text(error)


def _placeholders(module: Module) -> FieldErrors:
    if not module.source_query or module.source_connection_id is None:
        return
    try:
        dialect = registry.dialect(module.source_connection.driver.kind)
        check_placeholders(module.source_query, dialect, module.declared_watermarks())
    except PipekitError as error:
        yield "source_query", _error_text(error)


def _is_bounded(module: Module) -> bool:
    """Return whether the query uses a named watermark, so that it may not return all rows."""
    if not module.source_query or module.source_connection_id is None:
        return False
    try:
        return bool(find_placeholders(module.source_query, registry.dialect(module.source_connection.driver.kind)))
    except PipekitError:
        # an invalid query is reported by another check
        return False


def _strategy(module: Module) -> FieldErrors:
    if traits_of(module.merge_strategy).needs_key and not module.key_columns:
        yield (
            "merge_key",
            f"The strategy {module.merge_strategy} matches rows by their key. Name the destination columns that "
            "identify a row, or choose full or append.",
        )
    if module.key_sync and not module.key_columns:
        yield "merge_key", "key_sync compares keys. Name the key columns, or turn key_sync off."
    if module.key_sync and module.dest_connection_id is not None and not module.dest_connection.supports_deletes:
        yield "key_sync", f"The connection {module.dest_connection} does not support deletes, which key_sync needs."
    if module.key_sync and _is_bounded(module) and not module.key_sync_query.strip():
        yield (
            "key_sync_query",
            "The source query is bounded by a named watermark and does not return every key. Write the query that "
            "does, or turn key_sync off.",
        )
    if repeated := sorted({name for name in module.key_columns if module.key_columns.count(name) > 1}):
        yield "merge_key", f"The merge key names {', '.join(repeated)} more than once. Name each column once."


def _latest(module: Module) -> FieldErrors:
    if module.duplicate_keys == DuplicateKeys.KEEP_LATEST and not module.watermark_column:
        yield (
            "duplicate_keys",
            "keep_latest keeps the row with the highest watermark. Name a watermark column, or choose error, which "
            "fails the run.",
        )


def _overlap(module: Module) -> FieldErrors:
    if not module.overlap:
        return
    if problem := overlap_problem(module.overlap):
        yield "overlap", problem
    elif traits_of(module.merge_strategy).only_adds and not module.watermark_column:
        yield "overlap", "Without a watermark column everything is read anyway. Name one, or leave overlap empty."


def cron_problem(module: Module) -> str:
    """Return an error message about full_refresh_cron, or an empty string if it is valid."""
    try:
        if module.full_refresh_cron:
            cron_grammar.check(module.full_refresh_cron)
    except ValidationError as error:
        return str(error.messages[0])
    return ""


def _cron(module: Module) -> FieldErrors:
    if problem := cron_problem(module):
        yield "full_refresh_cron", problem


def _retries(module: Module) -> FieldErrors:
    if (module.max_retry_delay or 0) < (module.retry_delay or 0):
        yield "max_retry_delay", "The longest wait between retries must not be shorter than the first one, retry_delay."


_CHECKS: tuple[Callable[[Module], FieldErrors], ...] = (
    _name,
    _dest_table,
    column_names.column_errors,
    watermark_types.watermark_errors,
    _placeholders,
    _strategy,
    _latest,
    _overlap,
    _cron,
    _retries,
)
