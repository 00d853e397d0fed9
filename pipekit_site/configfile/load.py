"""Imports a configuration file in one transaction, all or nothing, and reports all errors of the file at once.

The valid fields of an invalid row are saved too, in the transaction that is then rolled back, so that references to
that row can be checked.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.db import connection, models, transaction

from connections.sdk.errors import ConfigurationInvalid
from pipekit_site.configfile.document import Entry, compose, entries, is_null, tag
from pipekit_site.configfile.export import VERSION, export
from pipekit_site.configfile.parse import Reader, state
from pipekit_site.configfile.problems import FileInvalid, Findings, suggest
from pipekit_site.configfile.references import References, referring_rows
from pipekit_site.configfile.save import differ, replace, save_valid_fields
from pipekit_site.configfile.sections import Part, Section
from pipekit_site.configfile.trial_copy import private_copy
from pipekit_site.configfile.trial_copy import state as state_of

# attempts to validate a file on a copy while others change the configuration
_ATTEMPTS = 3
# key of the advisory lock of imports: "import" in ASCII
_LOCK = 0x696D706F7274


@dataclass(slots=True)
class Changes:
    """Counts of a section's rows, by what was done with them."""

    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The result of an import, or of a dry run.

    ``diff`` is a unified diff of the exports before and after, of a dry run only. ``saved`` are the rows created or
    updated, by section, as they are after the import.
    """

    changes: Mapping[str, Changes]
    diff: str = ""
    saved: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Options of an import. ``name`` is the file's name in messages, ``actor`` the author recorded in the history."""

    name: str
    actor: str
    dry_run: bool = False
    prune: bool = False
    # rows of other tables that decide whether something may be pruned
    beside: Sequence[models.QuerySet[Any]] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of importing the same file into a copy of the same rows: (section, name) of unchanged rows."""

    unchanged: set[tuple[str, str]] = field(default_factory=set)


def load(data: bytes, sections: Sequence[Section], options: ImportOptions) -> ImportResult:
    """Import the file. Raises FileInvalid, without any change, if it has errors."""
    root = compose(data, options.name)
    if connection.vendor != "sqlite":
        # writers do not block each other, so it can be validated in the database itself
        with transaction.atomic():
            return _import(root, sections, options)
    for _ in range(_ATTEMPTS):
        trial = Trial()
        with private_copy(sections, options.beside) as copied, transaction.atomic():
            result = _import(root, sections, options, trial=trial)
        if options.dry_run:
            return result
        with transaction.atomic():
            if state_of(sections) == copied:
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
    before = export(sections) if options.dry_run else ""
    importer = _Importer(
        sections=tuple(sections), options=options, findings=findings, rows=top, trial=trial, checked=checked
    )
    changes = importer.run(root)
    if findings.items:
        raise FileInvalid(options.name, findings.items)
    diff = _diff(before, export(sections)) if options.dry_run else ""
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


@dataclass(slots=True, kw_only=True)
class _Importer:
    """One import: the rows of the file, and what has been done with them so far."""

    sections: tuple[Section, ...]
    options: ImportOptions
    findings: Findings
    rows: dict[str, dict[str, Entry]]
    changes: dict[str, Changes] = field(default_factory=dict)
    trial: Trial | None = None
    checked: Trial | None = None
    # names of the rows created or updated, by section
    saved: dict[str, set[str]] = field(default_factory=dict)
    # new rows of the current section
    new: list[Any] = field(default_factory=list)

    def run(self, root: yaml.Node) -> dict[str, Changes]:
        """Import all sections of the file, and return the counts by section."""
        present = [section for section in self.sections if section.name in self.rows]
        names = {section.model: frozenset(self.rows[section.name]) for section in present}
        references = References(names=names, prune=self.options.prune)
        reader = Reader(references=references, findings=self.findings, is_checked=self.checked is not None)
        for section in present:
            self.changes[section.name] = Changes()
            stored = {section.name_of(row): row for row in section.model._default_manager.all()}
            for name, entry in self.rows[section.name].items():
                if self.checked and (section.name, name) in self.checked.unchanged:
                    self.changes[section.name].unchanged += 1
                    continue
                self._row(section, reader, stored.get(name) or section.model(name=name), entry=entry)
            section.record_new(self.new, self.options.actor)
            self.new = []
        if self.options.prune:
            # in reverse order: schedules before modules, modules before connections
            for section in reversed(present):
                self._prune(section, reader.references, root)
        return self.changes

    def _row(self, section: Section, reader: Reader, row: Any, *, entry: Entry) -> None:
        count = len(self.findings.items)
        stored = state(row, section.fields)
        keys = reader.keys(entry, [*section.fields, *(part.name for part in section.parts)])
        reader.assign(row, keys, fields=section.fields, shown_by=section.shown_by)
        parts = {p: reader.part(p, row, keys) for p in section.parts if p.name in keys.given}
        section.prepare(row, {part.name: rows for part, rows in parts.items()})
        reader.validate(row, keys)
        is_valid = not keys.invalid and len(self.findings.items) == count
        if is_valid and (problem := section.check_keys(row, frozenset(keys.given))):
            self.findings.add(keys.node, keys.where, problem)
        if keys.invalid or len(self.findings.items) > count:
            reader.references.invalid.add((section.model, row.name))
            save_valid_fields(row, keys)
        else:
            parts = {part: rows for part, rows in parts.items() if differ(part, row, rows)}
            changed = state(row, section.fields) != stored or section.is_stale(row)
            self._save(section, row, parts=parts, is_changed=changed)

    def _save(self, section: Section, row: Any, *, parts: Mapping[Part, list[Any]], is_changed: bool) -> None:
        changes = self.changes[section.name]
        is_new = row.pk is None
        if is_new:
            changes.created += 1
        elif is_changed or parts:
            changes.updated += 1
        else:
            changes.unchanged += 1
            if self.trial:
                self.trial.unchanged.add((section.name, section.name_of(row)))
            return
        self.saved.setdefault(section.name, set()).add(section.name_of(row))
        # a trial is rolled back and needs no history; that of new rows is written together at the end of the section
        if is_new and not self.trial:
            self.new.append(row)
        with contextlib.nullcontext() if self.trial or is_new else section.recorded(row, self.options.actor):
            row.save()
            for part, rows in parts.items():
                replace(part, row, rows, is_new=is_new)

    def _prune(self, section: Section, references: References, root: yaml.Node) -> None:
        for row in section.model._default_manager.all():
            name = section.name_of(row)
            if name in self.rows[section.name]:
                continue
            users = [user for user in referring_rows(self.sections, row) if user not in references.invalid]
            if users:
                used = ", ".join(f"{model._meta.verbose_name} {user}" for model, user in users)
                self.findings.add(
                    root,
                    f"{section.name}.{name}",
                    f"it is not in this file, so --prune would remove it, but it is used by {used}.",
                )
            else:
                self._remove(section, row, root)

    def _remove(self, section: Section, row: Any, root: yaml.Node) -> None:
        try:
            with transaction.atomic():
                section.remove(row, self.options.actor)
            self.changes[section.name].removed += 1
        except models.ProtectedError as error:
            used = ", ".join(sorted(f"{user._meta.verbose_name} {user}" for user in error.protected_objects))
            where = f"{section.name}.{section.name_of(row)}"
            self.findings.add(root, where, f"--prune cannot remove it yet, because of {used}.")
