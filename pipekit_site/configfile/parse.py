"""Builds unsaved rows from the entries of a file. Errors become findings with their lines; nothing is saved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import yaml
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models

from pipekit_site.configfile.document import Entry, entries, is_null
from pipekit_site.configfile.export import part_rows
from pipekit_site.configfile.problems import Findings, suggest
from pipekit_site.configfile.references import References, TargetInvalid
from pipekit_site.configfile.sections import Part
from pipekit_site.configfile.values import Unexpected, value

# a name that a finding may repeat
_NAME = re.compile(r"[\w.-]{1,60}")


@dataclass(slots=True, kw_only=True)
class Keys:
    """The keys given for one row, and the row's own place in the file."""

    given: dict[str, Entry]
    node: yaml.Node
    where: str
    is_part: bool = False
    # fields that have findings
    invalid: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads the rows of one file."""

    references: References
    findings: Findings
    # the rows have been validated by a trial import, so that only their fields are cleaned
    is_checked: bool = False

    def keys(self, entry: Entry, known: Sequence[str], *, name_key: str = "") -> Keys:
        """Return the keys of a row; unknown ones become findings.

        ``name_key`` is the key to suggest if the row is given as a name alone.
        """
        given: dict[str, Entry] = {}
        if isinstance(entry.node, yaml.MappingNode):
            given = entries(entry.node, entry.where, self.findings)
        elif not is_null(entry.node):
            self.findings.add(entry.node, entry.where, f"expected keys and values.{_suggestion(entry.node, name_key)}")
        for key, unknown in given.items():
            if key not in known:
                self.findings.add(unknown.key, unknown.where, f"there is no such key; {suggest(key, known)}")
        return Keys(given=given, node=entry.key, where=entry.where)

    def assign(
        self,
        row: models.Model,
        keys: Keys,
        *,
        fields: Sequence[str],
        shown_by: Mapping[str, str],
        why_missing: Mapping[str, Callable[[str], str]],
    ) -> None:
        """Set the given fields of a row; invalid ones become findings and keep their value."""
        for name in fields:
            if name not in keys.given:
                continue
            entry, into = keys.given[name], cast("models.Field[Any, Any]", row._meta.get_field(name))
            try:
                new = value(into, entry.node)
                if isinstance(into, models.ForeignKey) and new is not None:
                    by, why = shown_by.get(name, "name"), why_missing.get(name)
                    new = self.references.find(into, new, by=by, why_missing=why)
                setattr(row, name, new)
            except TargetInvalid:
                keys.invalid.add(name)
            except Unexpected as expected:
                keys.invalid.add(name)
                self.findings.add(entry.node, entry.where, str(expected))

    def validate(self, row: models.Model, keys: Keys, *, exclude: Sequence[str] = ()) -> None:
        """Run the model's validation; its errors become findings, each at the line of the key it is about."""
        try:
            if self.is_checked:
                references = (field.name for field in row._meta.concrete_fields if field.is_relation)
                row.clean_fields(exclude={*exclude, *keys.invalid, *references})
                return
            row.full_clean(exclude={*exclude, *keys.invalid})
        except ValidationError as error:
            for name, errors in error.error_dict.items():
                # validation across fields may report one that is known to be invalid
                if name not in keys.invalid:
                    self._add_errors(name, errors, keys)

    def _add_errors(self, name: str, errors: Sequence[ValidationError], keys: Keys) -> None:
        entry = keys.given.get(name)
        # the name of a row of a section is its key in the file
        is_row = name == NON_FIELD_ERRORS or (name == "name" and not keys.is_part)
        where = entry.where if entry else keys.where if is_row else f"{keys.where}.{name}"
        # "blank" is omitted if the model has a more specific error
        shown = [error for error in errors if error.code != "blank"] or errors
        for error in shown:
            self.findings.add(entry.node if entry else keys.node, where, _message(error, is_given=entry is not None))
        keys.invalid.add(name)

    def part(self, part: Part, owner: models.Model, owner_keys: Keys) -> list[Any]:
        """Return the unsaved rows of a part, in order. Omitted fields keep the values of the stored entry."""
        entry = owner_keys.given[part.name]
        if is_null(entry.node):
            return []
        if not isinstance(entry.node, yaml.SequenceNode):
            self.findings.add(entry.node, entry.where, f"expected a list of keys and values: {', '.join(part.fields)}.")
            return []
        stored = {getattr(row, part.key): row for row in part_rows(part, owner)} if part.key else {}
        rows: dict[Any, Any] = {}
        for number, node in enumerate(entry.node.value, start=1):
            item = Entry(key=node, node=node, where=f"{entry.where}[{number}]")
            row, keys = self._part_row(part, owner, item, stored)
            if keys.invalid:
                owner_keys.invalid.add(part.name)
            key = getattr(row, part.key) if part.key and part.key not in keys.invalid else number
            if key in rows:
                self.findings.add(node, item.where, f"“{key}” is in this list twice; keep one.")
            rows[key] = row
        return sorted(rows.values(), key=lambda row: getattr(row, part.order_by))

    def _part_row(
        self, part: Part, owner: models.Model, item: Entry, stored: Mapping[Any, models.Model]
    ) -> tuple[Any, Keys]:
        keys = self.keys(item, part.fields, name_key=part.key)
        keys.is_part = True
        row = part.model(**{part.owner: owner})
        self.assign(row, keys, fields=part.fields, shown_by={}, why_missing={})
        if part.key and part.key not in keys.invalid and (old := stored.get(getattr(row, part.key, None))):
            for name in part.fields:
                if name not in keys.given:
                    setattr(row, name, getattr(old, name))
        self.validate(row, keys, exclude=[part.owner])
        return row, keys


def _suggestion(node: yaml.Node, name_key: str) -> str:
    """Return how to write an entry that is given as a name alone; an empty string for anything else."""
    if name_key and isinstance(node, yaml.ScalarNode) and _NAME.fullmatch(node.value):
        return f" Write “- {name_key}: {node.value}”."
    return ""


def comparable_values(row: models.Model, fields: Sequence[str]) -> tuple[Any, ...]:
    """Return the fields' values for comparison, JSON ones as text: 1 is not true, and the order of keys is ignored."""
    values = [getattr(row, row._meta.get_field(name).attname) for name in fields]  # type: ignore[union-attr]
    return tuple(json.dumps(item, sort_keys=True) if isinstance(item, dict | list) else item for item in values)


def _message(error: ValidationError, *, is_given: bool) -> str:
    if error.code in ("null", "blank"):
        return "expected a value, not an empty one." if is_given else "this key is missing, and it has no default."
    return " ".join(error.messages)
