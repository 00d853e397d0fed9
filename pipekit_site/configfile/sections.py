"""Declares how models appear in a configuration file. Each app declares its sections; export and import use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from django.db import models


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows that belong to a row of a section: a list under one of its keys, which is replaced as a whole."""

    name: str
    model: type[models.Model]
    # the foreign key to the row they belong to
    owner: str
    # in the order of the file
    fields: tuple[str, ...]
    order_by: str
    # the field that identifies an entry among its owner's; empty if there is none
    key: str = ""

    def foreign_keys(self) -> tuple[str, ...]:
        return _foreign_keys(self.model, self.fields)

    def references(self, target: type[models.Model]) -> tuple[str, ...]:
        return _references(self.model, self.fields, target)


def _prepare_nothing(row: Any, parts: Mapping[str, Sequence[Any]]) -> None:
    pass


def _no_recording(row: Any, actor: str) -> AbstractContextManager[None]:
    return nullcontext()


def _record_nothing(rows: Sequence[Any], actor: str) -> None:
    pass


def _accept(row: Any, given: frozenset[str]) -> str:
    return ""


def _is_never_stale(row: Any) -> bool:
    return False


def _remove(row: Any, actor: str) -> None:
    row.delete()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A top-level key of the file: the rows of a model by name. The functions are hooks of the import."""

    name: str
    model: type[models.Model]
    # in the order of the file
    fields: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    # foreign key -> the field of its target that is written to the file, if it is not the name
    shown_by: Mapping[str, str] = field(default_factory=dict)
    # foreign key -> a function of the name of a missing target, which returns why it is missing if that is known
    why_missing: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    # (row, rows of each part that the file gives); called before the row is validated
    prepare: Callable[[Any, Mapping[str, Sequence[Any]]], None] = _prepare_nothing
    # (row, keys that the file gives); called before the row is saved; returns an error message or an empty string
    check_keys: Callable[[Any, frozenset[str]], str] = _accept
    # whether a row has to be saved although none of its fields has changed
    is_stale: Callable[[Any], bool] = _is_never_stale
    # (row, actor); a context manager around saving an existing row
    recorded: Callable[[Any, str], AbstractContextManager[None]] = _no_recording
    # (rows, actor); called after all new rows have been saved
    record_new: Callable[[Sequence[Any], str], None] = _record_nothing
    remove: Callable[[Any, str], None] = _remove
    # select_related for the rows that an import returns
    related: tuple[str, ...] = ()

    @staticmethod
    def name_of(row: Any) -> str:
        return str(row.name)

    def foreign_keys(self) -> tuple[str, ...]:
        return _foreign_keys(self.model, self.fields)

    def references(self, target: type[models.Model]) -> tuple[str, ...]:
        """Return the foreign keys to a model."""
        return _references(self.model, self.fields, target)


def _foreign_keys(model: type[models.Model], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(model._meta.get_field(name), models.ForeignKey))


def _references(model: type[models.Model], names: Sequence[str], target: type[models.Model]) -> tuple[str, ...]:
    foreign_keys = _foreign_keys(model, names)
    return tuple(name for name in foreign_keys if model._meta.get_field(name).related_model is target)
