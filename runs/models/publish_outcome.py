"""What an ended run did to its destination, and in how many tries, in words for people: the same ones everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from runs.models.run import Run
from runs.models.states import FAILED, Effect

# one of the steps in `Run.unfinished`
REPAIR_DELETES = "the deletes of the repair"


def outcome_note(run: Run) -> str:
    """Return what is certain about the destination of a failed run, or what an interrupted one did not execute.

    Empty for other runs. It is not known, for example, if a connection was lost during COMMIT.
    """
    if run.not_executed:
        return f"{Effect.PUBLISHED.label}; not executed to the end: {', '.join(run.not_executed)}"
    return Effect(run.effect).label if run.effect and run.status in FAILED else ""


def tries_note(run: Run) -> str:
    """Return the number of tries, those to connect included; empty if there was one."""
    return f"{run.attempt} tries" if run.attempt > 1 else ""


def unfinished_sentence(steps: Sequence[str] | None) -> str:
    """Return what an interrupted run did not execute after its publish; None if that is not known."""
    if steps is None:
        return "Remaining hooks and key_sync were skipped."
    if not steps:
        return "Nothing else was left to execute."
    text = f"Not executed to the end: {', '.join(steps)}."
    if set(steps) != {REPAIR_DELETES}:
        text += " The next run of the module executes its hooks and key_sync again."
    if REPAIR_DELETES in steps:
        text += " Verify again with --repair to delete the rows."
    return text
