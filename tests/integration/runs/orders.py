"""The query of the module `orders`, and the state of its runs."""

from __future__ import annotations

from collections.abc import Callable

from modules.models import Module
from runs.models import Run

QUERY = "SELECT k, v FROM s"
Save = Callable[..., Module]


def is_final(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_final
