"""Rows to YAML: sorted names, fields in their declared order, every field, texts of several lines as blocks.

The same rows always give the same bytes, and importing them gives the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from django.db import models

from pipekit_site.configfile.sections import Part, Section

VERSION = 1
# What a block shows as it is. PyYAML would also put texts with tabs, or blanks at a line's end, into quotes, and would
# read other line breaks than line feeds back as blanks if it had written them in single quotes.
_BLOCK = re.compile("[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")


class _Dumper(yaml.SafeDumper):
    def analyze_scalar(self, scalar: str) -> Any:
        analysis = super().analyze_scalar(scalar)
        analysis.allow_block = analysis.multiline and _BLOCK.fullmatch(scalar) is not None
        analysis.allow_single_quoted = analysis.allow_single_quoted and not analysis.multiline
        return analysis

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def export(sections: Sequence[Section]) -> str:
    """Return everything the sections hold, as one YAML document."""
    document = {"version": VERSION, **{section.name: _section(section) for section in sections}}
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=float("inf")
    )


def _section(section: Section) -> dict[str, Any]:
    rows = section.model._default_manager.select_related(*section.foreign_keys())
    entries = {part: _entries(part) for part in section.parts}
    found = {
        section.name_of(row): {
            **{name: _value(row, name, shown_by=section.shown_by.get(name, "name")) for name in section.fields},
            **{part.name: [_entry(part, entry) for entry in entries[part].get(row.pk, ())] for part in section.parts},
        }
        for row in rows
    }
    return dict(sorted(found.items()))


def _entries(part: Part) -> dict[Any, list[models.Model]]:
    """Return the rows of a part by the key of what they belong to, in order: one query for all."""
    owner = part.model._meta.get_field(part.owner).attname  # type: ignore[union-attr]
    found: dict[Any, list[models.Model]] = {}
    for row in part.model._default_manager.select_related(*part.foreign_keys()).order_by(part.order_by, "pk"):
        found.setdefault(getattr(row, owner), []).append(row)
    return found


def part_rows(part: Part, row: models.Model) -> list[models.Model]:
    """Return the stored rows of a part, in order."""
    if row.pk is None:
        return []
    rows = part.model._default_manager.filter(**{part.owner: row})
    return list(rows.select_related(*part.foreign_keys()).order_by(part.order_by, "pk"))


def _entry(part: Part, entry: models.Model) -> dict[str, Any]:
    return {name: _value(entry, name) for name in part.fields}


def _value(row: models.Model, name: str, *, shown_by: str = "name") -> Any:
    """Return a field as the file shows it: rows by name, an empty optional text as null."""
    found = getattr(row, name)
    if isinstance(found, models.Model):
        return getattr(found, shown_by)
    if isinstance(found, dict | list):
        return _sorted(found)
    if isinstance(found, str):
        # a choice is a str of a class of its own
        return None if found == "" and is_optional(row._meta.get_field(name)) else str(found)
    return found


def is_optional(field: Any) -> bool:
    """Whether an empty text says that there is none (where the column takes NULL, an empty text is a value)."""
    return bool(field.blank and not field.null)


def _sorted(found: Any) -> Any:
    # PostgreSQL and SQLite keep the keys of an object in orders of their own
    if isinstance(found, dict):
        return {key: _sorted(found[key]) for key in sorted(found)}
    return [_sorted(item) for item in found] if isinstance(found, list) else found
