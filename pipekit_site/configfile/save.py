"""Saves rows of a configuration file: parts as a whole, and of invalid rows the fields that are valid."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from django.db import models, transaction

from pipekit_site.configfile.export import part_rows
from pipekit_site.configfile.parse import Keys, comparable_values
from pipekit_site.configfile.sections import Part


def differ(part: Part, row: models.Model, rows: Sequence[models.Model]) -> bool:
    """Return whether the stored rows of the owner's part differ from ``rows``."""
    stored = [comparable_values(old, part.fields) for old in part_rows(part, row)]
    return stored != [comparable_values(new, part.fields) for new in rows]


def replace(part: Part, row: models.Model, rows: Sequence[Any], *, is_new: bool) -> None:
    """Replace the stored rows of the owner's part by ``rows``."""
    if not is_new:
        part.model._default_manager.filter(**{part.owner: row}).delete()
    for new in rows:
        # set again, because the owner has its primary key only now
        setattr(new, part.owner, row)
        new.save()


def save_valid_fields(row: Any, keys: Keys) -> None:
    """Save the valid fields of an invalid row, if possible, so that references to it can be checked."""
    fresh = type(row)._default_manager.filter(pk=row.pk).first() or type(row)()
    for field in row._meta.concrete_fields:
        if field.name in keys.invalid and field.name != "name":
            setattr(row, field.attname, getattr(fresh, field.attname))
    with contextlib.suppress(DatabaseError, ObjectDoesNotExist), transaction.atomic():
        row.save()
