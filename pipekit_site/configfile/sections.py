"""How a model appears in a configuration file. Each app declares its own; exporting and importing follow from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from django.db import models


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows that belong to one row of a section: a list under one of its keys, given and replaced as a whole."""

    name: str
    model: type[models.Model]
    # the foreign key to the row they belong to
    owner: str
    # in the order of the file
    fields: tuple[str, ...]
    order_by: str
    # the field that tells entries apart; empty: nothing does
    key: str = ""

    def foreign_keys(self) -> tuple[str, ...]:
        return _foreign_keys(self.model, self.fields)

    def references(self, target: type[models.Model]) -> tuple[str, ...]:
        return _pointing(self.model, self.fields, target)


def _unprepared(row: Any, parts: Mapping[str, Sequence[Any]]) -> None:
    pass


def _unrecorded(row: Any, actor: str) -> AbstractContextManager[None]:
    return nullcontext()


def _unrecorded_new(rows: Sequence[Any], actor: str) -> None:
    pass


def _unnoted(row: Any, given: frozenset[str]) -> str:
    return ""


def _fresh(row: Any) -> bool:
    return False


def _remove(row: Any, actor: str) -> None:
    row.delete()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One top-level key of the file: rows of a model by name."""

    name: str
    model: type[models.Model]
    # in the order of the file
    fields: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    # foreign key -> the field of its target that the file shows, where that is not the name
    shown_by: Mapping[str, str] = field(default_factory=dict)
    # told which rows a row's parts are going to have (those that the file gives), before the row is validated
    prepare: Callable[[Any, Mapping[str, Sequence[Any]]], None] = _unprepared
    # told which keys the file gives for a row, before it is saved; returns what is wrong with that, or nothing
    entered: Callable[[Any, frozenset[str]], str] = _unnoted
    # whether a row has to be saved though none of its fields changes
    is_stale: Callable[[Any], bool] = _fresh
    # around the saving of a row that was there before: (row, actor)
    recorded: Callable[[Any, str], AbstractContextManager[None]] = _unrecorded
    # after the saving of all that are new: (rows, actor)
    record_new: Callable[[Sequence[Any], str], None] = _unrecorded_new
    remove: Callable[[Any, str], None] = _remove
    # what comes along with the rows that an import hands back, as select_related takes it
    related: tuple[str, ...] = ()

    @staticmethod
    def name_of(row: Any) -> str:
        return str(row.name)

    def foreign_keys(self) -> tuple[str, ...]:
        return _foreign_keys(self.model, self.fields)

    def references(self, target: type[models.Model]) -> tuple[str, ...]:
        """Return the foreign keys that point to a model."""
        return _pointing(self.model, self.fields, target)


def _foreign_keys(model: type[models.Model], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(model._meta.get_field(name), models.ForeignKey))


def _pointing(model: type[models.Model], names: Sequence[str], target: type[models.Model]) -> tuple[str, ...]:
    found = _foreign_keys(model, names)
    return tuple(name for name in found if model._meta.get_field(name).related_model is target)
