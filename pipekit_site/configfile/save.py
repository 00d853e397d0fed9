"""Rows of a configuration file into their tables: parts as a whole, and of wrong rows what is right."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from django.db import models, transaction

from pipekit_site.configfile.export import part_rows
from pipekit_site.configfile.parse import Keys, state
from pipekit_site.configfile.sections import Part


def differ(part: Part, row: models.Model, rows: Sequence[models.Model]) -> bool:
    stored = [state(old, part.fields) for old in part_rows(part, row)]
    return stored != [state(new, part.fields) for new in rows]


def replace(part: Part, row: models.Model, rows: Sequence[Any], *, is_new: bool) -> None:
    if not is_new:
        part.model._default_manager.filter(**{part.owner: row}).delete()
    for new in rows:
        # set again: its key is known only now
        setattr(new, part.owner, row)
        new.save()


def salvage(row: Any, keys: Keys) -> None:
    """Save what is right of a wrong row, for what refers to it to be checked; in vain where a reference is wrong."""
    fresh = type(row)._default_manager.filter(pk=row.pk).first() or type(row)()
    for found in row._meta.concrete_fields:
        if found.name in keys.wrong and found.name != "name":
            setattr(row, found.attname, getattr(fresh, found.attname))
    with contextlib.suppress(DatabaseError, ObjectDoesNotExist), transaction.atomic():
        row.save()
