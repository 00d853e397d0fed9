"""Resolves references by name in a configuration file, to stored rows or to rows of the same file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from pipekit_site.configfile.problems import printable, suggest
from pipekit_site.configfile.sections import Section
from pipekit_site.configfile.values import Unexpected

Model = type[models.Model]


class TargetInvalid(Unexpected):
    """The target is in the same file and invalid; its own finding has been added already."""


@dataclass(slots=True, kw_only=True)
class References:
    """Finds target rows by name. ``names`` are the names in the file, for each model whose section it has."""

    names: Mapping[Model, frozenset[str]]
    prune: bool = False
    # rows of the file that have findings themselves
    invalid: set[tuple[Model, str]] = field(default_factory=set)
    # an import never renames targets, so they can be cached
    _cache: dict[tuple[Model, str, str], models.Model] = field(default_factory=dict)

    def find(
        self,
        into: models.ForeignKey[Any, Any],
        name: str,
        *,
        by: str = "name",
        why_missing: Callable[[str], str] | None = None,
    ) -> models.Model:
        """Return the target of a foreign key. Raises Unexpected if it does not exist, or --prune will remove it."""
        model = into.related_model
        in_file = name in self.names.get(model, ())
        what = model._meta.verbose_name
        if self.prune and model in self.names and not in_file:
            raise Unexpected(
                f"the {what} “{printable(name)}” is not in this file, so --prune removes it;"
                f" {self._expected(model, name, by)}"
            )
        target = self._cache.get((model, by, name)) or model._default_manager.filter(**{by: name}).first()
        if target is not None:
            self._cache[model, by, name] = target
            return target
        if in_file:
            raise TargetInvalid
        if why_missing and (reason := why_missing(name)):
            raise Unexpected(f"there is no {what} “{printable(name)}”. {reason}")
        raise Unexpected(f"there is no {what} “{printable(name)}”; {self._expected(model, name, by)}")

    def _expected(self, model: Model, name: str, by: str) -> str:
        stored = () if self.prune and model in self.names else model._default_manager.values_list(by, flat=True)
        return suggest(name, sorted({*stored, *self.names.get(model, ())}))


def referring_rows(sections: tuple[Section, ...], row: models.Model) -> list[tuple[Model, str]]:
    """Return (model, name) of the rows that refer to a row; for a part that does, its owner."""
    users: list[tuple[Model, str]] = []
    for section in sections:
        for name in section.references(type(row)):
            rows = section.model._default_manager.filter(**{name: row})
            users += [(section.model, section.name_of(user)) for user in rows]
        for part in section.parts:
            for name in part.references(type(row)):
                entries = part.model._default_manager.filter(**{name: row}).select_related(part.owner)
                users += [(section.model, section.name_of(getattr(entry, part.owner))) for entry in entries]
    return list(dict.fromkeys(users))
