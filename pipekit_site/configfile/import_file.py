"""Imports a configuration file in one transaction, all or nothing, and reports all errors of the file at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.db import connection, transaction

from connections.sdk.errors import ConfigurationInvalid
from pipekit_site.configfile.apply_sections import Changes, Importer, ImportOptions, Trial
from pipekit_site.configfile.document import Entry, compose, entries, is_null, tag
from pipekit_site.configfile.export import VERSION, export_sections
from pipekit_site.configfile.problems import FileInvalid, Findings, suggest
from pipekit_site.configfile.sections import Section
from pipekit_site.configfile.trial_copy import configured_values, private_copy

# attempts to validate a file on a copy while others change the configuration
_ATTEMPTS = 3
# key of the advisory lock of imports: "import" in ASCII
_LOCK = 0x696D706F7274


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The result of an import, or of a dry run.

    ``diff`` is a unified diff of the exports before and after, of a dry run only. ``saved`` are the rows created or
    updated, by section, as they are after the import.
    """

    changes: Mapping[str, Changes]
    diff: str = ""
    saved: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def import_sections(data: bytes, sections: Sequence[Section], options: ImportOptions) -> ImportResult:
    """Import the file. Raises FileInvalid, without any change, if it has errors."""
    root = compose(data, options.name)
    if connection.vendor != "sqlite":
        # writers do not block each other, so it can be validated in the database itself
        with transaction.atomic():
            return _import(root, sections, options)
    for _ in range(_ATTEMPTS):
        trial = Trial()
        with private_copy(sections, options.blocking_rows) as copied, transaction.atomic():
            result = _import(root, sections, options, trial=trial)
        if options.dry_run:
            return result
        with transaction.atomic():
            if configured_values(sections) == copied:
                return _import(root, sections, options, checked=trial)
    raise ConfigurationInvalid(
        "The configuration was changed by another process while this file was validated; nothing was imported.",
        hint="Import it again.",
    )


def _import(
    root: yaml.MappingNode,
    sections: Sequence[Section],
    options: ImportOptions,
    *,
    trial: Trial | None = None,
    checked: Trial | None = None,
) -> ImportResult:
    """Import in the current transaction: as a ``trial``, which is filled, or after one that is given as ``checked``."""
    findings = Findings()
    top = _top(root, sections, findings)
    _lock()
    before = export_sections(sections) if options.dry_run else ""
    importer = Importer(
        sections=tuple(sections), options=options, findings=findings, rows=top, trial=trial, checked=checked
    )
    changes = importer.run(root)
    if findings.items:
        raise FileInvalid(options.name, findings.items)
    diff = _diff(before, export_sections(sections)) if options.dry_run else ""
    # read before the rollback of a dry run
    saved = {section.name: _saved_rows(section, importer.saved.get(section.name, ())) for section in sections}
    transaction.set_rollback(options.dry_run)
    return ImportResult(changes=changes, diff=diff, saved=saved)


def _saved_rows(section: Section, names: Collection[str]) -> list[Any]:
    rows = section.model._default_manager.all()
    if section.related:
        rows = rows.select_related(*section.related)
    return [row for row in rows if section.name_of(row) in names] if names else []


def _lock() -> None:
    """Wait until no other import runs; on SQLite the transaction itself does."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _top(root: yaml.MappingNode, sections: Sequence[Section], findings: Findings) -> dict[str, dict[str, Entry]]:
    """Return the rows in the file by section. A section without a value counts as absent."""
    known = {section.name for section in sections}
    rows: dict[str, dict[str, Entry]] = {}
    for key, entry in entries(root, "", findings).items():
        if key == "version":
            if tag(entry.node) != "int" or entry.node.value != str(VERSION):
                findings.add(entry.node, "version", f"expected {VERSION}, the only version that is supported.")
        elif key not in known:
            findings.add(
                entry.key, key, f"there is no such key; {suggest(key, ['version', *(s.name for s in sections)])}"
            )
        elif isinstance(entry.node, yaml.MappingNode):
            rows[key] = entries(entry.node, key, findings)
        elif not is_null(entry.node):
            findings.add(entry.node, key, "expected names, each with its keys and values.")
    return rows


def _diff(before: str, after: str) -> str:
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "before", "after"))
