"""Safety limits on a full refresh and on deletes. A run that exceeds one is refused unless it is forced (`--force`)."""

from __future__ import annotations

from connections.sdk.errors import Refused
from connections.sdk.formatting import counted
from runs.engine.plan import Plan


def check_full(plan: Plan, *, staged: int, present: int) -> str:
    """Raise Refused for a full refresh that would shrink the table below min_full_share of its rows.

    With `force`, return a warning instead; an empty text if the limit is not exceeded.
    """
    if not plan.strategy.traits.replaces_all or present == 0 or staged >= present * plan.limits.min_full_share:
        return ""
    what = "no rows" if staged == 0 else counted(staged)
    text = (
        f"The full refresh would replace the {counted(present)} of {plan.dest_table} by {what} "
        f"({staged / present:.0%}; min_full_share requires {plan.limits.min_full_share:.0%})"
    )
    if plan.force:
        return f"{text}; allowed because the run was forced."
    raise Refused(
        f"{text}; nothing was changed.",
        hint="Check the source. If it really has so few rows, run it once with --force.",
    )


def check_deletes(plan: Plan, *, deleting: int, present: int, what: str, published: int | None) -> str:
    """Raise Refused when more than max_delete_share of the rows would be deleted; with `force`, return a warning.

    ``what`` names the delete in messages. ``published`` is the number of rows that the run published before, if known.
    """
    if deleting <= present * plan.limits.max_delete_share:
        return ""
    text = (
        f"{what} would delete {deleting:,} of the {counted(present)} of {plan.dest_table} "
        f"({deleting / present:.0%}; max_delete_share allows {plan.limits.max_delete_share:.0%})"
    )
    if plan.force:
        return f"{text}; allowed because the run was forced."
    again = "run it" if plan.repair is None else "repair it"
    raise Refused(
        f"{text}; none was deleted. {written_before(published)}",
        hint=f"Check the source's keys. If the rows were really deleted there, {again} once with --force.",
    )


def written_before(rows: int | None) -> str:
    """Return a sentence about the rows that the run published before a refused delete; None: unknown number."""
    if rows is None:
        return "The rows read before are published."
    if rows == 0:
        return "Nothing was changed."
    return f"The {counted(rows)} read before {'is' if rows == 1 else 'are'} published."
