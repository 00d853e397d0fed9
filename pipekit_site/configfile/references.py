"""What rows of a configuration file refer to by name: rows that are stored, or come with the same file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from pipekit_site.configfile.problems import choose, shown
from pipekit_site.configfile.sections import Section
from pipekit_site.configfile.values import Unexpected

Model = type[models.Model]


class KnownToBeWrong(Unexpected):
    """The target is in the file and wrong itself, which has been said where it stands."""


@dataclass(slots=True, kw_only=True)
class References:
    """Finds targets by name. ``names`` are those in the file, for the sections that it has."""

    names: Mapping[Model, frozenset[str]]
    prune: bool = False
    # rows of the file with findings of their own
    broken: set[tuple[Model, str]] = field(default_factory=set)
    # targets are never renamed by an import
    _found: dict[tuple[Model, str, str], models.Model] = field(default_factory=dict)

    def find(self, into: models.ForeignKey[Any, Any], name: str, *, by: str = "name") -> models.Model:
        """Return the target of a foreign key. Raises Unexpected when there is none, or will be none."""
        model = into.related_model
        in_file = name in self.names.get(model, ())
        what = model._meta.verbose_name
        if self.prune and model in self.names and not in_file:
            raise Unexpected(
                f"the {what} “{shown(name)}” is not in this file, so --prune removes it;"
                f" {self._expected(model, name, by)}"
            )
        found = self._found.get((model, by, name)) or model._default_manager.filter(**{by: name}).first()
        if found is not None:
            self._found[model, by, name] = found
            return found
        if in_file:
            raise KnownToBeWrong
        raise Unexpected(f"there is no {what} “{shown(name)}”; {self._expected(model, name, by)}")

    def _expected(self, model: Model, name: str, by: str) -> str:
        stored = () if self.prune and model in self.names else model._default_manager.values_list(by, flat=True)
        return choose(name, sorted({*stored, *self.names.get(model, ())}))


def users(sections: tuple[Section, ...], row: models.Model) -> list[tuple[Model, str]]:
    """Return (model, name) of the rows that refer to a row, parts counting as what they belong to."""
    found: list[tuple[Model, str]] = []
    for section in sections:
        for name in section.references(type(row)):
            rows = section.model._default_manager.filter(**{name: row})
            found += [(section.model, section.name_of(user)) for user in rows]
        for part in section.parts:
            for name in part.references(type(row)):
                entries = part.model._default_manager.filter(**{name: row}).select_related(part.owner)
                found += [(section.model, section.name_of(getattr(entry, part.owner))) for entry in entries]
    return list(dict.fromkeys(found))
