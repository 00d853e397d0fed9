"""A configuration file into the database: one transaction, all or nothing, every error of the file at once.

A row that is wrong is still saved where it can be, in a transaction that is taken back: what refers to it is then
checked as if it were right.
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
from pipekit_site.configfile.document import Entry, compose, entries, is_null, kind
from pipekit_site.configfile.export import VERSION, export
from pipekit_site.configfile.parse import Reader, state
from pipekit_site.configfile.problems import FileInvalid, Findings, choose
from pipekit_site.configfile.references import References, users
from pipekit_site.configfile.save import differ, replace, salvage
from pipekit_site.configfile.sections import Part, Section
from pipekit_site.configfile.trial_copy import private_copy
from pipekit_site.configfile.trial_copy import state as state_of

# how often a file is checked again when the configuration was changed meanwhile
_TRIES = 3
# any number, the same for all that import into one database: "import" in ASCII
_LOCK = 0x696D706F7274


@dataclass(slots=True)
class Changes:
    """How many rows of a section were treated how."""

    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an import did, or would do.

    ``diff`` is the export before and after, compared; only where it was asked for. ``saved`` are the rows that were
    created or updated, by section, as they are afterwards.
    """

    changes: Mapping[str, Changes]
    diff: str = ""
    saved: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a file is to be imported. ``name`` is what messages call it, ``actor`` who the history says it was."""

    name: str
    actor: str
    dry_run: bool = False
    prune: bool = False
    # rows of other tables that decide whether something may be pruned
    beside: Sequence[models.QuerySet[Any]] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """What a trial of the same file, on the same rows, has found: (section, name) of what need not be written."""

    unchanged: set[tuple[str, str]] = field(default_factory=set)


def load(data: bytes, sections: Sequence[Section], wish: Wish) -> Outcome:
    """Import the file. Raises FileInvalid, nothing changed, when anything in it is wrong."""
    root = compose(data, wish.name)
    if connection.vendor != "sqlite":
        # where writers do not wait for each other there is no need to try it elsewhere
        with transaction.atomic():
            return _imported(root, sections, wish)
    for _ in range(_TRIES):
        checked = Checked()
        with private_copy(sections, wish.beside) as seen, transaction.atomic():
            outcome = _imported(root, sections, wish, trial=checked)
        if wish.dry_run:
            return outcome
        with transaction.atomic():
            if state_of(sections) == seen:
                return _imported(root, sections, wish, checked=checked)
    raise ConfigurationInvalid(
        "The configuration was changed by somebody else while this file was checked; nothing was imported. Import it"
        " again.",
        hint="Import it again.",
    )


def _imported(
    root: yaml.MappingNode,
    sections: Sequence[Section],
    wish: Wish,
    *,
    trial: Checked | None = None,
    checked: Checked | None = None,
) -> Outcome:
    """Import within a transaction; as a ``trial``, or after one that has ``checked`` these very rows."""
    findings = Findings()
    top = _top(root, sections, findings)
    _alone()
    before = export(sections) if wish.dry_run else ""
    work = _Import(sections=tuple(sections), wish=wish, findings=findings, rows=top, trial=trial, checked=checked)
    changes = work.run(root)
    if findings.found:
        raise FileInvalid(wish.name, findings.found)
    diff = _diff(before, export(sections)) if wish.dry_run else ""
    # read here: a dry run's rows are nowhere afterwards
    saved = {section.name: _loaded(section, work.saved.get(section.name, ())) for section in sections}
    transaction.set_rollback(wish.dry_run)
    return Outcome(changes=changes, diff=diff, saved=saved)


def _loaded(section: Section, names: Collection[str]) -> list[Any]:
    rows = section.model._default_manager.all()
    if section.related:
        rows = rows.select_related(*section.related)
    return [row for row in rows if section.name_of(row) in names] if names else []


def _alone() -> None:
    """Wait for another import to end; SQLite's transactions do so anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _top(root: yaml.MappingNode, sections: Sequence[Section], findings: Findings) -> dict[str, dict[str, Entry]]:
    """Return the rows that the file gives, by section; a section without a value is as if it were not there."""
    known = {section.name for section in sections}
    found: dict[str, dict[str, Entry]] = {}
    for key, entry in entries(root, "", findings).items():
        if key == "version":
            if kind(entry.node) != "int" or entry.node.value != str(VERSION):
                findings.add(entry.node, "version", f"expected {VERSION}; this Pipekit reads no other.")
        elif key not in known:
            findings.add(
                entry.key, key, f"there is no such key; {choose(key, ['version', *(s.name for s in sections)])}"
            )
        elif isinstance(entry.node, yaml.MappingNode):
            found[key] = entries(entry.node, key, findings)
        elif not is_null(entry.node):
            findings.add(entry.node, key, "expected names, each with its keys and values.")
    return found


def _diff(before: str, after: str) -> str:
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "before", "after"))


@dataclass(slots=True, kw_only=True)
class _Import:
    sections: tuple[Section, ...]
    wish: Wish
    findings: Findings
    rows: dict[str, dict[str, Entry]]
    changes: dict[str, Changes] = field(default_factory=dict)
    trial: Checked | None = None
    checked: Checked | None = None
    # names of what was created or updated, by section
    saved: dict[str, set[str]] = field(default_factory=dict)
    # of the section that is being read
    new: list[Any] = field(default_factory=list)

    def run(self, root: yaml.Node) -> dict[str, Changes]:
        present = [section for section in self.sections if section.name in self.rows]
        names = {section.model: frozenset(self.rows[section.name]) for section in present}
        references = References(names=names, prune=self.wish.prune)
        reader = Reader(references=references, findings=self.findings, is_checked=self.checked is not None)
        for section in present:
            self.changes[section.name] = Changes()
            stored = {section.name_of(row): row for row in section.model._default_manager.all()}
            for name, entry in self.rows[section.name].items():
                if self.checked and (section.name, name) in self.checked.unchanged:
                    self.changes[section.name].unchanged += 1
                    continue
                self._row(section, reader, stored.get(name) or section.model(name=name), entry=entry)
            section.record_new(self.new, self.wish.actor)
            self.new = []
        if self.wish.prune:
            # schedules before what they fire, modules before their connections
            for section in reversed(present):
                self._prune(section, reader.references, root)
        return self.changes

    def _row(self, section: Section, reader: Reader, row: Any, *, entry: Entry) -> None:
        known = len(self.findings.found)
        stored = state(row, section.fields)
        keys = reader.keys(entry, [*section.fields, *(part.name for part in section.parts)])
        reader.assign(row, keys, fields=section.fields, shown_by=section.shown_by)
        parts = {p: reader.part(p, row, keys) for p in section.parts if p.name in keys.given}
        section.prepare(row, {part.name: rows for part, rows in parts.items()})
        reader.validate(row, keys)
        is_right = not keys.wrong and len(self.findings.found) == known
        if is_right and (problem := section.entered(row, frozenset(keys.given))):
            self.findings.add(keys.node, keys.where, problem)
        if keys.wrong or len(self.findings.found) > known:
            reader.references.broken.add((section.model, row.name))
            salvage(row, keys)
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
        # a trial is rolled back and needs no history; new rows get theirs together at the end of their section
        if is_new and not self.trial:
            self.new.append(row)
        with contextlib.nullcontext() if self.trial or is_new else section.recorded(row, self.wish.actor):
            row.save()
            for part, rows in parts.items():
                replace(part, row, rows, is_new=is_new)

    def _prune(self, section: Section, references: References, root: yaml.Node) -> None:
        for row in section.model._default_manager.all():
            name = section.name_of(row)
            if name in self.rows[section.name]:
                continue
            left = [user for user in users(self.sections, row) if user not in references.broken]
            if left:
                used = ", ".join(f"{model._meta.verbose_name} {user}" for model, user in left)
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
                section.remove(row, self.wish.actor)
            self.changes[section.name].removed += 1
        except models.ProtectedError as error:
            used = ", ".join(sorted(f"{user._meta.verbose_name} {user}" for user in error.protected_objects))
            where = f"{section.name}.{section.name_of(row)}"
            self.findings.add(root, where, f"--prune cannot remove it yet, because of {used}.")
