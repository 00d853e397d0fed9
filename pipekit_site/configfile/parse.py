"""From the keys of a file to unsaved rows. What is wrong becomes a finding at its line; nothing is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import yaml
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models

from pipekit_site.configfile.document import Entry, entries, is_null
from pipekit_site.configfile.export import part_rows
from pipekit_site.configfile.problems import Findings, choose
from pipekit_site.configfile.references import KnownToBeWrong, References
from pipekit_site.configfile.sections import Part
from pipekit_site.configfile.values import Unexpected, value

# what a finding repeats of a file: names, and no long text
_NAME = re.compile(r"[\w.-]{1,60}")


@dataclass(slots=True, kw_only=True)
class Keys:
    """The keys given for one row, and where the row itself stands."""

    given: dict[str, Entry]
    node: yaml.Node
    where: str
    is_part: bool = False
    # fields that are wrong, found so far
    wrong: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads rows of one file."""

    references: References
    findings: Findings
    # the rows were found right a moment ago: they are brought into form, and not judged again
    is_checked: bool = False

    def keys(self, entry: Entry, known: Sequence[str], *, name_key: str = "") -> Keys:
        """Return the keys of a row; those that are not known are findings.

        ``name_key`` is the key under which a name that stands for the whole row belongs.
        """
        given: dict[str, Entry] = {}
        if isinstance(entry.node, yaml.MappingNode):
            given = entries(entry.node, entry.where, self.findings)
        elif not is_null(entry.node):
            self.findings.add(entry.node, entry.where, f"expected keys and values.{_instead(entry.node, name_key)}")
        for key, unknown in given.items():
            if key not in known:
                self.findings.add(unknown.key, unknown.where, f"there is no such key; {choose(key, known)}")
        return Keys(given=given, node=entry.key, where=entry.where)

    def assign(self, row: models.Model, keys: Keys, *, fields: Sequence[str], shown_by: Mapping[str, str]) -> None:
        """Set the fields that are given; one that is wrong stays as it is."""
        for name in fields:
            if name not in keys.given:
                continue
            entry, into = keys.given[name], cast("models.Field[Any, Any]", row._meta.get_field(name))
            try:
                found = value(into, entry.node)
                if isinstance(into, models.ForeignKey) and found is not None:
                    found = self.references.find(into, found, by=shown_by.get(name, "name"))
                setattr(row, name, found)
            except KnownToBeWrong:
                keys.wrong.add(name)
            except Unexpected as expected:
                keys.wrong.add(name)
                self.findings.add(entry.node, entry.where, str(expected))

    def validate(self, row: models.Model, keys: Keys, *, exclude: Sequence[str] = ()) -> None:
        """Let the model judge the row; its complaints are findings, each at the line of the key it is about."""
        try:
            if self.is_checked:
                references = (field.name for field in row._meta.concrete_fields if field.is_relation)
                row.clean_fields(exclude={*exclude, *keys.wrong, *references})
                return
            row.full_clean(exclude={*exclude, *keys.wrong})
        except ValidationError as error:
            for name, complaints in error.error_dict.items():
                # a check that spans fields may complain of one that is known to be wrong
                if name not in keys.wrong:
                    self._complain(name, complaints, keys)

    def _complain(self, name: str, complaints: Sequence[ValidationError], keys: Keys) -> None:
        entry = keys.given.get(name)
        # a row's own name is the key that it stands under
        is_row = name == NON_FIELD_ERRORS or (name == "name" and not keys.is_part)
        where = entry.where if entry else keys.where if is_row else f"{keys.where}.{name}"
        # that a value is empty needs no saying where the model says it better
        telling = [complaint for complaint in complaints if complaint.code != "blank"] or complaints
        for complaint in telling:
            self.findings.add(entry.node if entry else keys.node, where, _said(complaint, is_given=entry is not None))
        keys.wrong.add(name)

    def part(self, part: Part, owner: models.Model, owner_keys: Keys) -> list[Any]:
        """Return the unsaved rows of a part, in order; a field left out keeps what an entry of that key has stored."""
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
            if keys.wrong:
                owner_keys.wrong.add(part.name)
            key = getattr(row, part.key) if part.key and part.key not in keys.wrong else number
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
        self.assign(row, keys, fields=part.fields, shown_by={})
        if part.key and part.key not in keys.wrong and (old := stored.get(getattr(row, part.key, None))):
            for name in part.fields:
                if name not in keys.given:
                    setattr(row, name, getattr(old, name))
        self.validate(row, keys, exclude=[part.owner])
        return row, keys


def _instead(node: yaml.Node, name_key: str) -> str:
    """Return how a list's entry that is a name alone is written; empty for anything else."""
    if name_key and isinstance(node, yaml.ScalarNode) and _NAME.fullmatch(node.value):
        return f" Write “- {name_key}: {node.value}”."
    return ""


def state(row: models.Model, fields: Sequence[str]) -> tuple[Any, ...]:
    """Return what the fields hold, to be compared: 1 is not true, and keys of an object have no order."""
    found = [getattr(row, row._meta.get_field(name).attname) for name in fields]  # type: ignore[union-attr]
    return tuple(json.dumps(item, sort_keys=True) if isinstance(item, dict | list) else item for item in found)


def _said(complaint: ValidationError, *, is_given: bool) -> str:
    if complaint.code in ("null", "blank"):
        return "expected a value, not an empty one." if is_given else "this key is missing, and it has no default."
    return " ".join(complaint.messages)
