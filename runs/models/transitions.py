"""Transitions of runs, group runs and verifications from one status to another, each in one conditional UPDATE.

The last one, to a final status, is signalled.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import models
from django.dispatch import Signal
from django.utils import timezone

from connections.sdk.errors import PipekitError
from runs.models.storable import storable

# Sent in the transaction that gives a run, group run or verification its final status. The sender is the model, and
# ``instance`` the row. An exception in a receiver undoes the transition.
finished = Signal()


class IllegalTransition(PipekitError):
    """The transition is not allowed from the row's state, usually because another process changed it first."""

    code = "illegal_transition"


def transition(
    row: models.Model,
    status: str | None,
    *,
    sources: Collection[str],
    fields: dict[str, Any],
    only_if: dict[str, Any] | None = None,
) -> None:
    """Update a row if it is in one of the source states, and set its status unless that is None.

    The number of updated rows decides which process was first. Raise IllegalTransition for the others.
    """
    changed = {**fields, "updated_at": timezone.now(), **({} if status is None else {"status": status})}
    rows = type(row)._default_manager.filter(pk=row.pk, status__in=sources, **(only_if or {}))
    if rows.update(**storable(changed)) != 1:
        kind = str(row._meta.verbose_name)
        now = type(row)._default_manager.filter(pk=row.pk).values_list("status", flat=True).first() or "deleted"
        # in a source state still: only_if is what it did not meet
        state = "was changed" if now in sources else f"is {now}"
        raise IllegalTransition(
            f"{kind.capitalize()} {row.pk} {state}, so it cannot {f'become {status}' if status else 'be changed'}.",
            hint=f"Another process changed it first; look at the {kind}.",
        )
    for name, value in changed.items():
        setattr(row, name, value)
