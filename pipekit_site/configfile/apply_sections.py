"""Applies the sections of a configuration file to the database, row by row, and counts what it changed.

The valid fields of an invalid row are saved too, in the transaction that is then rolled back, so that references to
that row can be checked.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.db import models, transaction

from pipekit_site.configfile.document import Entry
from pipekit_site.configfile.parse import Reader, comparable_values
from pipekit_site.configfile.problems import Findings
from pipekit_site.configfile.references import References, referring_rows
from pipekit_site.configfile.save import differ, replace, save_valid_fields
from pipekit_site.configfile.sections import Part, Section


@dataclass(slots=True)
class Changes:
    """Counts of a section's rows, by what was done with them."""

    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Options of an import. ``name`` is the file's name in messages, ``actor`` the author recorded in the history."""

    name: str
    actor: str
    dry_run: bool = False
    prune: bool = False
    # rows of other tables that decide whether something may be pruned
    blocking_rows: Sequence[models.QuerySet[Any]] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of importing the same file into a copy of the same rows: (section, name) of unchanged rows."""

    unchanged: set[tuple[str, str]] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Importer:
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
            # stored rows by primary key, as others lock them who lock several (see runs.lifecycle.connection_limit)
            ordered = sorted(
                self.rows[section.name].items(), key=lambda item: stored[item[0]].pk if item[0] in stored else math.inf
            )
            for name, entry in ordered:
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
        stored = comparable_values(row, section.fields)
        keys = reader.keys(entry, [*section.fields, *(part.name for part in section.parts)])
        reader.assign(row, keys, fields=section.fields, shown_by=section.shown_by, why_missing=section.why_missing)
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
            changed = comparable_values(row, section.fields) != stored or section.is_stale(row)
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
