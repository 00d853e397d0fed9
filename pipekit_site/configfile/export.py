"""Exports rows as YAML: names sorted, all fields in their declared order, multi-line texts as blocks.

Equal rows give equal bytes, and importing an export gives equal rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from django.db import models

from pipekit_site.configfile.sections import Part, Section

VERSION = 1
# Texts that a literal block preserves. PyYAML by itself would quote texts with tabs or trailing spaces, and would read
# other line breaks than line feeds back as spaces if it had written them in single quotes.
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


def export_sections(sections: Sequence[Section]) -> str:
    """Return all rows of the sections as one YAML document."""
    document = {"version": VERSION, **{section.name: _section(section) for section in sections}}
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=float("inf")
    )


def _section(section: Section) -> dict[str, Any]:
    rows = section.model._default_manager.select_related(*section.foreign_keys())
    entries = {part: _entries(part) for part in section.parts}
    exported = {
        section.name_of(row): {
            **{name: _value(row, name, shown_by=section.shown_by.get(name, "name")) for name in section.fields},
            **{part.name: [_entry(part, entry) for entry in entries[part].get(row.pk, ())] for part in section.parts},
        }
        for row in rows
    }
    return dict(sorted(exported.items()))


def _entries(part: Part) -> dict[Any, list[models.Model]]:
    """Return all rows of a part, in order, by the primary key of their owner, with one query."""
    owner = part.model._meta.get_field(part.owner).attname  # type: ignore[union-attr]
    rows: dict[Any, list[models.Model]] = {}
    for row in part.model._default_manager.select_related(*part.foreign_keys()).order_by(part.order_by, "pk"):
        rows.setdefault(getattr(row, owner), []).append(row)
    return rows


def part_rows(part: Part, row: models.Model) -> list[models.Model]:
    """Return the stored rows of one owner's part, in order."""
    if row.pk is None:
        return []
    rows = part.model._default_manager.filter(**{part.owner: row})
    return list(rows.select_related(*part.foreign_keys()).order_by(part.order_by, "pk"))


def _entry(part: Part, entry: models.Model) -> dict[str, Any]:
    return {name: _value(entry, name) for name in part.fields}


def _value(row: models.Model, name: str, *, shown_by: str = "name") -> Any:
    """Return a field's value as exported: rows by name, an empty optional text as null."""
    value = getattr(row, name)
    if isinstance(value, models.Model):
        return getattr(value, shown_by)
    if isinstance(value, dict | list):
        return _sorted(value)
    if isinstance(value, str):
        # str() because members of TextChoices are a subclass that the dumper does not know
        return None if value == "" and is_optional(row._meta.get_field(name)) else str(value)
    return value


def is_optional(field: Any) -> bool:
    """Return whether an empty text means no value; if the column is nullable, an empty text is a value."""
    return bool(field.blank and not field.null)


def _sorted(value: Any) -> Any:
    # PostgreSQL and SQLite store the keys of an object in different orders
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
